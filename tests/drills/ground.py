"""A factory on a folder in memory that is as good as new again and again, in no time."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shared.adapters.staging_disk import DiskStaging
from tests.support.factory import Factory, a_factory
from tests.support.servers import make_tables
from tests.support.straight import StraightObjects

_MEMORY: Final = Path("/dev/shm")  # noqa: S108  # a folder of our own in it; a disk does as well
_DATABASE: Final = "sluice.db"
_CLEAN: Final = "clean.db"


@dataclass(frozen=True)
class Ground:
    """What `factory` holds in Python, such as compiled statements, outlives a cleaning."""

    folder: Path
    factory: Factory

    def leave(self) -> None:
        """Close what is open, so that a fork has no connection of ours."""
        self.factory.records._engine.dispose()

    def clean(self) -> None:
        """Begin anew, with one webhook and nothing else."""
        self.leave()
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != _CLEAN:
                path.unlink()
        shutil.copyfile(self.folder / _CLEAN, self.folder / _DATABASE)


@contextmanager
def a_ground(folder: Path, **said: Any) -> Iterator[Ground]:
    """`said` is what `a_factory` takes."""
    folder.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{folder / _DATABASE}"
    make_tables(url)
    with a_factory(folder, url, objects=_objects(folder), **said) as factory:
        factory.listen(owner=None)
        ground = Ground(folder, factory)
        ground.leave()
        shutil.copyfile(folder / _DATABASE, folder / _CLEAN)
        yield ground


def disks(folder: Path) -> dict[str, object]:
    """Return staging and objects in `folder`, as a process finds them that starts there."""
    return {"staging": DiskStaging(folder / "staging"), "objects": _objects(folder)}


def _objects(folder: Path) -> StraightObjects:
    return StraightObjects(folder / "objects", base_url="http://sluice", secret="s" * 32)


@contextmanager
def a_folder() -> Iterator[Path]:
    """A folder in memory where there is one: what is tried is the order of things, not the disk."""
    name = tempfile.mkdtemp(prefix="sluice-drill-", dir=_MEMORY if _MEMORY.is_dir() else None)
    try:
        yield Path(name)
    finally:
        shutil.rmtree(name, ignore_errors=True)
