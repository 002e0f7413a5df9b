"""The whole suite: what waits much, in two processes at once; what measures, by itself."""

import os
import secrets
import subprocess
import sys
from typing import Final

TWO: Final = ("-n", "2", "--dist", "loadfile")
RUNS: Final = (
    (*TWO, "-m", "not measures", "--ignore=tests/drills"),
    (*TWO, "-m", "teeth or not measures", "tests/drills"),
    ("-m", "measures and not teeth", "tests/drills", "tests/integration/test_hostile_clients.py"),
)


def main() -> int:
    """Run them all, whatever becomes of the others."""
    # Both processes have to find the same tests in the same order, and some stand in sets.
    seed = str(secrets.randbelow(2**32))
    print(f"PYTHONHASHSEED={seed}", flush=True)
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    pytest = (sys.executable, "-P", "-m", "pytest")
    return max([subprocess.call([*pytest, *run], env=environment) for run in RUNS])  # noqa: S603  # our own


if __name__ == "__main__":
    sys.exit(main())
