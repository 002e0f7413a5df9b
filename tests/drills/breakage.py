"""Work in a process of its own, in which something is broken: it stays broken there, and only there."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.drills.sabotages import SABOTAGES


def with_sabotage(name: str, work: Callable[[], object]) -> str | None:
    """Do `work` with one defence turned off; return what it raised, None when all went well."""
    with tempfile.TemporaryDirectory(prefix="sluice-broken-") as folder:
        said = Path(folder) / "said"
        pid = os.fork()
        if pid == 0:
            _broken(name, work, said)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert status == 0, f"the process ended with {status}"
        return said.read_text() if said.exists() else None


def _broken(name: str, work: Callable[[], object], said: Path) -> None:
    """Never returns: a fork of pytest must not go on as pytest."""
    status = 1
    try:
        SABOTAGES[name]()
        status = 0
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # whatever it is, the drill has noticed
            said.write_text(f"{type(error).__name__}: {error}")
    finally:
        os._exit(status)
