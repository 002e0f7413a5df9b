"""`./run check`: everything that is checked before a commit; `./run fix` repairs what it can.

All checks run even when one fails, so that one run shows all there is to do.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

Commands = tuple[tuple[str, ...], ...]

CHECKS: Final[Commands] = (
    ("ruff", "format", "--check"),
    ("ruff", "check"),
    ("mypy",),
    ("importlinter.cli", "lint"),
)
FIXES: Final[Commands] = (("ruff", "check", "--fix"), ("ruff", "format"))
FAST_TESTS: Final = ("tests/unit", "tests/house")


def main(arguments: list[str]) -> int:
    """Run the checks, or with `fix` the repairs; 1 when any command failed."""
    commands = FIXES if arguments[:1] == ["fix"] else (*CHECKS, *_fast_tests())
    failed = [command for command in commands if not _passes(command)]
    for command in failed:
        print("failed:", " ".join(command), file=sys.stderr)
    return 1 if failed else 0


def _fast_tests() -> Commands:
    folders = tuple(folder for folder in FAST_TESTS if Path(folder).is_dir())
    return (("pytest", *folders),) if folders else ()


def _passes(command: tuple[str, ...]) -> bool:
    print("--", " ".join(command), flush=True)
    return subprocess.run([sys.executable, "-m", *command], check=False).returncode == 0  # noqa: S603  # fixed commands


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
