"""A PostgreSQL that may be killed and started again, as often as a drill wants."""

import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
import psycopg

from tests.support import servers
from tests.support.waiting import eventually
from tools.part import Part
from tools.running import Running

_LOOPBACK: Final = "127.0.0.1"
MOST_CONNECTIONS: Final = 60
# It syncs nothing, which only a loss of power would show; what it answered it knows after a kill.
_SETTINGS: Final = ("fsync=off", f"max_connections={MOST_CONNECTIONS}")


@dataclass
class Postgres:
    """`url` is where it is; `deaths` counts how often it went down."""

    folder: Path
    port: int
    deaths: int = 0
    _running: AbstractContextManager[Running] | None = None
    _process: psutil.Process | None = None
    _held: list[psycopg.Connection] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@{_LOOPBACK}:{self.port}/postgres"

    @property
    def plain_url(self) -> str:
        return self.url.replace("+psycopg", "")

    def initialise(self) -> None:
        binaries, by = servers._postgresql_binaries(), servers._by_nobody(self.folder)
        made = (*by, str(binaries / "initdb"), "-U", "postgres", "-D", str(self._data))
        subprocess.run(
            (*made, "-A", "trust", "-E", "UTF8", "--no-sync"),
            check=True,
            capture_output=True,
            cwd=self.folder,
        )

    def start(self) -> None:
        """Return when it answers."""
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        command = (
            *servers._by_nobody(self.folder),
            str(servers._postgresql_binaries() / "postgres"),
            *("-D", str(self._data), "-h", _LOOPBACK, "-p", str(self.port), "-k", ""),
            *settings,
        )
        part = Part("postgresql", command, ready=lambda: servers._accepts(self.plain_url))
        self._running = servers.running(part, self.folder, ends_by=signal.SIGINT)
        self._process = psutil.Process(self._running.__enter__().pid)

    def kill(self) -> None:
        """Kill it with all its children, and start it again."""
        assert self._process is not None
        family = [self._process, *self._process.children(recursive=True)]
        for each in family:
            with suppress(psutil.Error):
                each.kill()
        self._again()

    def restart(self) -> None:
        """Restart it as `pg_ctl restart -m fast` does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._again()

    def stop(self) -> None:
        self.release()
        if self._running is not None:
            self._running.__exit__(None, None, None)
            self._running = None

    def occupy(self) -> int:
        """Take all the connections that there are; return how many."""
        with suppress(psycopg.OperationalError):
            while True:
                self._held.append(psycopg.connect(self.plain_url, connect_timeout=2))
        return len(self._held)

    def release(self) -> None:
        while self._held:
            self._held.pop().close()

    @property
    def process(self) -> psutil.Process:
        assert self._process is not None
        return self._process

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _again(self) -> None:
        self.deaths += 1
        assert self._running is not None
        process = self.process
        eventually(lambda: not process.is_running() or process.status() == "zombie", 30)
        self._running.__exit__(None, None, None)
        self.start()


@contextmanager
def a_postgres() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as name:
        made = Postgres(Path(name), servers.free_port())
        made.initialise()
        made.start()
        try:
            yield made
        finally:
            made.stop()
