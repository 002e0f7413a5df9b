"""A power loss of the staging folder: what was not synced is gone, a random part of it.

`Os` stands in for the `os` that `staging_disk` and `durable` use. Bytes last that were there at their
file's last sync, names that were there at their folder's; of everything else a part is dropped, drawn
from a seed, as a disk that reorders its writes may do.
"""

import os
import random
import shutil
from pathlib import Path
from typing import Any


class Os:
    """Does what it is told, and keeps in mind what would last."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._paths: dict[int, Path] = {}
        self._bytes: dict[Path, int] = {}
        self._names: set[Path] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = os.open(path, flags, mode)
        self._paths[descriptor] = Path(path)
        return descriptor

    def close(self, descriptor: int) -> None:
        self._paths.pop(descriptor, None)
        os.close(descriptor)

    def fdatasync(self, descriptor: int) -> None:
        self._bytes[self._paths[descriptor]] = os.fstat(descriptor).st_size

    def fsync(self, descriptor: int) -> None:
        path = self._paths[descriptor]
        if path.is_dir():
            self._names |= set(path.iterdir())
        else:
            self.fdatasync(descriptor)

    def cut(self, said: random.Random) -> None:
        """Leave on the disk what a power loss may leave."""
        self._cut(self._root, said)

    def _cut(self, folder: Path, said: random.Random) -> None:
        for path in sorted(folder.iterdir()):
            if path not in self._names and said.random() < 0.5:  # a coin
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            elif path.is_dir():
                self._cut(path, said)
            else:
                self._damage(path, said)

    def _damage(self, path: Path, said: random.Random) -> None:
        kept, size = self._bytes.get(path, 0), path.stat().st_size
        if kept >= size:
            return
        left = said.randrange(kept, size)
        os.truncate(path, left)
        if said.random() < 0.5:  # the length may reach the disk before the bytes do
            os.truncate(path, size)
