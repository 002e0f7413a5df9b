"""Where a job's bytes come from: chunks in staging, or an object that its client sent to the store."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from shared.errors import AppError, Damaged, KeyTaken, NotFound, Rejected, Unavailable
from shared.model.digest import crc64
from shared.model.direct import Direct
from shared.ports import ObjectStore, Staging
from shared.services.claims import Claim

log = logging.getLogger(__name__)

BLOCK_BYTES: Final = 256 * 1024
_RANGE_BYTES: Final = 64 * 1024 * 1024  # of one request
_BREAKS: Final = 3  # how often an answer may break off before the store is in trouble


@dataclass(frozen=True, slots=True)
class Source:
    """Reads what was acknowledged, and nothing else, any number of times.

    `check` raises when the job is not to go on.
    """

    staging: Staging
    objects: ObjectStore
    check: Callable[[], object]

    def head(self, claim: Claim, size: int) -> bytes:
        """Return the first `size` bytes, not held against anything."""
        direct = _direct(claim)
        if direct is not None:
            stop = min(size, claim.upload.received)
            return b"".join(self._range(direct, 0, stop)) if stop else b""
        head = b""
        for chunk in claim.chunks:
            if len(head) >= size:
                break
            head += b"".join(self.staging.read(chunk, BLOCK_BYTES, most=size - len(head)))
        return head

    def blocks(self, claim: Claim) -> Iterator[bytes]:
        """Yield the file's bytes in order, each chunk held against its checksum.

        Raises `Damaged` when there is not what was acknowledged, `Rejected` when its client has
        written other bytes over it since.
        """
        direct = _direct(claim)
        return self._chunks(claim) if direct is None else self._object(claim, direct)

    def _chunks(self, claim: Claim) -> Iterator[bytes]:
        if sum(chunk.length for chunk in claim.chunks) != claim.upload.received:
            raise Damaged("The chunks are not all that was received.")
        for chunk in claim.chunks:
            length = checksum = 0
            for block in self.staging.read(chunk, BLOCK_BYTES):
                length += len(block)
                checksum = crc64(block, checksum)
                yield block
            if (length, checksum) != (chunk.length, chunk.crc64):
                raise Damaged("A staged chunk is not what was sent.", number=chunk.number)

    def _object(self, claim: Claim, direct: Direct) -> Iterator[bytes]:
        size, length = claim.upload.received, 0
        for start in range(0, size, _RANGE_BYTES):
            for block in self._range(direct, start, min(start + _RANGE_BYTES, size)):
                length += len(block)
                yield block
        if length != size:
            raise Damaged("The store has not what it said it had.")

    def _range(self, direct: Direct, start: int, stop: int) -> Iterator[bytes]:
        """Yield these bytes; where an answer breaks off, ask again for what was still to come."""
        breaks = 0
        while start < stop:
            blocks = self._asked(direct, start, stop)
            try:
                for block in blocks:
                    start += len(block)
                    yield block
            except Unavailable:
                breaks += 1
                if breaks > _BREAKS:
                    raise
                log.info("read_broken_off", extra={"at": start, "breaks": breaks})
                self.check()
            else:
                return

    def _asked(self, direct: Direct, start: int, stop: int) -> Iterator[bytes]:
        try:
            return self.objects.read(direct.key, start, stop, etag=direct.etag)
        except KeyTaken as error:
            raise unsealed(is_there=True) from error
        except NotFound as error:
            raise unsealed(is_there=False) from error


def _direct(claim: Claim) -> Direct | None:
    """Return where the bytes lie that never passed us.

    Raises `Damaged` when their ETag is not known: whoever sealed them did not know this way.
    """
    direct = claim.direct
    if claim.upload.is_direct and (direct is None or direct.etag is None):
        raise Damaged("The upload was sealed without the bytes that its client sent to the store.")
    return direct


def unsealed(*, is_there: bool) -> AppError:
    """Return what it means that the store has not what was sealed: other bytes, or none."""
    if is_there:
        return Rejected("upload_changed", "The upload was written over after it was complete.")
    return Damaged("The store has not what was uploaded to it.")
