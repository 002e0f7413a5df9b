"""Stored bytes, read again and compared with what was written: SHA-256 of files, CRC-64 of chunks.

Goes round: each run goes on where the one before stopped, so that what was read longest ago is
next. A damage is believed when it was read twice. Nothing is deleted: there may be a backup.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from shared.errors import Damaged, NotFound, Unavailable
from shared.model.digest import crc64
from shared.model.upload import Chunk
from shared.records import Expected
from shared.services.auditing.audit import Audit
from shared.services.auditing.findings import Kind
from shared.services.auditing.staged import kept
from shared.services.auditing.stored import confirmed, fault

log = logging.getLogger(__name__)

Thing = TypeVar("Thing", Chunk, Expected)

_PAGE: Final = 100
_BLOCK: Final = 1024 * 1024
_MOST_UNREAD: Final = 3  # then the store is in trouble, and another night will do
_FIRST: Final = ("", -1, -1)


class OutOfTime(Exception):  # no error: the run ends
    """Time was up in the middle of a file."""


@dataclass(slots=True)
class Reading:
    """One run. The cursors are what was read last, and at the end of a round the beginning."""

    audit: Audit
    file_cursor: str = ""
    chunk_cursor: tuple[str, int, int] = _FIRST
    files: int = 0
    chunks: int = 0
    bytes: int = 0
    damaged: int = 0
    unread: int = 0

    def run(self, most: int) -> None:
        """Read about `most` bytes: at most half of them from staging, the others from the store."""
        if self._round(self._next_chunks, self._read_chunk, most // 2):
            self.chunk_cursor = _FIRST
        if self._round(self._next_files, self._read_file, most - self.bytes):
            self.file_cursor = ""

    def _round(
        self,
        following: Callable[[], Sequence[Thing]],
        read: Callable[[Thing], None],
        most: int,
    ) -> bool:
        """Read what follows, within the bounds, but one thing at least; True at the end of all."""
        began = self.bytes
        while things := following():
            for thing in things:
                spent, size = self.bytes - began, _size(thing)
                if self.audit.stops() or self.unread == _MOST_UNREAD:
                    return False
                if spent and spent + size > most:
                    self.audit.capped = True
                    return False
                before = self.file_cursor, self.chunk_cursor
                try:
                    self._one(thing, read)
                except OutOfTime:
                    # Else it is too large to be read at all, and would hold up the others.
                    if spent or self.audit.is_stopping():
                        self.file_cursor, self.chunk_cursor = before
                    return False
        return True

    def _one(self, thing: Thing, read: Callable[[Thing], None]) -> None:
        """Read one thing; that it can't be read is logged, and the next may do."""
        self.bytes += _size(thing)
        self.audit.seen += 1
        try:
            read(thing)
        except (NotFound, Damaged):
            log.info("stored_bytes_gone")  # with their file, or the audit reports them
        except Unavailable:
            self.unread += 1
            log.warning("stored_bytes_not_read", exc_info=True)

    def _next_files(self) -> Sequence[Expected]:
        with self.audit.parts.records.read() as rows:
            return rows.expected.files(self.file_cursor, _PAGE)

    def _next_chunks(self) -> Sequence[Chunk]:
        with self.audit.parts.records.read() as rows:
            return rows.audits.chunks(self.chunk_cursor, _PAGE)

    def _read_file(self, file: Expected) -> None:
        self.file_cursor = file.file_id
        self.files += 1
        if not self._is_readable(file) or self._sha256(file) == file.sha256:
            return
        again = self._sha256(file)
        with self.audit.parts.records.read() as rows:
            still = [each for each in rows.expected.under([file.key]) if each.successor is None]
        if again != file.sha256 and file.sha256 in {each.sha256 for each in still}:
            self.damaged += 1
            log.error("file_damaged", extra={"file_id": file.file_id, "read": again})
            detail = f"its bytes have the SHA-256 {again}, not {file.sha256}"
            self.audit.found(Kind.FILE_DAMAGED, file.file_id, detail)

    def _is_readable(self, file: Expected) -> bool:
        """Say whether its bytes are to be compared; what a listing can't show is reported here."""
        if file.successor is not None:
            return False
        found = self.audit.parts.objects.find(file.key)
        kind, _ = fault(file, found) or (None, "")
        if kind is Kind.OBJECT_OF_ANOTHER and found is not None and found.etag == file.etag:
            confirmed(self.audit, [file])
        return kind in {None, Kind.OBJECT_CHANGED, Kind.OBJECT_ROW_WRONG}

    def _read_chunk(self, chunk: Chunk) -> None:
        self.chunk_cursor = (chunk.upload_id, chunk.number, chunk.offset)
        self.chunks += 1
        if self._crc64(chunk) == chunk.crc64 or self._crc64(chunk) == chunk.crc64:
            return
        if kept(self.audit, [chunk]):
            self.damaged += 1
            log.error("chunk_damaged", extra={"upload_id": chunk.upload_id})
            detail = f"{chunk.name} is not what was acknowledged"
            self.audit.found(Kind.CHUNK_DAMAGED, chunk.upload_id, detail)

    def _sha256(self, file: Expected) -> str:
        hashed = hashlib.sha256()
        for block in self.audit.parts.objects.read(file.key, 0, file.size) if file.size else ():
            hashed.update(block)
            if self.audit.stops():
                raise OutOfTime
        return hashed.hexdigest()

    def _crc64(self, chunk: Chunk) -> int:
        checksum = 0
        for block in self.audit.parts.staging.read(chunk, _BLOCK):
            checksum = crc64(block, checksum)
            if self.audit.stops():
                raise OutOfTime
        return checksum


def _size(thing: Chunk | Expected) -> int:
    return thing.length if isinstance(thing, Chunk) else thing.size
