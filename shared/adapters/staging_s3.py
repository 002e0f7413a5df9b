"""Staging in the bucket: `{prefix}chunks/{upload id}/{number}.{offset}.{attempt}`, an object each.

Every attempt puts a key of its own, once and create-only, so that neither a request that the store
obeys late nor a frozen writer can touch bytes that a row points at. `keep` returns after the store has
acknowledged all of them, with a checksum that it was given. Until then they are in memory, `LARGEST` at
most: what is longer goes on under another name (`Intake`), so that nothing is ever half there.
"""

import logging
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import Final

from botocore.exceptions import ClientError

from shared.adapters.objects_s3 import S3Objects
from shared.adapters.staging_s3_mark import S3StagingMark
from shared.errors import AccessDenied, AppError, Damaged, KeyTaken, NotFound, Unavailable
from shared.model.naming import staged_chunks
from shared.model.stored import Part
from shared.model.upload import Chunk
from shared.ports import StagedChunk

log = logging.getLogger(__name__)

LARGEST: Final = 8 * 1024**2  # bytes
_TYPE: Final = "application/octet-stream"
_OWNER: Final = "staging"  # no upload's id: what has one is a file's to whoever looks for strangers
_BREAKS: Final = 3  # how often an answer may break off before the store is in trouble


class S3ChunkWriter:
    def __init__(self, objects: S3Objects, key: str) -> None:
        self.name = key.rpartition("/")[2]
        self._objects = objects
        self._key = key
        self._body: BytesIO | None = BytesIO()
        self._is_asked = False  # from then on the store may have it

    def write(self, block: bytes, /) -> None:
        body = self._open()
        if body.tell() + len(block) > LARGEST:
            raise ValueError(f"a chunk in the store has at most {LARGEST} bytes")
        body.write(block)

    def keep(self) -> None:
        body = self._open().getvalue()
        self._is_asked = True
        with translated():
            try:
                self._objects.put(self._key, body, content_type=_TYPE, upload_id=_OWNER)
            except KeyTaken as error:
                # The first answer was lost, and its request asked once more.
                if self._objects.holds(self._key, _OWNER, body) is None:
                    raise Unavailable("staging", "Staging has other bytes.") from error
        self._body = None

    def drop(self) -> None:
        self._body = None
        if self._is_asked:
            with suppress(AppError):  # the sweep of orphans finds it
                self._objects.delete([self._key])

    def _open(self) -> BytesIO:
        if self._body is None:
            raise Unavailable("staging", "The chunk is closed.")
        return self._body


class S3Staging:
    """What lies below `{prefix}chunks/` in a bucket; nobody else may write there.

    `settle` says whose id it has to bear (`S3StagingMark`); without it any will do.
    """

    largest = LARGEST
    is_remote = True

    def __init__(
        self,
        objects: S3Objects,
        prefix: str,
        *,
        settle: Callable[[str | None, Callable[[str], None]], str] | None = None,
    ) -> None:
        self._objects = objects
        self._root = staged_chunks(prefix)
        self._mark = None if settle is None else S3StagingMark(objects, self._root, settle)

    def writer(self, upload_id: str, number: int, offset: int, length: int | None) -> S3ChunkWriter:
        del length
        self._refuse_foreign(look=False)
        name = f"{number:08d}.{offset:015d}.{secrets.token_hex(6)}"
        return S3ChunkWriter(self._objects, self._key(upload_id, name))

    def read(self, chunk: Chunk, block_size: int, *, most: int | None = None) -> Iterator[bytes]:
        """Yield what was acknowledged; where an answer breaks off, ask for what was still to come."""
        at = breaks = 0
        stop = chunk.length if most is None else min(most, chunk.length)
        while at < stop:
            answer = self._asked(chunk, at, stop)
            try:
                with translated():
                    for block in answer:
                        at += len(block)
                        for start in range(0, len(block), block_size):
                            yield block[start : start + block_size]
            except Unavailable:
                breaks += 1
                if breaks > _BREAKS:
                    raise
                facts = {"upload_id": chunk.upload_id, "at": at, "breaks": breaks}
                log.info("chunk_broken_off", extra=facts)
            else:
                return

    def discard(self, upload_id: str, names: Iterable[str]) -> None:
        self._delete([self._key(upload_id, name) for name in names])

    def clear(self, *upload_ids: str) -> None:
        for upload_id in upload_ids:
            try:
                there = self._objects.waiting(self._key(upload_id, ""))
                self._objects.delete([each.key for each in there])
            except AppError as error:  # the sweep of orphans finds these, and those behind them
                log.warning("chunks_not_cleared", extra={"of": upload_id, "code": error.code})
                return

    def listing(self) -> Iterator[StagedChunk]:
        self._refuse_foreign()
        with translated():
            for each in self._objects.waiting(self._root):
                upload_id, _, name = each.key.removeprefix(self._root).partition("/")
                if name:
                    yield StagedChunk(upload_id, name, each.size, each.modified_at)
                elif self._mark is not None:
                    self._mark.renew(each)

    def sizes(self, upload_id: str) -> dict[str, int]:
        start = self._key(upload_id, "")
        with translated():
            there = list(self._objects.waiting(start))
        if not there:
            self._refuse_foreign()
        return {each.key.removeprefix(start): each.size for each in there}

    @property
    def joins(self) -> bool:
        return self._objects.joins

    def join(self, chunk: Chunk, start: int, key: str, multipart_id: str, part: Part) -> Part:
        source = self._key(chunk.place, chunk.name)
        # S3 copies a range only of what has more than 5 MiB.
        at = None if part.length == chunk.length else start
        return self._objects.copy_part(source, at, key, multipart_id, part)

    def free_bytes(self) -> int:
        """Return that there is room, which a store has or says that it has not when it is asked."""
        self._refuse_foreign()
        return sys.maxsize

    def _asked(self, chunk: Chunk, start: int, stop: int) -> Iterator[bytes]:
        key = self._key(chunk.place, chunk.name)
        with translated():
            try:
                return self._objects.read(key, start, stop)
            except NotFound as error:
                # Only of a bucket that is known to be ours, and still is, is anything missing.
                self._refuse_foreign()
                if self._objects.find(key) is None:
                    raise Damaged("A staged chunk is gone.", number=chunk.number) from error
                raise Unavailable("staging", "Staging does not find what it has.") from error
            except Unavailable as outage:
                if _is_beyond(outage.__cause__):
                    raise Damaged("A staged chunk is cut.", number=chunk.number) from outage
                raise

    def _delete(self, keys: list[str]) -> None:
        if not keys:
            return
        try:
            self._objects.delete(keys)
        except AppError as error:  # the sweep of orphans finds them
            log.warning("chunks_not_deleted", extra={"chunks": len(keys), "code": error.code})

    def _refuse_foreign(self, *, look: bool = True) -> None:
        if self._mark is not None:
            with translated():
                self._mark.check(look=look)

    def _key(self, upload_id: str, name: str) -> str:
        return f"{self._root}{upload_id}/{name}"


@contextmanager
def translated() -> Iterator[None]:
    """Say of the store that it is staging which does not answer; that it denies is told as it is."""
    try:
        yield
    except AccessDenied:
        raise
    except Unavailable as outage:
        if outage.code == "objects_unavailable":
            raise Unavailable("staging", "Staging does not answer.") from outage
        raise


def _is_beyond(error: BaseException | None) -> bool:
    """Say whether the store has refused a range because the object ends before it."""
    if not isinstance(error, ClientError):
        return False
    return error.response.get("Error", {}).get("Code") in {"416", "InvalidRange"}
