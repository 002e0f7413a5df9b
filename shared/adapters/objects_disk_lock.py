"""The lock of a folder, for threads and processes alike: waited for within a bound."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from shared.adapters.clock_system import SystemClock
from shared.asking import ask
from shared.errors import Unavailable

LONGEST_SECONDS: Final = 10.0  # it is held for some renames, or for the removal of a batch
_LOOK_SECONDS: Final = 0.01


@contextmanager
def locked(file: Path, longest_seconds: float) -> Iterator[None]:
    """Hold the lock; `Unavailable` when another has it all the time, who may be frozen."""
    try:
        lock = file.open("w")
    except FileNotFoundError as error:
        raise Unavailable("objects", "The folder of objects is gone.") from error
    with lock:
        clock = SystemClock()
        until = clock.monotonic() + longest_seconds
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if clock.monotonic() >= until:
                    held = "Another process keeps the folder of objects locked."
                    raise Unavailable("objects", held) from error
            clock.wait(_LOOK_SECONDS)
        ask()  # here, for whoever freezes from now on keeps the lock
        yield
