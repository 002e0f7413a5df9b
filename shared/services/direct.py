"""Uploads straight to the object store: what arrives there is sealed when its client says so, or adopted.

Clients write under a key in the staging prefix. Sealing notes the ETag of what lies there; workers
read that and nothing else, so that a link which still works changes nothing of a sealed upload.
"""

from collections.abc import Sequence
from contextlib import suppress
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
    Unavailable,
    Unprocessable,
)
from shared.model import coverage
from shared.model.caller import Caller, Scope
from shared.model.digest import agreed_sha256
from shared.model.direct import Direct, Named, is_parted, missing
from shared.model.job import Job
from shared.model.lifecycle import Event, UploadState
from shared.model.stored import PartSeen, StoredObject
from shared.model.upload import Chunk, Upload
from shared.ports import ObjectStore
from shared.ports_direct import DirectStore
from shared.records import Records
from shared.services.finding import looked_up
from shared.services.jobs import JobService
from shared.services.releasing import give_up
from shared.services.sealing import repeated


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

    def received(self, upload: Upload) -> list[Chunk] | None:
        """Return what the store has of an upload that is still receiving, as if it were chunks.

        None when the store does not say.
        """
        with self.records.read() as rows:
            direct = rows.direct.find(upload.id)
        if direct is None or upload.state is not UploadState.RECEIVING:
            return []
        try:
            return self.here(upload, direct)
        except Unavailable:
            return None

    def here(self, upload: Upload, direct: Direct) -> list[Chunk]:
        """Return what has arrived: parts that fill their places, and all once there is an object."""
        parts = self.parts(upload, direct) if direct.in_parts(upload) else None
        if parts is not None:
            return _as_chunks(upload, parts)
        there = self.objects.find(direct.key)
        return [] if there is None else _whole(upload, there)

    def parts(self, upload: Upload, direct: Direct) -> list[PartSeen] | None:
        """Return the parts that the store has, in order, of those that fill their places.

        None when it knows of no parts any more: they are joined, or were thrown away.
        """
        layout = coverage.layout_of(upload)
        if direct.multipart_id is None:
            return []
        try:
            seen = list(self.store.parts(direct.key, direct.multipart_id))
        except NotFound:
            return None
        if layout is None:
            return seen
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
        count = 1 if layout is None else max(1, layout.count)
        if total_chunks not in {None, count}:
            raise Unprocessable(f"This upload has {count} parts.", pointer="/total_chunks")
        return self._sealed(upload, sha256, joins=True)

    def complete_parts(self, caller: Caller, upload: Upload, named: Named) -> Job:
        """Do the same with parts of sizes that their sender chose: just these are joined.

        Raises what `complete` and `Named.of` raise.
        """
        caller.require(Scope.FILES_WRITE)
        return self._sealed(upload, None, joins=True, named=named)

    def adopt(self, upload: Upload) -> Job | None:
        """Seal an upload whose client never said it was done; None when it is not, or can't be.

        Of parts only their sender knows whether they are all; what is joined is whole.
        """
        if self.direct_store is None:
            return None
        try:
            return self._sealed(upload, None, joins=False)
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

    def _sealed(
        self, upload: Upload, sha256: str | None, *, joins: bool, named: Named | None = None
    ) -> Job:
        with self.records.read() as rows:
            direct = rows.direct.find(upload.id)
        if direct is None or upload.state is not UploadState.RECEIVING:
            with self.records.begin() as rows:
                return repeated(rows, upload, sha256)
        there = self._object(upload, direct, joins=joins, named=named)
        if there.size == 0 and not self.allow_empty:
            raise FileEmpty("The file is empty.")
        try:
            return self._queued(upload, there, sha256)
        except QuotaExceeded:
            self.give_up(upload.id)
            raise

    def _queued(self, upload: Upload, there: StoredObject, sha256: str | None) -> Job:
        try:
            with self.records.begin() as rows:
                more = there.size - upload.reserved
                if not rows.uploads.add_bytes(upload.id, there.size, at=0, reserve=more):
                    return repeated(rows, rows.uploads.find(upload.id) or upload, sha256)
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

    def give_up(self, upload_id: str) -> bool:
        """End an upload that is nobody's to go on with; what lies there goes. False where it has ended."""
        with self.records.begin() as rows:
            return bool(give_up(rows, upload_id))

    def _object(
        self, upload: Upload, direct: Direct, *, joins: bool, named: Named | None
    ) -> StoredObject:
        """Return the object that all bytes of the upload are in by now."""
        there = self.objects.find(direct.key)
        if there is None and joins and direct.in_parts(upload):
            there = self._joined(upload, direct, named)
        if there is None:
            raise ChunksMissing("Nothing has been uploaded yet.", missing=missing(upload, ()))
        if upload.size not in {None, there.size}:
            raise ChunkMisplaced(
                f"What was uploaded has {there.size} bytes, not {upload.size}.",
                size=upload.size,
                received=there.size,
            )
        return there

    def _joined(self, upload: Upload, direct: Direct, named: Named | None) -> StoredObject | None:
        """Join the parts; whoever else did so before or meanwhile, the object tells."""
        parts, gaps = self.parts(upload, direct), []
        if parts is not None and named is not None:
            gaps = [number - 1 for number in named.lost(parts)]
        elif parts is not None:
            gaps = missing(upload, _as_chunks(upload, parts))
            if upload.size is None:
                named = Named({part.number: part.etag for part in parts})
        if parts and not gaps and direct.multipart_id is not None:
            wanted = parts if named is None else named.of(parts)
            with suppress(NotFound):
                self.store.join_parts(direct.key, direct.multipart_id, wanted)
        there = self.objects.find(direct.key)
        if there is None and gaps:
            raise ChunksMissing("Parts are missing; see `missing`.", missing=gaps)
        return there


def _as_chunks(upload: Upload, parts: Sequence[PartSeen]) -> list[Chunk]:
    return [Chunk(upload.id, part.number - 1, 0, part.length, 0, part.etag) for part in parts]


def _whole(upload: Upload, there: StoredObject) -> list[Chunk]:
    layout = coverage.layout_of(upload)
    if layout is None or not is_parted(upload):
        return [Chunk(upload.id, 0, 0, there.size, 0, there.etag)]
    lengths = enumerate(map(layout.length, range(layout.count)))
    return [Chunk(upload.id, number, 0, length, 0, there.etag) for number, length in lengths]
