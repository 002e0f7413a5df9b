"""Receiving: a chunk's bytes are durable, and its row committed, before it is acknowledged.

No locks: one row decides. Who loses a race has changed nothing and drops its bytes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from shared.errors import (
    BodyCut,
    ChunkConflict,
    OffsetMismatch,
    OutcomeUnknown,
    QuotaExceeded,
    TooLarge,
    Unavailable,
)
from shared.model.caller import Caller, Scope
from shared.model.digest import Announced, same_bytes
from shared.model.lifecycle import UploadState
from shared.model.upload import Chunk, Receipt, Upload
from shared.ports import Body, Staging
from shared.records import Records, Transaction
from shared.services.finding import (
    find_upload,
    looked_up,
    not_receiving,
    refuse_direct,
    refuse_stream,
)
from shared.services.fitting import expected_length
from shared.services.intake import HEAD_BYTES, Intake
from shared.services.screening import Screening

Arrived = Callable[[Transaction, Upload], object]


@dataclass(frozen=True, slots=True)
class ChunkService:
    """`roll` is the length in bytes at which a stream is committed and goes on in a new chunk."""

    records: Records
    staging: Staging
    screening: Screening
    roll: int

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
        length = expected_length(other, number, body, self._room(other))
        roll = max(upload.chunk_size, self.roll)  # many small chunks must not be yet smaller files
        digest = None if sha256 is None else Announced("sha256", sha256)
        intake = self.intake(other, number, 0, length, roll=roll, digest=digest)
        with self._unless_ended(upload), intake:
            intake.take(body)
            intake.refuse_cut(body, length)
            if intake.length == 0:
                raise BodyCut("A chunk has at least one byte.", expected=1, received=0)
            intake.refuse_other(digest)
            if before:
                return self._repeat(upload, before, intake.chunks)
            try:
                self._commit(upload, intake.chunks, at=None)
            except ChunkConflict:
                return self._repeat(upload, self._rows(upload, number), intake.chunks)
            intake.commit()
        return Receipt(upload, number, 0, intake.length)

    def append(
        self,
        caller: Caller,
        upload_id: str,
        offset: int,
        body: Body,
        digest: Announced | None = None,
        *,
        arrived: Arrived | None = None,
    ) -> Receipt:
        """Store a stream from `offset`; the receipt says how far it came.

        Without a digest it commits as it comes, a chunk at a time, so that a cut body keeps its
        prefix; with one, whole or not at all. `arrived` is called in the transaction of the last byte
        of an upload of known size. Raises `OffsetMismatch` when the upload is elsewhere.
        """
        caller.require(Scope.FILES_WRITE)
        with self.records.read() as rows:
            upload = find_upload(rows, caller, upload_id)
        refuse_direct(upload)
        if upload.state is not UploadState.RECEIVING:
            raise not_receiving(upload)
        if offset != upload.received:
            raise elsewhere(upload)
        room = self._room(upload)
        if body.length is not None and body.length > room:
            raise TooLarge(f"Only {room} bytes are still to come.", limit=room)

        last: list[Chunk] = []

        def keep(chunk: Chunk) -> None:
            if body.length is None and chunk.offset + chunk.length == upload.size:
                last.append(chunk)  # unless more comes, and all is too long
                return
            self._commit(upload, [chunk], at=chunk.offset, arrived=arrived)
            intake.commit()

        as_it_comes = keep if digest is None else None
        intake = self.intake(
            upload, 0, offset, body.length, roll=self.roll, digest=digest, keep=as_it_comes
        )
        with self._unless_ended(upload), intake:
            intake.take(body)
            if digest is not None:
                intake.refuse_cut(body, body.length)
                intake.refuse_other(digest)
                last = intake.chunks
            if last:
                self._commit(upload, last, at=last[0].offset, arrived=arrived)
                intake.commit()
        return Receipt(upload, 0, offset, intake.length)

    def _open_or_repeated(
        self, caller: Caller, upload_id: str, number: int
    ) -> tuple[Upload, list[Chunk]]:
        """Return the upload and what it has of this chunk: that may be sent again at any time."""
        caller.require(Scope.FILES_WRITE)
        with self.records.read() as rows:
            upload = find_upload(rows, caller, upload_id)
            refuse_direct(upload)
            refuse_stream(upload)
            before = rows.chunks.of(upload_id, number) if number or upload.received else []
        if upload.state is not UploadState.RECEIVING and not before:
            raise not_receiving(upload)
        return upload, before

    def _room(self, upload: Upload) -> int:
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
        digest: Announced | None,
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
            limit=self._room(upload) if expected is None else expected,
            digest=None if digest is None else digest.algorithm,
            look=look if number == 0 and offset == 0 and not upload.is_part else None,
            keep=keep,
        )

    def _commit(
        self,
        upload: Upload,
        chunks: Sequence[Chunk],
        *,
        at: int | None,
        arrived: Arrived | None = None,
    ) -> None:
        if not chunks:
            return
        length = sum(chunk.length for chunk in chunks)
        reserve = length if upload.size is None else 0
        try:
            with self.records.begin() as rows:
                if not rows.uploads.add_bytes(upload.id, length, at=at, reserve=reserve):
                    self._lost(rows, upload, at)
                if at is not None and upload.size is None:
                    _refuse_declared(rows, upload.id, at)
                if not rows.chunks.add(chunks):
                    raise ChunkConflict("Other bytes came first.")
                if reserve and not rows.quotas.reserve(upload.tenant, reserve):
                    raise QuotaExceeded("This tenant's quota is used up.")
                if arrived is not None and (at or 0) + length == upload.size:
                    arrived(rows, upload)
        except OutcomeUnknown as lost:
            name = chunks[0].name
            looked_up(self.records, lost, lambda rows: name in rows.chunks.names(upload.id) or None)

    @contextmanager
    def _unless_ended(self, upload: Upload) -> Iterator[None]:
        """Whoever cancels takes the folder away under a writer: then say so, not that it is gone."""
        try:
            yield
        except Unavailable as error:
            if error.code == "staging_unavailable":
                with self.records.read() as rows:
                    now = rows.uploads.find(upload.id) or upload
                if now.state is not UploadState.RECEIVING:
                    raise not_receiving(now) from error
            raise

    def _lost(self, rows: Transaction, upload: Upload, at: int | None) -> None:
        now = rows.uploads.find(upload.id) or upload
        if at is not None and now.state is UploadState.RECEIVING:
            raise elsewhere(now)
        raise not_receiving(now)

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
        length = sum(chunk.length for chunk in before)
        return Receipt(upload, number, 0, length, repeated=True)


def elsewhere(upload: Upload) -> OffsetMismatch:
    return OffsetMismatch(f"This upload goes on at byte {upload.received}.", offset=upload.received)


def _refuse_declared(rows: Transaction, upload_id: str, at: int) -> None:
    """Whoever does not know the length that was said meanwhile is the old request, and loses."""
    if (now := rows.uploads.find(upload_id)) is not None and now.size is not None:
        raise OffsetMismatch("This upload has got a length; ask where it is.", offset=at)
