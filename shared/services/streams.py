"""Streams: bytes that go on at an offset, committed as they come.

Without a checksum a body commits a chunk at a time, so that a cut one keeps its prefix; with one,
whole or not at all.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from shared.errors import ChunkTooSmall, TooLarge
from shared.model.digest import Checksum
from shared.model.lifecycle import UploadState
from shared.model.upload import Chunk, Receipt, Upload
from shared.ports import Body
from shared.services.chunks import ChunkService
from shared.services.committing import Arrived, commit, elsewhere, unless_ended
from shared.services.finding import not_receiving, refuse_direct
from shared.services.intake import HEAD_BYTES, Intake

LEAST_BODY: Final = HEAD_BYTES
MOST_SMALL: Final = 1_000


@dataclass(frozen=True, slots=True)
class StreamService:
    """Of an upload that has `MOST_SMALL` chunks below `LEAST_BODY` no more such bodies are kept.

    Each is a row and a name in staging, however short. One that ends the upload is taken.
    """

    chunks: ChunkService

    def append(
        self,
        upload: Upload,
        offset: int,
        body: Body,
        checksum: Checksum | None = None,
        *,
        size: int | None = None,
        arrived: Arrived | None = None,
    ) -> Receipt:
        """Store a stream from `offset`; the receipt says how far it came.

        A `size` that is said only now is kept with the first bytes. `arrived` is called in the
        transaction of the last byte of an upload of known size. Raises `OffsetMismatch` when the
        upload is elsewhere, `ChunkTooSmall`, `TooLarge`, `DigestMismatch`.
        """
        refuse_direct(upload)
        if upload.state is not UploadState.RECEIVING:
            raise not_receiving(upload)
        if offset != upload.received:
            raise elsewhere(upload)
        declares = upload.size is None and size is not None
        known = replace(upload, size=size) if declares else upload
        room = self.chunks.room(known)
        if body.length is not None and body.length > room:
            raise TooLarge(f"Only {room} bytes are still to come.", limit=room)
        if body.length is not None and self._scatters(known, body.length):
            raise _too_small()
        return self._stored(known, body, checksum, declares=declares, arrived=arrived)

    def refuse_more(self, upload: Upload, body: Body, checksum: Checksum | None) -> None:
        """Raise `TooLarge` unless the body is empty, and `DigestMismatch` for another checksum."""
        digests = () if checksum is None else checksum.algorithms
        with Intake(self.chunks.staging, upload.id, roll=1, limit=0, digests=digests) as intake:
            intake.take(body)
            intake.refuse_cut(body, body.length)
            intake.refuse_other(checksum)

    def _stored(
        self,
        upload: Upload,
        body: Body,
        checksum: Checksum | None,
        *,
        declares: bool,
        arrived: Arrived | None,
    ) -> Receipt:
        offset, records = upload.received, self.chunks.records
        last: list[Chunk] = []

        def commit_these(chunks: list[Chunk]) -> None:
            at = chunks[0].offset
            first, lifetime = declares and at == offset, self.chunks.lifetime
            commit(
                records, upload, chunks, at=at, lifetime=lifetime, declares=first, arrived=arrived
            )
            intake.commit()

        @cache  # of the whole body, however many chunks it is
        def is_dropped() -> bool:
            return self._is_dropped(upload, body, intake)

        def keep(chunk: Chunk) -> None:
            if body.length is None and chunk.offset + chunk.length == upload.size:
                last.append(chunk)  # unless more comes, and all is too long
            elif not is_dropped():
                commit_these([chunk])

        intake = self.chunks.intake(
            upload,
            0,
            offset,
            body.length,
            roll=self.chunks.roll,
            digest=checksum,
            keep=keep if checksum is None else None,
        )
        with unless_ended(records, upload), intake:
            intake.take(body)
            if checksum is not None:
                intake.refuse_cut(body, body.length)
                intake.refuse_other(checksum)
                if self._scatters(upload, intake.length):
                    raise _too_small()
                last = intake.chunks
            if last:
                commit_these(last)
            return Receipt(upload, 0, offset, intake.kept)

    def _is_dropped(self, upload: Upload, body: Body, intake: Intake) -> bool:
        """Say whether so little of a cut body came that it is not worth keeping.

        Who was cut comes back with more. Raises `ChunkTooSmall` for one that was whole.
        """
        # Less than that is told of only when a body has ended.
        if not self._scatters(upload, intake.length):
            return False
        if body.length is None and not body.is_cut:
            raise _too_small()
        return True

    def _scatters(self, upload: Upload, length: int) -> bool:
        """Say whether a body of this length is one small chunk too many."""
        is_small = 0 < length < LEAST_BODY and upload.received + length != upload.size
        if not is_small:
            return False
        with self.chunks.records.read() as rows:
            return rows.chunks.below(upload.id, LEAST_BODY) >= MOST_SMALL


def _too_small() -> ChunkTooSmall:
    return ChunkTooSmall(
        f"This upload has come in more than {MOST_SMALL} small pieces: send {LEAST_BODY} bytes or"
        " more at a time, or all that is missing, with its length.",
        minimum=LEAST_BODY,
    )
