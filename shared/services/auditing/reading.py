"""Stored bytes, read again and compared with what was written: SHA-256 of files, CRC-64 of chunks.

Goes round: each run goes on where the one before stopped, so that what was read longest ago is
next. A damage is believed when it was read twice. Nothing is deleted: there may be a backup.

What can't be read is a finding when it fails twice and another can be read right after, for which a
few are asked that follow: else the store is away, and the run ends. Neither keeps the cursors from going on.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from shared.errors import AppError, Damaged, NotFound, Unavailable
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
_MOST_UNREAD: Final = 3  # then it is asked for another: if that can't be read either, it is away
_MOST_ASKED: Final = 5  # of those that follow, where none could be read so far
_FIRST: Final = ("", -1, -1)


class OutOfTime(Exception):  # no error: the run ends
    """Time was up in the middle of a file."""


@dataclass(slots=True)
class Doubts(Generic[Thing]):
    """What of one round could not be read so far, the last thing that could, and where others are."""

    following: Callable[..., Sequence[Thing]]
    unread: list[Thing] = field(default_factory=list)
    witness: Thing | None = None


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
        following: Callable[..., Sequence[Thing]],
        read: Callable[[Thing], bool],
        most: int,
    ) -> bool:
        """Read what follows, within the bounds, but one thing at least; True at the end of all."""
        began, doubts = self.bytes, Doubts[Thing](following)
        while things := following():
            for thing in things:
                spent, size = self.bytes - began, _size(thing)
                if self.audit.stops():
                    return False
                if spent and spent + size > most:
                    self.audit.capped = True
                    self._settle(doubts, read)
                    return False
                before = self.file_cursor, self.chunk_cursor
                try:
                    self._one(thing, read, doubts)
                except OutOfTime:
                    # Else it is too large to be read at all, and would hold up the others.
                    if spent or self.audit.is_stopping():
                        self.file_cursor, self.chunk_cursor = before
                    return False
                if len(doubts.unread) == _MOST_UNREAD and not self._settle(doubts, read):
                    return not following()
        self._settle(doubts, read)
        return True

    def _one(self, thing: Thing, read: Callable[[Thing], bool], doubts: Doubts[Thing]) -> None:
        """Read one thing; that it can't be read is logged, and the next may do."""
        self.bytes += _size(thing)
        self.audit.seen += 1
        self._pass(thing)
        try:
            was_read = read(thing)
        except (NotFound, Damaged):
            log.info("stored_bytes_gone")  # with their file, or the audit reports them
        except Unavailable:
            self.unread += 1
            doubts.unread.append(thing)
            log.warning("stored_bytes_not_read", exc_info=True)
        else:
            doubts.witness = thing if was_read and _size(thing) else doubts.witness

    def _settle(self, doubts: Doubts[Thing], read: Callable[[Thing], bool]) -> bool:
        """Try again what could not be read, and report it; False when the store is away."""
        unread, doubts.unread = doubts.unread, []
        for thing in unread:
            try:
                read(thing)
            except (NotFound, Damaged):
                log.info("stored_bytes_gone")
            except Unavailable as problem:
                doubts.witness = doubts.witness or self._witness(doubts, unread)
                if doubts.witness is None or not self._is_readable(doubts.witness):
                    return False
                self._report_unreadable(thing, problem)
                continue
            except OutOfTime:
                return False
            self.unread -= 1
        return True

    def _witness(self, doubts: Doubts[Thing], unread: Sequence[Thing]) -> Thing | None:
        """Return one of a few others, far apart, that can be read; what is broken may lie together."""
        found = doubts.following() or doubts.following(anew=True)
        others = [each for each in found if _size(each) and each not in unread]
        for each in others[:: len(others) // _MOST_ASKED + 1]:
            if self.audit.stops():
                break
            if self._is_readable(each):
                return each
        return None

    def _is_readable(self, thing: Thing) -> bool:
        try:
            next(iter(_blocks(self.audit, thing)), None)
        except AppError:
            return False
        return True

    def _report_unreadable(self, thing: Chunk | Expected, problem: Unavailable) -> None:
        if isinstance(thing, Chunk):
            if kept(self.audit, [thing]):
                detail = f"{thing.name} can't be read: {problem}"
                self.audit.found(Kind.CHUNK_UNREADABLE, thing.upload_id, detail)
            return
        with self.audit.parts.records.read() as rows:
            still = {each.file_id for each in rows.expected.under([thing.key])}
        if thing.file_id in still:
            detail = f"its bytes can't be read: {problem}"
            self.audit.found(Kind.FILE_UNREADABLE, thing.file_id, detail)

    def _pass(self, thing: Chunk | Expected) -> None:
        if isinstance(thing, Chunk):
            self.chunk_cursor = (thing.upload_id, thing.number, thing.offset)
            self.chunks += 1
        else:
            self.file_cursor = thing.file_id
            self.files += 1

    def _next_files(self, *, anew: bool = False) -> Sequence[Expected]:
        with self.audit.parts.records.read() as rows:
            return rows.expected.files("" if anew else self.file_cursor, _PAGE)

    def _next_chunks(self, *, anew: bool = False) -> Sequence[Chunk]:
        with self.audit.parts.records.read() as rows:
            return rows.audits.chunks(_FIRST if anew else self.chunk_cursor, _PAGE)

    def _read_file(self, file: Expected) -> bool:
        """Compare its bytes; False when there was nothing to read."""
        if not self._is_comparable(file):
            return False
        if self._sha256(file) == file.sha256:
            return True
        again = self._sha256(file)
        with self.audit.parts.records.read() as rows:
            still = [each for each in rows.expected.under([file.key]) if each.successor is None]
        if again != file.sha256 and file.sha256 in {each.sha256 for each in still}:
            self.damaged += 1
            log.error("file_damaged", extra={"file_id": file.file_id, "read": again})
            detail = f"its bytes have the SHA-256 {again}, not {file.sha256}"
            self.audit.found(Kind.FILE_DAMAGED, file.file_id, detail)
        return True

    def _is_comparable(self, file: Expected) -> bool:
        """Say whether its bytes are to be compared; what a listing can't show is reported here."""
        if file.successor is not None:
            return False
        found = self.audit.parts.objects.find(file.key)
        kind, _ = fault(file, found) or (None, "")
        if kind is Kind.OBJECT_OF_ANOTHER and found is not None and found.etag == file.etag:
            confirmed(self.audit, [file])
        return kind in {None, Kind.OBJECT_CHANGED, Kind.OBJECT_ROW_WRONG}

    def _read_chunk(self, chunk: Chunk) -> bool:
        if self._crc64(chunk) == chunk.crc64 or self._crc64(chunk) == chunk.crc64:
            return True
        if kept(self.audit, [chunk]):
            self.damaged += 1
            log.error("chunk_damaged", extra={"upload_id": chunk.upload_id})
            detail = f"{chunk.name} is not what was acknowledged"
            self.audit.found(Kind.CHUNK_DAMAGED, chunk.upload_id, detail)
        return True

    def _sha256(self, file: Expected) -> str:
        hashed = hashlib.sha256()
        for block in _blocks(self.audit, file):
            hashed.update(block)
            if self.audit.stops():
                raise OutOfTime
        return hashed.hexdigest()

    def _crc64(self, chunk: Chunk) -> int:
        checksum = 0
        for block in _blocks(self.audit, chunk):
            checksum = crc64(block, checksum)
            if self.audit.stops():
                raise OutOfTime
        return checksum


def _size(thing: Chunk | Expected) -> int:
    return thing.length if isinstance(thing, Chunk) else thing.size


def _blocks(audit: Audit, thing: Chunk | Expected) -> Iterable[bytes]:
    if isinstance(thing, Chunk):
        return audit.parts.staging.read(thing, _BLOCK)
    return audit.parts.objects.read(thing.key, 0, thing.size) if thing.size else ()
