"""A folder's files, one after the other, in the order of their names; no link is followed."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file: `name` is its path below the folder, with slashes; times in nanoseconds."""

    path: Path
    name: str
    size: int
    modified_ns: int

    def is_still(self, said: os.stat_result) -> bool:
        return (self.size, self.modified_ns) == (said.st_size, said.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Passed:
    """What is not read: a link or a device, or with `is_fault` what can't be."""

    name: str
    reason: str
    is_fault: bool


def walk(folder: Path) -> Iterator[Found | Passed]:
    """Yield what lies below; of a large tree one folder's names are in memory at a time."""
    faults: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=faults.append):
        folders.sort()
        yield from (_unread(folder, fault) for fault in faults)
        faults.clear()
        for name in sorted([*folders, *files]):
            seen = _seen(folder, Path(place) / name)
            if seen is not None:
                yield seen
    yield from (_unread(folder, fault) for fault in faults)


def _seen(folder: Path, path: Path) -> Found | Passed | None:
    name = path.relative_to(folder).as_posix()
    try:
        said = path.lstat()
    except OSError as error:
        return _unread(folder, error)
    if stat.S_ISLNK(said.st_mode):
        return Passed(name, "a link, not followed", is_fault=False)
    if stat.S_ISREG(said.st_mode):
        return Found(path, name, said.st_size, said.st_mtime_ns)
    return None if stat.S_ISDIR(said.st_mode) else Passed(name, "no file", is_fault=False)


def _unread(folder: Path, fault: OSError) -> Passed:
    name = Path(os.fsdecode(fault.filename or "")).relative_to(folder).as_posix()
    return Passed(name, f"can't be read: {fault.strerror}", is_fault=True)
