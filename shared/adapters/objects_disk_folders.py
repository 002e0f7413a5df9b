"""What lies in a folder of objects: keys, ETags, blocks of a file, folders that outlast the power."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Final

from shared.adapters.durable import sync
from shared.model.stored import Copied, Written

_BLOCK: Final = 256 * 1024


def keys_below(folder: Path, prefix: str) -> Iterator[str]:
    """Yield the keys below `folder` in their order, in which a folder's name ends with a slash."""
    entries = {f"{each.name}/" if each.is_dir() else each.name: each for each in folder.iterdir()}
    for name, entry in sorted(entries.items()):
        if name.endswith("/"):
            yield from keys_below(entry, prefix + name)
        else:
            yield prefix + name


def blocks(source: FileIO, start: int, stop: int) -> Iterator[bytes]:
    """Yield the bytes `[start, stop)`, then close the file."""
    with source:
        source.seek(start)
        while start < stop and (block := source.read(min(_BLOCK, stop - start))):
            start += len(block)
            yield block


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each on durable storage."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync(folder.parent)


def link_over(source: Path, name: Path, target: Path) -> None:
    """Link a file over another, by way of a free name: one of the two lies there at any time."""
    name.unlink(missing_ok=True)  # of an attempt that died
    os.link(source, name)
    name.replace(target)


def lies_at(path: Path, source: FileIO) -> bool:
    """Say whether an open file is the one that lies there."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return os.path.samestat(os.fstat(source.fileno()), path.stat())
    return False


def expected_etag(written: Written) -> str:
    """Return the ETag that we give to what was written, in S3's form for parts."""
    if isinstance(written, Copied):
        return written.etag
    if isinstance(written, bytes):
        etags = [hashlib.md5(written, usedforsecurity=False).hexdigest()]
    else:
        etags = [part.etag for part in written]
    joined = b"".join(bytes.fromhex(etag) for etag in etags)
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(etags)}"
