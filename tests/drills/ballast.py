"""What fills a small disk up to where nothing more goes on it, and is gone when the block ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_BLOCK: Final = 1024 * 1024


@contextmanager
def bytes_filled(disk: Path, left: int = 0) -> Iterator[None]:
    """Leave so many bytes on the disk."""
    ballast = disk / "ballast"
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        with suppress(OSError):  # others take what is left, too
            while (more := free_bytes(disk) - left) > 0:
                os.write(descriptor, bytes(min(more, _BLOCK)))
        yield
    finally:
        os.close(descriptor)
        ballast.unlink()


@contextmanager
def inodes_filled(disk: Path) -> Iterator[None]:
    """Leave not one file more to be made."""
    folder = disk / "files"
    folder.mkdir()
    made: list[Path] = []
    try:
        with suppress(OSError):
            while True:
                path = folder / str(len(made))
                path.touch()
                made.append(path)
        yield
    finally:
        for path in made:
            path.unlink()
        folder.rmdir()


def free_bytes(disk: Path) -> int:
    facts = os.statvfs(disk)
    return facts.f_bavail * facts.f_frsize
