"""The folder that holds all that a copy remembers: whose it is, its layout, who uses it now.

One live supervisor per folder: two Valkeys or two SeaweedFS on the same files destroy them.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.refusal import Refused

LAYOUT: Final = "sluice data 1"
# What a folder without a marker may hold: the processes make these on their own, without `./run`.
OURS: Final = ("layout", "in-use", "sluice.db", "staging", "objects", "beat", "lost+found")
# A supervisor that was killed leaves its guard, which ends the parts within a few seconds.
PATIENCE_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class DataFolder:
    """An absolute path, and what is where below it."""

    path: Path

    @property
    def database(self) -> Path:
        return self.path / "sluice.db"

    @property
    def staging(self) -> Path:
        return self.path / "staging"

    @property
    def credentials(self) -> Path:
        return self.path / "credentials.env"

    @property
    def valkey(self) -> Path:
        return self.path / "valkey"

    @property
    def s3(self) -> Path:
        return self.path / "s3"

    @property
    def beat(self) -> Path:
        return self.path / "beat"

    def prepare(self) -> None:
        """Make the folder, closed to other users; refuse one that is not of this layout."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._refuse_other_layouts()
            self.path.chmod(0o700)
        except OSError as error:
            raise Refused(f"DATA_DIR {self.path} cannot be used: {error.strerror}") from error

    @contextmanager
    def claimed(self, stop: Callable[[], bool] = lambda: False) -> Iterator[int]:
        """Hold the folder for this process; yields the descriptor that holds it.

        Waits for the remains of a supervisor that was killed, refuses while one lives.
        """
        lock = os.open(self.path / "in-use", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take(lock, stop)
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            yield lock
        finally:
            os.close(lock)

    def _take(self, lock: int, stop: Callable[[], bool]) -> None:
        moment = threading.Event()
        waited = 0.0
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(lock, 20, 0).decode()
                if _lives(holder) or waited >= PATIENCE_SECONDS or stop():
                    raise Refused(
                        f"DATA_DIR {self.path} is in use by the copy with process id {holder}: "
                        "stop it, or choose another DATA_DIR and PORT"
                    ) from None
            else:
                return
            waited += 0.1
            moment.wait(0.1)

    def _refuse_other_layouts(self) -> None:
        marker = self.path / "layout"
        try:
            found = marker.read_text().strip()
        except FileNotFoundError:
            strangers = [e.name for e in self.path.iterdir() if not e.name.startswith(OURS)]
            if strangers:
                raise Refused(
                    f"DATA_DIR {self.path} holds other files ({min(strangers)}) "
                    "and no data of this service: choose an empty folder"
                ) from None
            # Two starters write the same line; a reader in between must not see half of it.
            draft = marker.with_suffix(f".{os.getpid()}")
            draft.write_text(f"{LAYOUT}\n")
            draft.replace(marker)
            return
        if found != LAYOUT:
            raise Refused(
                f"DATA_DIR {self.path} has the layout {found!r}, this version knows {LAYOUT!r}: "
                "start the version that made it, or choose another folder"
            )


def _lives(holder: str) -> bool:
    try:
        os.kill(int(holder), 0)
    except ValueError:
        return True  # it has the lock and is about to write who it is
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
