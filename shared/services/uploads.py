"""Opening, completing and cancelling uploads; every dialect ends here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from uuid_utils.compat import uuid7

from shared.errors import Conflict, OutcomeUnknown, QuotaExceeded
from shared.model import naming
from shared.model.caller import Caller, Scope
from shared.model.direct import Direct
from shared.model.job import Job, Outcome
from shared.model.lifecycle import Event, UploadState
from shared.model.policy import Verdict
from shared.model.upload import Chunk, NewUpload, Upload
from shared.ports import Clock, Staging
from shared.records import Records, Transaction
from shared.services.direct import DirectService
from shared.services.drafting import UploadRules, drafted, with_a_key
from shared.services.finding import find_upload, looked_up, refuse_stream
from shared.services.idempotency import fingerprint_of, first_result
from shared.services.intake import Intake
from shared.services.jobs import JobService
from shared.services.releasing import give_up_earlier, release
from shared.services.screening import Screening
from shared.services.sealing import repeated, seal


@dataclass(frozen=True, slots=True)
class UploadStatus:
    """`chunks` is None while the object store does not say what it has."""

    upload: Upload
    chunks: Sequence[Chunk] | None
    job: Job | None


@dataclass(frozen=True, slots=True)
class UploadService:
    records: Records
    staging: Staging
    screening: Screening
    jobs: JobService
    direct: DirectService
    clock: Clock
    rules: UploadRules

    def open(
        self,
        caller: Caller,
        new: NewUpload,
        *,
        idempotency_key: str | None = None,
        condition: Callable[[Transaction], None] | None = None,
    ) -> Upload:
        """Open an upload and reserve its room; with a key, a repeat answers the first result.

        `condition` is asked in the same transaction, and raises where it is not to be. Raises
        `Unprocessable`, `Unsupported`, `TooLarge`, `QuotaExceeded`, `IdempotencyMisuse`,
        `DirectUnavailable`.
        """
        caller.require(Scope.FILES_WRITE)
        upload = self.draft(caller, new, str(uuid7()))
        given_up: list[str] = []
        try:
            with self.records.begin() as rows:
                if condition is not None:
                    condition(rows)
                if idempotency_key is not None:
                    first = first_result(rows, upload, idempotency_key, fingerprint_of(new))
                    if first is not None:
                        return first
                given_up = give_up_earlier(rows, upload) if new.restarts else []
                upload = self.admit(rows, upload, caller, new)
        except OutcomeUnknown as lost:
            upload = looked_up(self.records, lost, lambda rows: rows.uploads.find(upload.id))
        self.staging.clear(*given_up)
        return upload

    def begin_submission(
        self,
        caller: Caller,
        filename: str,
        *,
        declared: str | None = None,
        profile: str | None = None,
    ) -> Intake:
        """Begin to store a file that comes whole in one request, before its upload has a row.

        Where its profile is known already, that of the request's end, its rules hold. Raises
        `Unprocessable`, and `Unsupported` for what can't be welcome by its name or declared type.
        """
        caller.require(Scope.FILES_WRITE)
        filename = naming.clean_filename(filename)
        self.screening.refuse_unopened(filename, declared, profile)
        look = partial(self.screening.refuse_unopened_beginning, filename, declared, profile)
        most, roll = self.screening.largest_of(profile), self.rules.chunk_size
        return Intake(self.staging, str(uuid7()), roll=roll, limit=most, look=look)

    def begin_chunk(self, caller: Caller, profile: str) -> Intake:
        """Begin to store a chunk that will say only after its bytes which one it is."""
        caller.require(Scope.FILES_WRITE)
        largest = self.screening.largest(profile)
        return Intake(self.staging, str(uuid7()), roll=self.rules.chunk_size, limit=largest)

    def submit(
        self,
        caller: Caller,
        new: NewUpload,
        intake: Intake,
        *,
        idempotency_key: str | None = None,
    ) -> Job:
        """Open, fill and seal an upload from a finished intake, in one transaction."""
        caller.require(Scope.FILES_WRITE)
        new = replace(new, size=intake.length)
        upload = self.draft(caller, new, intake.upload_id)
        self.screening.judge(upload, intake.head, intake.length)
        content = [(chunk.length, chunk.crc64) for chunk in intake.chunks]
        intake.refuse_lost()  # further fields of a form may have come slowly, too
        try:
            with self.records.begin() as rows:
                if idempotency_key is not None:
                    said = fingerprint_of(new, content=content)
                    first = first_result(rows, upload, idempotency_key, said)
                    if first is not None:
                        return repeated(rows, first, None)
                upload = self.admit(rows, upload, caller, new)
                rows.uploads.add_bytes(upload.id, intake.length, at=0, reserve=0)
                rows.chunks.add(intake.chunks)
                rows.uploads.advance(upload.id, Event.SEAL)
                job = self.jobs.queue(rows, upload, intake.length)
        except OutcomeUnknown as lost:
            job = looked_up(self.records, lost, lambda rows: rows.jobs.of_upload(upload.id))
        intake.commit()
        self.jobs.announce(job)
        return job

    def find(self, caller: Caller, upload_id: str) -> Upload:
        caller.require(Scope.FILES_WRITE)
        with self.records.read() as rows:
            return find_upload(rows, caller, upload_id)

    def rehearse(self, caller: Caller, new: NewUpload, head: bytes) -> Verdict:
        """Return what a file that begins so is, or raise what it would be refused with."""
        caller.require(Scope.FILES_WRITE)
        upload = self.draft(caller, new, str(uuid7()))
        return self.screening.judge(upload, head, new.size or 0)

    def status(
        self, caller: Caller, upload_id: str, *, waiting: Callable[[], None] = lambda: None
    ) -> UploadStatus:
        """Return what is known of an upload; `waiting` is called before a store is waited for."""
        caller.require(Scope.FILES_READ)
        with self.records.read() as rows:
            upload = find_upload(rows, caller, upload_id)
            chunks, job = rows.chunks.of(upload_id), rows.jobs.of_upload(upload_id)
        if not upload.is_receiving_directly:
            return UploadStatus(upload, chunks, job)
        waiting()
        return UploadStatus(upload, self.direct.received(upload), job)

    def complete(
        self,
        caller: Caller,
        upload_id: str,
        *,
        total_chunks: int | None = None,
        sha256: str | None = None,
    ) -> Job:
        """Seal the upload and queue its job, in one transaction; a repeat answers the same job.

        Raises `ChunksMissing` with the numbers, `NotReceiving`, `Unprocessable`, and of a repeat
        that says another digest `DigestMismatch`.
        """
        caller.require(Scope.FILES_WRITE)
        with self.records.read() as rows:
            upload = find_upload(rows, caller, upload_id)
        refuse_stream(upload)
        if upload.is_direct:
            return self.direct.complete(caller, upload, total_chunks=total_chunks, sha256=sha256)
        try:
            with self.records.begin() as rows:
                if not rows.uploads.advance(upload_id, Event.SEAL):
                    return repeated(rows, rows.uploads.find(upload_id) or upload, sha256)
                sealed = seal(rows, upload_id, total_chunks, sha256, rules=self.rules)
                job = self.jobs.queue(rows, sealed, sealed.received)
        except OutcomeUnknown as lost:
            job = looked_up(self.records, lost, lambda rows: rows.jobs.of_upload(upload_id))
        self.jobs.announce(job)
        return job

    def cancel(self, caller: Caller, upload_id: str) -> None:
        """Cancel what is not finished and free its staging; repeating it is success.

        Raises `Conflict` when the upload has ended otherwise, or is replacing a file just now. Where a
        request to do so was not answered, what lies in the store decides later what became of it.
        """
        caller.require(Scope.FILES_WRITE)
        with self.records.begin() as rows:
            upload = find_upload(rows, caller, upload_id)
            if not rows.uploads.advance(upload_id, Event.CANCEL):
                # Read again: it may have ended before our update came to the row.
                upload = rows.uploads.find(upload_id) or upload
                if upload.state is UploadState.CANCELLED:
                    return
                raise Conflict(
                    f"This upload is {upload.state} and can't be cancelled.",
                    state=str(upload.state),
                )
            job = rows.jobs.of_upload(upload_id)
            if job is not None:
                # The job's row first, then its steps, as workers do.
                ended = rows.jobs.advance(job.id, Event.CANCEL)
                is_at_it = upload.state is UploadState.PROCESSING  # else it waits for the store
                if is_at_it and upload.replaces and rows.objects.succeeds(upload_id):
                    told = "This upload is replacing its file, and can't be cancelled just now."
                    raise Conflict(told)
                rows.steps.end(job.id, Outcome.CANCELLED)
                job = ended
            places = release(rows, upload_id)
        if job is not None:
            self.jobs.show(job)
        self.staging.clear(*places)

    def draft(self, caller: Caller, new: NewUpload, upload_id: str) -> Upload:
        """Return the upload that a client asks for, before it has a row; raises as `drafted`."""
        now = self.clock.now()
        return drafted(caller, new, upload_id, screening=self.screening, rules=self.rules, now=now)

    def admit(self, rows: Transaction, upload: Upload, caller: Caller, new: NewUpload) -> Upload:
        """Add a drafted upload: its key, its room and its row.

        Raises `NameTaken`, `QuotaExceeded`.
        """
        layout = new.layout or self.rules.layout
        has_key = not upload.is_part and (upload.is_direct or not layout.is_unique)
        if has_key:
            replacing = caller if new.replace and layout.is_bare else None
            upload = with_a_key(rows, self.rules, upload, layout, replacing)
        # After the key's row, as whoever publishes or deletes takes them.
        if not rows.quotas.reserve(upload.tenant, upload.reserved):
            raise QuotaExceeded("This tenant's quota is used up.")
        added = rows.uploads.add(upload, max(self.rules.lifetime, timedelta(seconds=new.open_for)))
        if upload.is_direct:
            key = self.rules.staged_key(upload.id)
            rows.direct.add(Direct(upload.id, key, grant_id=new.grant_id))
        return added
