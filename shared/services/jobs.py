"""Jobs as clients see them: queued with the seal, announced after it, polled, retried."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from uuid_utils.compat import uuid7

from shared.errors import Conflict, NotFound, Unavailable, Unprocessable
from shared.model.caller import Caller, Scope
from shared.model.job import Job, JobStatus, Shown, StepRun
from shared.model.lifecycle import Event, JobState, UploadState
from shared.model.upload import Upload
from shared.ports import Board, Clock, Dispatcher
from shared.records import Records, Transaction
from shared.services.finding import find_job, is_id

FRESH: Final = timedelta(seconds=5)
_POLL_SECONDS: Final = 0.15
MOST_IDS: Final = 100
_WAITING: Final = frozenset({UploadState.SEALED, UploadState.PROCESSING})
MOST_RUNS: Final = 500


@dataclass(frozen=True, slots=True)
class JobService:
    records: Records
    board: Board
    dispatcher: Dispatcher
    clock: Clock

    def queue(self, rows: Transaction, upload: Upload, size: int) -> Job:
        """Add the job of an upload that is being sealed, in the caller's transaction."""
        now = rows.now()
        return rows.jobs.add(
            Job(
                id=str(uuid7()),
                upload_id=upload.id,
                tenant=upload.tenant,
                owner=upload.owner,
                kind="ingest",
                state=JobState.QUEUED,
                step=None,
                done=0,
                total=size,
                attempts=0,
                outages=0,
                fence=0,
                version=1,
                error=None,
                worker=None,
                due_at=now,
                lease_until=None,
                # Told of right after the commit; if that fails the reconciler tells again.
                dispatched_at=now,
                created_at=now,
                started_at=None,
                updated_at=now,
                finished_at=None,
            )
        )

    def queue_missing(self, upload_id: str) -> bool:
        """Queue the job of a sealed upload that has none; False when it has one, or has ended."""
        with self.records.begin() as rows:
            upload = rows.uploads.find(upload_id)
            if upload is None or upload.state not in _WAITING:
                return False
            # Held: nobody gives it a job, or claims that, between the look and the queue.
            if not rows.uploads.hold(upload_id, upload.state) or rows.jobs.of_upload(upload_id):
                return False
            rows.uploads.advance(upload_id, Event.HAND_BACK)  # whoever processed it had no job
            job = self.queue(rows, upload, upload.received)
        self.announce(job)
        return True

    def announce(self, job: Job) -> None:
        """Show a committed job and call a worker; best effort, the row is what counts."""
        self.show(job)
        self.dispatcher.process(job.id)

    def show(self, job: Job) -> None:
        self.board.put(JobStatus(job, None, job.updated_at))

    def status(self, caller: Caller, job_id: str) -> JobStatus:
        """Return the job from the board while that can be believed, else from the rows."""
        found = self.statuses(caller, [job_id])
        if not found:
            raise NotFound("job")
        return found[0]

    def statuses(self, caller: Caller, job_ids: Sequence[str]) -> list[JobStatus]:
        """Return those of the jobs that the caller may see, in the order asked for.

        What was rejected stays so. Any other end may be followed by a retry, a recovery or a deletion
        that the board never hears of: it is believed only while it is fresh, or while the rows
        don't answer.
        """
        caller.require(Scope.FILES_READ)
        if len(job_ids) > MOST_IDS:
            raise Unprocessable(f"At most {MOST_IDS} ids at once.", pointer="/ids")
        asked = [job_id for job_id in dict.fromkeys(job_ids) if is_id(job_id)]
        shown = self.board.find(asked)
        good = {job_id: each.present for job_id, each in shown.items() if _is_good(each)}
        stale = [job_id for job_id in asked if job_id not in good]
        if stale:
            good |= self._looked_up(stale, shown)
        return [
            good[job_id]
            for job_id in asked
            if job_id in good
            and caller.sees(tenant=good[job_id].job.tenant, owner=good[job_id].job.owner)
        ]

    def begun(self, caller: Caller, job: Job) -> JobStatus:
        """Return the status of a job that was just committed, as it was then if the rows don't answer.

        It is promised by then: who heard of an outage would send the file once more.
        """
        try:
            return self.status(caller, job.id)
        except Unavailable:
            if job.is_final:  # an earlier one; its file has to be read
                raise
            return JobStatus(job, None, job.updated_at)

    def wait(
        self,
        caller: Caller,
        status: JobStatus,
        seconds: float,
        *,
        known: int | None = None,
        is_over: Callable[[], bool] = lambda: False,
    ) -> JobStatus:
        """Return as soon as the job is final, or newer than version `known`, or time is up.

        `is_over` may say before that nobody waits any more. While the rows don't answer there is
        nothing new.
        """
        until = self.clock.monotonic() + seconds
        while not status.job.is_final and (known is None or status.job.version <= known):
            left = until - self.clock.monotonic()
            if left <= 0 or is_over():
                break
            self.clock.wait(min(_POLL_SECONDS, left))
            with suppress(Unavailable):
                status = self.status(caller, status.job.id)
        return status

    def retry(self, caller: Caller, job_id: str) -> Job:
        """Run a failed job again from the start. Raises `Conflict` when it has not failed."""
        caller.require(Scope.ADMIN)
        with self.records.begin() as rows:
            job = find_job(rows, caller, job_id)
            here = rows.uploads.advance(job.upload_id, Event.RETRY)
            again = rows.jobs.advance(job_id, Event.RETRY, attempts=0, outages=0, error=None)
            if again is None or not here:
                raise Conflict(f"This job is {job.state}, not failed.", state=str(job.state))
            upload = rows.uploads.find(job.upload_id)
            is_empty = upload is not None and upload.size == 0
            lies_in_store = upload is not None and upload.is_direct and upload.reserved
            if not (is_empty or lies_in_store or rows.chunks.names(job.upload_id)):
                raise Conflict("The bytes of this upload are not kept any more.")
            rows.jobs.dispatched([job_id])
        self.announce(again)
        return again

    def timeline(self, caller: Caller, job_id: str) -> list[StepRun]:
        """Return what ran for a job, the oldest first; nothing to those who are no admins."""
        if not caller.is_admin:
            return []
        with self.records.read() as rows:
            return rows.steps.of_job(find_job(rows, caller, job_id).id, MOST_RUNS)

    def _looked_up(
        self, job_ids: Sequence[str], shown: Mapping[str, Shown]
    ) -> dict[str, JobStatus]:
        """Return what the rows say, or while they don't answer the ends that the board knows."""
        try:
            return {status.job.id: status for status in self._from_rows(job_ids)}
        except Unavailable:
            known = {job_id: shown[job_id] for job_id in job_ids if job_id in shown}
            ended = {job_id: each for job_id, each in known.items() if each.status.job.is_final}
            if len(ended) < len(job_ids):
                raise
            return {job_id: each.present for job_id, each in ended.items()}

    def _from_rows(self, job_ids: Sequence[str]) -> list[JobStatus]:
        with self.records.read() as rows:
            now = rows.now()
            jobs = rows.jobs.many(job_ids)
            done = [job.upload_id for job in jobs if job.state is JobState.SUCCEEDED]
            files = {file.id: file for file in rows.files.many(done)} if done else {}
        statuses = [JobStatus(job, files.get(job.upload_id), now) for job in jobs]
        for status in statuses:
            self.board.put(status)
        return statuses


def _is_good(shown: Shown) -> bool:
    status = shown.status
    return shown.age <= FRESH or status.job.state is JobState.REJECTED
