"""Uploads that are sent from offset to offset, as tus 1.0 has them; their address is the right to.

The last byte queues the job, in its own transaction: nobody has to say that the upload is complete.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from uuid_utils.compat import uuid7

from shared.errors import (
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    OutcomeUnknown,
    QuotaExceeded,
    TooLarge,
)
from shared.model.caller import Caller, Scope
from shared.model.digest import ALGORITHMS, Announced
from shared.model.job import Job
from shared.model.lifecycle import UploadState
from shared.model.resumable import Capability, Resumable
from shared.model.upload import Chunk, NewUpload, Receipt, Transfer, Upload
from shared.ports import Body
from shared.records import Records, Transaction
from shared.services.chunks import ChunkService, elsewhere
from shared.services.files import FileService
from shared.services.finding import find_upload, is_id, looked_up
from shared.services.intake import refuse_unlike
from shared.services.jobs import JobService
from shared.services.joining import Parts, join, joined_before, parts_of, queued
from shared.services.releasing import release
from shared.services.resumption import Resumption, is_over, resumption
from shared.services.uploads import UploadService

_AT_WORK: Final = frozenset({UploadState.RECEIVING, UploadState.SEALED, UploadState.PROCESSING})


@dataclass(frozen=True, slots=True)
class ResumeService:
    records: Records
    uploads: UploadService
    chunks: ChunkService
    jobs: JobService
    files: FileService

    def open(
        self,
        caller: Caller,
        new: NewUpload,
        said: str | None,
        body: Body | None = None,
        digest: Announced | None = None,
    ) -> Capability:
        """Open an upload, with what comes of it already: all of that, or it is not opened.

        Raises what `UploadService.open` and `ChunkService.append` raise.
        """
        caller.require(Scope.FILES_WRITE)
        upload = self.uploads.draft(caller, new, str(uuid7()))
        if body is None:
            return self._opened(caller, new, upload, said, ())
        room = self.uploads.screening.largest(new.profile) if new.size is None else new.size
        if body.length is not None and body.length > room:
            raise TooLarge(f"The body is longer than {room} bytes.", limit=room)
        roll = self.chunks.roll
        with self.chunks.intake(upload, 0, 0, body.length, roll=roll, digest=digest) as intake:
            intake.take(body)
            intake.refuse_cut(body, body.length)
            intake.refuse_other(digest)
            opened = self._opened(caller, new, upload, said, intake.chunks)
            intake.commit()
        return opened

    def join(self, caller: Caller, new: NewUpload, said: str | None, parts: Parts) -> Capability:
        """Open the upload that joins partial ones in this order; a repeat renews the first's address.

        Raises `Conflict` for what is no partial upload or is part of another, `TooLarge`.
        """
        caller.require(Scope.FILES_WRITE)
        new = replace(new, transfer=Transfer.JOINED)
        upload = self.uploads.draft(caller, new, str(uuid7()))
        capability = Capability.new(upload.id)
        job: Job | None = None
        with self.records.begin() as rows:
            before = joined_before(rows, caller, parts.ids)
            if before is None:
                # Held before they are looked at, in one order: else a last byte that is committed
                # meanwhile sees nobody who waits for it, and of two joins at once one waits for ever.
                for part_id in sorted(parts.ids):
                    rows.uploads.hold(part_id, UploadState.RECEIVING)
                before = joined_before(rows, caller, parts.ids)
            if before is not None:
                first = rows.resumables.find(before.id)
                if first is None or first.said != said:
                    raise Conflict("These partial uploads were joined with other metadata.")
                capability = Capability.new(before.id)
                rows.resumables.renew(before.id, capability.secret_sha256)
                return capability
            size = sum(each.size or 0 for each in parts_of(rows, caller, parts.ids))
            whole = replace(new, filename=upload.filename, size=size)
            self.uploads.screening.refuse_declaration(whole)
            self.uploads.admit(rows, upload, caller, new)
            hashed = capability.secret_sha256
            rows.resumables.add(Resumable(upload.id, hashed, said, parts.said, parts.ids))
            job = join(rows, upload.id, self.jobs)
        self._announce(job)
        return capability

    def enter(self, capability: Capability) -> Upload:
        """Return the upload whose address this is. Raises `NotFound`, `Gone`."""
        if not is_id(capability.upload_id):  # nor anything that a database would look for
            raise NotFound("upload")
        with self.records.read() as rows:
            row = rows.resumables.find(capability.upload_id)
            upload = rows.uploads.find(capability.upload_id)
            if row is None or upload is None or not row.opens_with(capability.secret):
                raise NotFound("upload")
            if is_over(rows, upload, row):
                raise Gone("This upload is over.", state=str(upload.state))
        return upload

    def status(self, caller: Caller, upload_id: str) -> Resumption:
        caller.require(Scope.FILES_WRITE)
        with self.records.read() as rows:
            upload, row = find_upload(rows, caller, upload_id), rows.resumables.find(upload_id)
            if row is None:
                raise NotFound("upload")
            return resumption(rows, upload, row)

    def append(
        self,
        caller: Caller,
        upload: Upload,
        offset: int,
        body: Body,
        *,
        size: int | None = None,
        digest: Announced | None = None,
    ) -> Receipt:
        """Go on with a stream, whose `size` may be said only now.

        Nothing more, at the end of one that is whole, is success. Raises `Forbidden` of what joins
        others, `OffsetMismatch`, `TooLarge`, `DigestMismatch`, `Invalid` for another size.
        """
        caller.require(Scope.FILES_WRITE)
        if upload.transfer is Transfer.JOINED:
            raise Forbidden("What joins other uploads takes no bytes of its own.")
        if offset != upload.received:
            raise elsewhere(upload)
        whole = upload.size if size is None else size
        if whole != upload.size and (upload.size is not None or (whole or 0) < offset):
            raise Invalid("The length of an upload does not change.", length=upload.size)
        if whole is not None and offset + (body.length or 0) > whole:
            raise TooLarge("The upload is shorter than that.", limit=whole - offset)
        if whole is not None and whole != upload.size:
            self._declare(upload, whole)
        if offset == whole and body.length == 0:
            refuse_unlike(digest, ALGORITHMS[digest.algorithm]().digest() if digest else None)
            return Receipt(upload, 0, offset, 0, repeated=True)
        ended: list[Job | None] = []
        receipt = self.chunks.append(
            caller,
            upload.id,
            offset,
            body,
            digest,
            arrived=lambda rows, here: ended.append(self._arrived(rows, here)),
        )
        for job in ended:
            self._announce(job)
        return receipt

    def end(self, caller: Caller, upload: Upload) -> None:
        """Close the upload's address, and free what it has: its bytes, its job or its file."""
        caller.require(Scope.FILES_WRITE)
        if upload.state in _AT_WORK:
            self.uploads.cancel(caller, upload.id)
        elif upload.state is UploadState.READY:
            self.files.delete(caller, upload.id, hard=True)
        with self.records.begin() as rows:
            # A failed one is kept for a retry, which nobody wants any more.
            is_kept = rows.uploads.hold(upload.id, UploadState.FAILED)
            places = release(rows, upload.id) if is_kept else set()
            rows.resumables.drop(upload.id)
        self.uploads.staging.clear(*places)

    def _opened(
        self,
        caller: Caller,
        new: NewUpload,
        upload: Upload,
        said: str | None,
        chunks: Sequence[Chunk],
    ) -> Capability:
        capability = Capability.new(upload.id)
        job: Job | None = None
        try:
            with self.records.begin() as rows:
                self.uploads.admit(rows, upload, caller, new)
                concat = "partial" if upload.is_part else None
                hashed = capability.secret_sha256
                rows.resumables.add(Resumable(upload.id, hashed, said, concat))
                job = self._added(rows, upload, chunks)
        except OutcomeUnknown as lost:
            looked_up(self.records, lost, lambda rows: rows.resumables.find(upload.id))
        self._announce(job)
        return capability

    def _added(self, rows: Transaction, upload: Upload, chunks: Sequence[Chunk]) -> Job | None:
        length = sum(chunk.length for chunk in chunks)
        reserve = length if upload.size is None else 0
        if chunks:
            rows.uploads.add_bytes(upload.id, length, at=0, reserve=reserve)
            rows.chunks.add(chunks)
        if reserve and not rows.quotas.reserve(upload.tenant, reserve):
            raise QuotaExceeded("This tenant's quota is used up.")
        return self._arrived(rows, upload) if length == upload.size else None

    def _arrived(self, rows: Transaction, upload: Upload) -> Job | None:
        """Queue what the last byte of an upload was waited for with."""
        if not upload.is_part:
            return queued(rows, upload.id, self.jobs)
        jobs = [join(rows, each, self.jobs) for each in rows.resumables.awaiting(upload.id)]
        return next((job for job in jobs if job is not None), None)

    def _declare(self, upload: Upload, size: int) -> None:
        said = NewUpload(upload.filename, size, upload.declared_type, profile=upload.profile)
        self.uploads.screening.refuse_declaration(said)
        job: Job | None = None
        with self.records.begin() as rows:
            if not rows.uploads.declare(upload.id, size):
                raise Invalid("The length of an upload does not change.")
            now = rows.uploads.find(upload.id) or upload
            rows.uploads.settle(upload.id, reserved=size)
            if now.received == size:
                job = self._arrived(rows, now)
            # After the rows of uploads, as whoever cancels takes them.
            if not rows.quotas.reserve(now.tenant, size - now.reserved):
                raise QuotaExceeded("This tenant's quota is used up.")
        self._announce(job)

    def _announce(self, job: Job | None) -> None:
        if job is not None:
            self.jobs.announce(job)
