"""The whole suite: what waits much, in two processes at once; then what measures, by itself."""

import os
import secrets
import subprocess
import sys
from typing import Final

RUNS: Final = (
    ("-n", "2", "--dist", "loadfile", "--ignore=tests/drills"),
    ("tests/drills",),
)


def main() -> int:
    """Run both, whatever becomes of the first."""
    # All of them have to find the same tests in the same order, and some stand in sets.
    seed = str(secrets.randbelow(2**32))
    print(f"PYTHONHASHSEED={seed}", flush=True)
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    pytest = (sys.executable, "-P", "-m", "pytest")
    return max([subprocess.call([*pytest, *run], env=environment) for run in RUNS])  # noqa: S603  # our own


if __name__ == "__main__":
    sys.exit(main())
