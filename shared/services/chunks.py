"""Receiving: a chunk's bytes are durable, and its row committed, before it is acknowledged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.errors import BodyCut, ChunkConflict
from shared.model.caller import Caller, Scope
from shared.model.digest import Announced, Checksum, same_bytes
from shared.model.lifecycle import UploadState
from shared.model.upload import Chunk, Receipt, Upload
from shared.ports import Body, Staging
from shared.records import Records
from shared.services.committing import commit, unless_ended
from shared.services.finding import find_upload, not_receiving, refuse_direct, refuse_stream
from shared.services.fitting import expected_length, refuse_far
from shared.services.intake import HEAD_BYTES, Intake
from shared.services.screening import Screening


@dataclass(frozen=True, slots=True)
class ChunkService:
    """`roll` is the length in bytes at which a stream is committed and goes on in a new chunk.

    An upload of which no chunk comes for `lifetime` expires.
    """

    records: Records
    staging: Staging
    screening: Screening
    roll: int
    lifetime: timedelta

    def put(
        self, caller: Caller, upload_id: str, number: int, body: Body, sha256: bytes | None
    ) -> Receipt:
        """Store chunk `number` whole, or not at all.

        Raises `ChunkMisplaced` beyond the end or when it does not fill its place, `TooLarge` when
        longer than the chunk size, `ChunkConflict`, `BodyCut`, `DigestMismatch`, `Unsupported`.
        """
        upload, before = self._open_or_repeated(caller, upload_id, number)
        here = sum(each.length for each in before)  # what is sent again needs no room beside that
        other = replace(upload, received=upload.received - here)
        length = expected_length(other, number, body, self.room(other))
        roll = max(upload.chunk_size, self.roll)  # many small chunks must not be yet smaller files
        digest = None if sha256 is None else Announced("sha256", sha256)
        intake = self.intake(other, number, 0, length, roll=roll, digest=digest)
        with unless_ended(self.records, upload), intake:
            intake.take(body)
            intake.refuse_cut(body, length)
            if intake.length == 0:
                raise BodyCut("A chunk has at least one byte.", expected=1, received=0)
            intake.refuse_other(digest)
            if before:
                return self._repeat(upload, before, intake.chunks)
            try:
                commit(self.records, upload, intake.chunks, at=None, lifetime=self.lifetime)
            except ChunkConflict:
                return self._repeat(upload, self._rows(upload, number), intake.chunks)
            intake.commit()
        return Receipt(upload, number, 0, intake.length)

    def _open_or_repeated(
        self, caller: Caller, upload_id: str, number: int
    ) -> tuple[Upload, list[Chunk]]:
        """Return the upload and what it has of this chunk: that may be sent again at any time."""
        caller.require(Scope.FILES_WRITE)
        with self.records.read() as rows:
            upload = find_upload(rows, caller, upload_id)
            refuse_direct(upload)
            refuse_stream(upload)
            refuse_far(number)
            before = rows.chunks.of(upload_id, number) if number or upload.received else []
        if upload.state is not UploadState.RECEIVING and not before:
            raise not_receiving(upload)
        return upload, before

    def room(self, upload: Upload) -> int:
        """Return how many bytes may still come."""
        if upload.size is not None:
            return upload.size - upload.received
        return self.screening.largest(upload.profile) - upload.received

    def intake(
        self,
        upload: Upload,
        number: int,
        offset: int,
        expected: int | None,
        *,
        roll: int,
        digest: Checksum | None,
        keep: Callable[[Chunk], None] | None = None,
    ) -> Intake:
        """Begin to store a body of this upload; whoever uses it commits the rows."""

        def look(head: bytes) -> None:
            # Less than a full head says little of a file that goes on.
            if len(head) == HEAD_BYTES or len(head) == upload.size:
                self.screening.refuse_beginning(upload, head)

        return Intake(
            self.staging,
            upload.id,
            number=number,
            offset=offset,
            roll=roll,
            expected=expected,
            limit=self.room(upload) if expected is None else expected,
            digests=() if digest is None else digest.algorithms,
            look=look if number == 0 and offset == 0 and not upload.is_part else None,
            keep=keep,
        )

    def _rows(self, upload: Upload, number: int) -> list[Chunk]:
        """Return the rows that came first, unless a cancel has taken them away again."""
        with self.records.read() as rows:
            found = rows.chunks.of(upload.id, number)
            if not found:
                raise not_receiving(rows.uploads.find(upload.id) or upload)
            return found

    def _repeat(self, upload: Upload, before: Sequence[Chunk], again: Sequence[Chunk]) -> Receipt:
        number = before[0].number
        if not same_bytes(before, again):
            raise ChunkConflict(f"Chunk {number} is here already, with other bytes.")
        return Receipt(upload, number, 0, sum(each.length for each in before), repeated=True)
