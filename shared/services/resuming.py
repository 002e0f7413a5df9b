"""Uploads that are sent from offset to offset, as tus 1.0 has them; their address is the right to.

The last byte queues the job, in its own transaction: nobody has to say that the upload is complete.
"""

from collections.abc import Sequence
from contextlib import suppress
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
    TooLarge,
)
from shared.model.caller import Caller, Scope
from shared.model.digest import Checksum
from shared.model.job import Job
from shared.model.lifecycle import UploadState
from shared.model.resumable import Capability, Resumable
from shared.model.upload import Chunk, NewUpload, Receipt, Transfer, Upload
from shared.ports import Body
from shared.records import Records, Transaction
from shared.services.committing import declare, elsewhere, lose, reserve
from shared.services.files import FileService
from shared.services.finding import find_upload, is_id, looked_up
from shared.services.jobs import JobService
from shared.services.joining import Parts, arrived, join, joined_again, parts_of
from shared.services.releasing import release
from shared.services.resumption import Opened, Resumption, found, is_over, standing
from shared.services.streams import StreamService
from shared.services.uploads import UploadService

_AT_WORK: Final = frozenset({UploadState.RECEIVING, UploadState.SEALED, UploadState.PROCESSING})


@dataclass(frozen=True, slots=True)
class ResumeService:
    records: Records
    uploads: UploadService
    streams: StreamService
    jobs: JobService
    files: FileService

    def open(
        self,
        caller: Caller,
        new: NewUpload,
        said: str | None,
        body: Body | None = None,
        checksum: Checksum | None = None,
    ) -> Opened:
        """Open an upload, with what comes of it already: all of that, or it is not opened.

        Raises what `UploadService.open` and `StreamService.append` raise.
        """
        caller.require(Scope.FILES_WRITE)
        upload = self.uploads.draft(caller, new, str(uuid7()))
        if body is None:
            return self._opened(caller, new, upload, said, ())
        room = self.uploads.screening.largest(new.profile) if new.size is None else new.size
        if body.length is not None and body.length > room:
            raise TooLarge(f"The body is longer than {room} bytes.", limit=room)
        chunks = self.streams.chunks
        with chunks.intake(upload, 0, 0, body.length, roll=chunks.roll, digest=checksum) as intake:
            intake.take(body)
            intake.refuse_cut(body, body.length)
            intake.refuse_other(checksum)
            opened = self._opened(caller, new, upload, said, intake.chunks)
            intake.commit()
        return opened

    def join(self, caller: Caller, new: NewUpload, said: str | None, parts: Parts) -> Opened:
        """Open the upload that joins partial ones in this order; a repeat renews the first's address.

        Raises `Conflict` for what is no partial upload or is part of another, `TooLarge`.
        """
        caller.require(Scope.FILES_WRITE)
        new = replace(new, transfer=Transfer.JOINED)
        upload = self.uploads.draft(caller, new, str(uuid7()))
        with self.records.begin() as rows:
            capability = joined_again(rows, caller, said, parts)
            if capability is not None:
                return found(rows, capability)
            size = sum(each.size or 0 for each in parts_of(rows, caller, parts.ids))
            whole = replace(new, filename=upload.filename, size=size)
            self.uploads.screening.refuse_declaration(whole)
            self.uploads.admit(rows, upload, caller, new)
            capability = Capability.new(upload.id)
            rows.resumables.add(parts.resumable(capability, said))
            job = join(rows, upload.id, self.jobs)
            if job is None and parts.have_to_be_whole:
                raise Conflict("Not all of these partial uploads are complete.")
            opened = found(rows, capability)
        self._announce(job)
        return opened

    def enter(self, capability: Capability) -> Upload:
        """Return the upload whose address this is. Raises `NotFound`, `Gone`."""
        if not is_id(capability.upload_id):  # nor anything that a database would look for
            raise NotFound("upload")
        with self.records.read() as rows:
            row = rows.resumables.find(capability.upload_id)
            upload = rows.uploads.find(capability.upload_id)
            if row is None or upload is None or not row.opens_with(capability.secret):
                raise NotFound("upload")
            if is_over(rows, upload, row, self.streams.chunks.lifetime):
                raise Gone("This upload is over.", state=str(upload.state))
        return upload

    def status(self, caller: Caller, capability: Capability) -> Resumption:
        """Return where the upload is. Raises `NotFound`, also if it has got another address."""
        caller.require(Scope.FILES_WRITE)
        with self.records.read() as rows:
            find_upload(rows, caller, capability.upload_id)
            return found(rows, capability).resumption

    def append(
        self,
        caller: Caller,
        upload: Upload,
        offset: int,
        body: Body,
        *,
        size: int | None = None,
        checksum: Checksum | None = None,
    ) -> Receipt:
        """Go on with a stream, whose `size` may be said only now; it is kept with the bytes, or not.

        Nothing more, at the end of one that is whole, is success. Raises `Forbidden` of what joins
        others, `OffsetMismatch`, `TooLarge`, `DigestMismatch`, `Invalid` for another size.
        """
        caller.require(Scope.FILES_WRITE)
        if upload.transfer is Transfer.JOINED:
            raise Forbidden("What joins other uploads takes no bytes of its own.")
        if offset != upload.received:
            raise elsewhere(upload)
        whole = upload.size if size is None else size
        declares = whole != upload.size
        if declares and (upload.size is not None or (whole or 0) < offset):
            raise Invalid("The length of an upload does not change.", length=upload.size)
        if whole is not None and offset + (body.length or 0) > whole:
            raise TooLarge("The upload is shorter than that.", limit=whole - offset)
        if declares:
            self._refuse_size(upload, whole)
        ended: list[Job | None] = []
        if offset == whole:
            self.streams.refuse_more(upload, body, checksum)
            receipt = Receipt(upload, 0, offset, 0, repeated=True)
        else:
            receipt = self.streams.append(
                upload,
                offset,
                body,
                checksum,
                size=whole,
                arrived=lambda rows, here: ended.append(arrived(rows, here, self.jobs)),
            )
        if declares and whole is not None and not (receipt.length or body.length or body.is_cut):
            ended.append(self._declare(upload, whole))
        for job in ended:
            self._announce(job)
        return receipt

    def end(self, caller: Caller, upload: Upload) -> None:
        """Close the upload's address, and free what it has: its bytes, or its job.

        A file that it has become is deleted as files are, for a caller who may; it stays for others.
        """
        caller.require(Scope.FILES_WRITE)
        if upload.state in _AT_WORK:
            self.uploads.cancel(caller, upload.id)
        elif upload.state is UploadState.READY and caller.may(Scope.FILES_DELETE):
            with suppress(NotFound):  # somebody was quicker
                self.files.delete(caller, upload.id, hard=False)
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
    ) -> Opened:
        capability = Capability.new(upload.id)
        job: Job | None = None
        try:
            with self.records.begin() as rows:
                self.uploads.admit(rows, upload, caller, new)
                concat = "partial" if upload.is_part else None
                hashed = capability.secret_sha256
                rows.resumables.add(Resumable(upload.id, hashed, said, concat))
                job = self._added(rows, upload, chunks)
                opened = found(rows, capability)
        except OutcomeUnknown as lost:
            opened = looked_up(self.records, lost, lambda rows: standing(rows, capability))
        self._announce(job)
        return opened

    def _added(self, rows: Transaction, upload: Upload, chunks: Sequence[Chunk]) -> Job | None:
        length = sum(chunk.length for chunk in chunks)
        more = length if upload.size is None else 0
        if chunks:
            rows.uploads.add_bytes(upload.id, length, at=0, reserve=more)
            rows.chunks.add(chunks)
        reserve(rows, upload.tenant, more)
        return arrived(rows, upload, self.jobs) if length == upload.size else None

    def _refuse_size(self, upload: Upload, size: int | None) -> None:
        said = NewUpload(upload.filename, size, upload.declared_type, profile=upload.profile)
        self.uploads.screening.refuse_declaration(said)

    def _declare(self, upload: Upload, size: int) -> Job | None:
        """Let an upload have a length that came without bytes."""
        job: Job | None = None
        with self.records.begin() as rows:
            if not rows.uploads.add_bytes(upload.id, 0, at=upload.received, reserve=0):
                lose(rows, upload, upload.received)
            more = declare(rows, upload.id, size, at=upload.received)
            now = rows.uploads.find(upload.id) or upload
            if now.received == size:
                job = arrived(rows, now, self.jobs)
            reserve(rows, upload.tenant, more)
        return job

    def _announce(self, job: Job | None) -> None:
        if job is not None:
            self.jobs.announce(job)
