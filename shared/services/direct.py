"""Uploads straight to the object store: what arrives there is sealed when its client says so, or adopted.

Clients write under a key in the staging prefix. Sealing notes the ETag of what lies there; workers
read that and nothing else, so that a link which still works changes nothing of a sealed upload.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import (
    ChunkMisplaced,
    ChunksMissing,
    Conflict,
    DirectUnavailable,
    FileEmpty,
    NotFound,
    OutcomeUnknown,
    QuotaExceeded,
    Unprocessable,
)
from shared.model import coverage
from shared.model.caller import Caller, Scope
from shared.model.digest import agreed_sha256
from shared.model.direct import Direct, is_parted
from shared.model.job import Job
from shared.model.lifecycle import Event, UploadState
from shared.model.stored import PartSeen, StoredObject
from shared.model.upload import Chunk, Upload
from shared.ports import ObjectStore
from shared.ports_direct import DirectStore
from shared.records import Records, Transaction
from shared.services.finding import looked_up, not_receiving
from shared.services.jobs import JobService


@dataclass(frozen=True, slots=True)
class DirectService:
    """`direct_store` is None where objects are a folder: nobody can send anything straight there."""

    records: Records
    objects: ObjectStore
    direct_store: DirectStore | None
    jobs: JobService
    allow_empty: bool = False

    @property
    def store(self) -> DirectStore:
        if self.direct_store is None:
            raise DirectUnavailable("Uploads straight to the store need STORAGE_BACKEND=s3.")
        return self.direct_store

    def received(self, upload: Upload) -> list[Chunk]:
        """Return what the store has of an upload that is still receiving, as if it were chunks."""
        with self.records.read() as rows:
            direct = rows.direct.find(upload.id)
        if direct is None or upload.state is not UploadState.RECEIVING:
            return []
        if is_parted(upload):
            return as_chunks(upload, self.parts(upload, direct))
        there = self.objects.find(direct.key)
        return [] if there is None else [Chunk(upload.id, 0, 0, there.size, 0, there.etag)]

    def parts(self, upload: Upload, direct: Direct) -> list[PartSeen]:
        """Return the parts that fill their places; those that don't may be sent again."""
        layout = coverage.layout_of(upload)
        if direct.multipart_id is None or layout is None:
            return []
        try:
            seen = list(self.store.parts(direct.key, direct.multipart_id))
        except NotFound:
            return []
        return [
            part
            for part in seen
            if part.number <= layout.count and part.length == layout.length(part.number - 1)
        ]

    def complete(
        self, caller: Caller, upload: Upload, *, total_chunks: int | None, sha256: str | None
    ) -> Job:
        """Seal what lies in the store and queue its job; a repeat answers the same job.

        Raises `ChunksMissing`, `ChunkMisplaced` for another size than was declared, `FileEmpty`,
        `QuotaExceeded`, `NotReceiving`, `Unprocessable`.
        """
        caller.require(Scope.FILES_WRITE)
        layout = coverage.layout_of(upload)
        count = 1 if layout is None else layout.count
        if total_chunks not in {None, count}:
            raise Unprocessable(f"This upload has {count} parts.", pointer="/total_chunks")
        return self._sealed(upload, sha256)

    def adopt(self, upload: Upload) -> Job | None:
        """Seal an upload whose client never said it was done; None when it is not, or can't be.

        Of parts only their sender knows whether they are all; what is joined is whole.
        """
        if self.direct_store is None or is_parted(upload):
            return None
        try:
            return self._sealed(upload, None)
        except (Conflict, FileEmpty, QuotaExceeded):
            return None

    def arrived(self, caller: Caller, key: str) -> Job | None:
        """Return the job that makes the caller's file of this key, adopted now if it was not yet.

        None when no upload of theirs has this key, or nothing has arrived of it.
        """
        caller.require(Scope.FILES_READ)
        with self.records.read() as rows:
            intent = rows.objects.known([key]).get(key)
            upload = None if intent is None else rows.uploads.find(intent.upload_id)
            if upload is None or not caller.sees(tenant=upload.tenant, owner=upload.owner):
                return None
            if upload.state is UploadState.READY:
                return None  # its file was there, and is not any more
            job = rows.jobs.of_upload(upload.id)
        return self.adopt(upload) if job is None and upload.is_receiving_directly else job

    def _sealed(self, upload: Upload, sha256: str | None) -> Job:
        with self.records.read() as rows:
            direct = rows.direct.find(upload.id)
            if direct is None or upload.state is not UploadState.RECEIVING:
                return _job_of(rows, upload)
        there = self._whole(upload, direct)
        if there.size == 0 and not self.allow_empty:
            raise FileEmpty("The file is empty.")
        try:
            with self.records.begin() as rows:
                more = there.size - upload.reserved
                if not rows.uploads.add_bytes(upload.id, there.size, at=0, reserve=more):
                    return _job_of(rows, rows.uploads.find(upload.id) or upload)
                if more and not rows.quotas.reserve(upload.tenant, more):
                    raise QuotaExceeded("This tenant's quota is used up.")
                rows.uploads.advance(upload.id, Event.SEAL)
                agreed = agreed_sha256(upload.sha256, sha256)
                rows.uploads.settle(upload.id, size=there.size, sha256=agreed)
                rows.direct.seal(upload.id, there.etag)
                job = self.jobs.queue(rows, upload, there.size)
        except OutcomeUnknown as lost:
            job = looked_up(self.records, lost, lambda rows: rows.jobs.of_upload(upload.id))
        self.jobs.announce(job)
        return job

    def _whole(self, upload: Upload, direct: Direct) -> StoredObject:
        """Return the object that all bytes of the upload are in by now."""
        if is_parted(upload) and self.objects.find(direct.key) is None:
            self._join(upload, direct)
        there = self.objects.find(direct.key)
        if there is None:
            raise ChunksMissing("Nothing has been uploaded yet.", missing=[0])
        if upload.size not in {None, there.size}:
            raise ChunkMisplaced(
                f"What was uploaded has {there.size} bytes, not {upload.size}.",
                size=upload.size,
                received=there.size,
            )
        return there

    def _join(self, upload: Upload, direct: Direct) -> None:
        parts = self.parts(upload, direct)
        gaps = coverage.missing(upload, as_chunks(upload, parts))
        if gaps or direct.multipart_id is None:
            raise ChunksMissing("Parts are missing; see `missing`.", missing=gaps)
        try:
            self.store.join_parts(direct.key, direct.multipart_id, parts)
        except NotFound:
            return  # joined before, by ourselves or another: then the object is there


def as_chunks(upload: Upload, parts: Sequence[PartSeen]) -> list[Chunk]:
    return [Chunk(upload.id, part.number - 1, 0, part.length, 0, part.etag) for part in parts]


def _job_of(rows: Transaction, upload: Upload) -> Job:
    job = rows.jobs.of_upload(upload.id)
    if job is None:
        raise not_receiving(upload)
    return job
