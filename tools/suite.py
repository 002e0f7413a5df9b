"""The whole suite: what waits much, in two processes at once; then the drills, which measure."""

import subprocess
import sys
from typing import Final

DRILLS: Final = "tests/drills"
RUNS: Final = (("-n", "2", "--dist", "loadfile", f"--ignore={DRILLS}"), (DRILLS,))


def main() -> int:
    """Run both, whatever becomes of the first."""
    pytest = (sys.executable, "-P", "-m", "pytest")
    return max([subprocess.call([*pytest, *run]) for run in RUNS])  # noqa: S603  # our own


if __name__ == "__main__":
    sys.exit(main())
