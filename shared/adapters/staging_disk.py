"""Staging in a folder: `{root}/{last two of id}/{upload id}/{number}.{offset}.{attempt}`.

Every attempt writes a name of its own, so that neither a crash nor a frozen writer can touch bytes
that a row points at. `keep` returns after the file and its folder entries are synced. What is missing
is damage only in a folder that is known to be ours.
"""

import contextlib
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Final

from shared.adapters.durable import sync
from shared.adapters.staging_mark import Settle, StagingMark
from shared.errors import AppError, Damaged, StorageFull, Unavailable
from shared.model.upload import Chunk
from shared.ports import StagedChunk

_TRIES: Final = 20
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})


class DiskChunkWriter:
    """`refuse_full` raises `StorageFull` when less is free than is to be kept."""

    def __init__(self, path: Path, length: int | None, refuse_full: Callable[[], None]) -> None:
        self.name = path.name
        self._path = path
        self._length = length
        self._refuse_full = refuse_full
        self._written = 0
        with _translated():
            self._file: int | None = _opened(path)
        try:
            self._set_aside(length)
            refuse_full()  # others may have been let in at the same time
        except AppError:
            self.drop()
            raise

    def write(self, block: bytes, /) -> None:
        if self._length is None:
            self._refuse_full()
        view = memoryview(block)
        with _translated():
            while view:
                # A short count is how a full disk says so before it says ENOSPC.
                count = os.write(self._descriptor(), view)
                self._written += count
                view = view[count:]

    def keep(self) -> None:
        with _translated():
            if self._length is not None and self._written < self._length:
                os.ftruncate(self._descriptor(), self._written)
            os.fdatasync(self._descriptor())
            sync(self._path.parent)
            # Another writer may have made the upload's folder just now, and not synced it yet.
            sync(self._path.parent.parent)
            self._refuse_lost()
            self._close()

    def drop(self) -> None:
        self._close()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _refuse_lost(self) -> None:
        """Somebody may have taken the name away while the bytes came: a sweep without a grace."""
        if not os.path.samestat(os.fstat(self._descriptor()), self._path.stat()):
            raise Unavailable("staging", "The bytes were taken away while they came.")

    def _set_aside(self, length: int | None) -> None:
        if not length or not hasattr(os, "posix_fallocate"):
            return
        with _translated():
            try:
                os.posix_fallocate(self._descriptor(), 0, length)
            except OSError as error:
                if error.errno not in {errno.EINVAL, errno.EOPNOTSUPP}:
                    raise

    def _descriptor(self) -> int:
        if self._file is None:
            raise Unavailable("staging", "The chunk is closed.")
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            descriptor, self._file = self._file, None
            os.close(descriptor)


class DiskStaging:
    """One folder, private to this service. Keeps `floor` bytes of its disk free.

    `settle` says whose id the folder has to bear (`StagingMark`); without it any folder will do.
    """

    largest = sys.maxsize
    is_remote = False

    def __init__(self, root: Path, *, floor: int = 0, settle: Settle | None = None) -> None:
        self._root = root
        self._floor = floor
        self._shards: set[str] = set()  # those whose entries are known to be synced
        self._mark = None if settle is None else StagingMark(root, settle)
        if self._mark is None:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def writer(
        self, upload_id: str, number: int, offset: int, length: int | None
    ) -> DiskChunkWriter:
        self._refuse_full(length or 0)
        name = f"{number:08d}.{offset:015d}.{secrets.token_hex(6)}"
        self._make_shard(upload_id[-2:])
        return DiskChunkWriter(self._folder(upload_id) / name, length, self._refuse_full)

    def read(self, chunk: Chunk, block_size: int, *, most: int | None = None) -> Iterator[bytes]:
        left = sys.maxsize if most is None else most
        try:
            with self._source(chunk) as source:
                while block := source.read(min(block_size, left)):
                    yield block
                    left -= len(block)
        except FileNotFoundError as error:
            raise Damaged("A staged chunk is gone.", number=chunk.number) from error
        except OSError as error:
            raise Unavailable("staging", "Staging can't be read.") from error

    def discard(self, upload_id: str, names: Iterable[str]) -> None:
        folder = self._folder(upload_id)
        for name in names:
            with contextlib.suppress(OSError):
                (folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.rmdir()  # only when it is empty

    def clear(self, *upload_ids: str) -> None:
        for upload_id in upload_ids:
            shutil.rmtree(self._folder(upload_id), ignore_errors=True)

    def listing(self) -> Iterator[StagedChunk]:
        self._refuse_foreign()
        with _translated():
            for folder in self._root.glob("??/*"):
                for path in _content(folder):
                    with contextlib.suppress(FileNotFoundError):
                        facts = path.stat()
                        touched_at = datetime.fromtimestamp(facts.st_mtime, UTC)
                        yield StagedChunk(folder.name, path.name, facts.st_size, touched_at)

    def sizes(self, upload_id: str) -> dict[str, int]:
        found = {}
        with _translated():
            for path in _content(self._folder(upload_id)):
                with contextlib.suppress(FileNotFoundError):
                    found[path.name] = path.stat().st_size
        if not found:
            self._refuse_foreign()
        return found

    def free_bytes(self) -> int:
        """Return what is free: nothing where not one more file can be made, or none be written."""
        self._refuse_foreign()
        with _translated():
            facts = os.statvfs(self._root)
        has_files = facts.f_favail > 0 or facts.f_files == 0  # some file systems don't count them
        is_writable = not facts.f_flag & os.ST_RDONLY
        return facts.f_bavail * facts.f_frsize if has_files and is_writable else 0

    def _refuse_foreign(self) -> None:
        if self._mark is not None:
            self._mark.check()

    def _source(self, chunk: Chunk) -> FileIO:
        """Open a chunk. It is missing only if it is where our folder is, before and after the look."""
        path = self._folder(chunk.place) / chunk.name
        try:
            return path.open("rb", buffering=0)
        except FileNotFoundError:
            self._refuse_foreign()
            return path.open("rb", buffering=0)

    def _refuse_full(self, length: int = 0) -> None:
        if self.free_bytes() - length < self._floor:
            raise StorageFull("There is no room for more uploads now; try again later.")

    def _make_shard(self, shard: str) -> None:
        # Looked at again each time: whoever mounts another disk there brings an empty folder.
        if shard not in self._shards or not (self._root / shard).is_dir():
            with _translated():
                (self._root / shard).mkdir(mode=0o700, exist_ok=True)
                sync(self._root)
            self._shards.add(shard)

    def _folder(self, upload_id: str) -> Path:
        return self._root / upload_id[-2:] / upload_id


def _opened(path: Path) -> int:
    """Make a file that was not there, in a folder that is made where it is missing."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    for _ in range(_TRIES):
        # Whoever discards the last chunk of an upload removes its folder, maybe just now: between
        # the two calls, or within mkdir, which then says that there is something else of that name.
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            return os.open(path, flags, 0o600)
    return os.open(path, flags, 0o600)


def _content(folder: Path) -> Sequence[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return ()  # gone meanwhile, or nothing of ours


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull("There is no room for more uploads now; try again later.") from error
        raise Unavailable("staging", "Staging does not answer.") from error
