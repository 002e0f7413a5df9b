"""Make the virtual environment, install what the command needs, become the command.

Runs before anything is installed: the standard library only. What it says goes to stderr, because
`./run token` and `./run env` promise that stdout carries their answer alone.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
RUNTIME: Final = ROOT / "requirements.txt"
DEVELOPMENT: Final = ROOT / "requirements-dev.txt"
DEVELOPER_COMMANDS: Final = frozenset({"test", "check", "fix", "bench", "drills"})


class Refused(Exception):
    """The start cannot go on; the message is the one line to show."""


def main(arguments: list[str]) -> None:
    """Replace this process by the command that `arguments` name."""
    venv = Path(os.environ.get("SLUICE_VENV") or ROOT / ".venv").absolute()
    name = arguments[0] if arguments else ""
    wanted = [DEVELOPMENT] if name in DEVELOPER_COMMANDS else [RUNTIME]
    if not is_installed(venv, wanted):
        with locked(venv):
            if not is_installed(venv, wanted):
                install(venv, wanted)
    become(venv, arguments)


def become(venv: Path, arguments: list[str]) -> None:
    """Execute the command in `venv`: signals reach it, and its process id is the caller's."""
    match arguments:
        case []:
            command = ["-m", "tools.supervisor"]
        case ["test", *rest]:
            os.chdir(ROOT)
            command = ["-m", "pytest", *rest] if rest else ["-m", "tools.suite"]
        case ["drills", *rest]:
            os.chdir(ROOT)
            command = ["-m", "pytest", "tests/drills", "--long", "-s", *rest]
        case ["check" | "fix", *_]:
            os.chdir(ROOT)
            command = ["-m", "tools.check", *arguments]
        case _:
            command = ["-m", "tools.command", *arguments]
    # The checkout comes from PYTHONPATH and not from the working directory, which stays the
    # caller's: a command may be given relative paths, and a folder there may be named `shared`.
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    python = str(interpreter(venv))
    os.execve(python, [python, "-P", *command], {**os.environ, "PYTHONPATH": path})  # noqa: S606  # no shell wanted


def install(venv: Path, wanted: list[Path]) -> None:
    """Make `venv` where there is none that runs, and install the `wanted` files into it."""
    uv = working_uv()
    if not runs(interpreter(venv), "import sys; assert sys.version_info >= (3, 11)"):
        make(venv, with_pip=uv is None)
    python = str(interpreter(venv))
    if uv:
        command = [uv, "pip", "install", "--quiet", "--python", python, "--compile-bytecode"]
    else:
        if not runs(interpreter(venv), "import pip"):
            execute([python, "-m", "ensurepip"], "putting pip into the virtual environment")
        command = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        command += ["--no-input", "--progress-bar", "off"]
    for file in wanted:
        say(f"installing {file.name} into {venv} (only when that file changed)")
        execute([*command, "--require-hashes", "-r", str(file)], f"installing {file.name}")
    stamp(venv, wanted)


def make(venv: Path, *, with_pip: bool) -> None:
    missing = [name for name in ("venv", "ensurepip") if find_spec(name) is None]
    if "venv" in missing or (with_pip and missing):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise Refused(
            f"{sys.executable} lacks the module {missing[0]!r}: "
            f"install it (apt install python3-venv, or python{version}-venv) and start again"
        )
    if any(venv.iterdir()) and not (venv / "pyvenv.cfg").exists():
        raise Refused(f"{venv} holds other files and no virtual environment: name another folder")
    say(f"making the virtual environment {venv}")
    options = ["--clear"] if with_pip else ["--clear", "--without-pip"]
    execute([sys.executable, "-m", "venv", *options, str(venv)], "making the virtual environment")


def is_installed(venv: Path, wanted: list[Path]) -> bool:
    """Say whether exactly these files were installed here, by what the stamp remembers."""
    try:
        remembered = stamp_file(venv).read_text().splitlines()
    except OSError:
        return False
    return os.access(interpreter(venv), os.X_OK) and all(line(f) in remembered for f in wanted)


def stamp(venv: Path, installed: list[Path]) -> None:
    # The development file is compiled from the runtime file's pins and contains them all.
    files = {*installed, RUNTIME}
    draft = stamp_file(venv).with_suffix(".draft")
    draft.write_text("".join(f"{line(file)}\n" for file in sorted(files)))
    draft.replace(stamp_file(venv))


def line(file: Path) -> str:
    return f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}"


def stamp_file(venv: Path) -> Path:
    return venv / "installed"


def interpreter(venv: Path) -> Path:
    return venv / "bin" / "python"


def working_uv() -> str | None:
    uv = shutil.which("uv")
    return uv if uv and succeeds([uv, "--version"]) else None


def runs(python: Path, statement: str) -> bool:
    return python.exists() and succeeds([str(python), "-c", statement])


def succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603  # fixed commands
    except OSError:
        return False


def execute(command: list[str], purpose: str) -> None:
    """Run `command` with its output on stderr."""
    done = subprocess.run(command, stdout=sys.stderr, stdin=subprocess.DEVNULL, check=False)  # noqa: S603  # fixed commands
    if done.returncode != 0:
        raise Refused(f"{purpose} failed with exit code {done.returncode}; the reason is above")


@contextmanager
def locked(venv: Path) -> Iterator[None]:
    """Let one copy install at a time; two may be started at once."""
    venv.mkdir(parents=True, exist_ok=True)
    folder = os.open(venv, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another copy is installing; waiting for it")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def say(message: str) -> None:
    print(f"sluice: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (Refused, OSError) as refusal:
        say(str(refusal))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
