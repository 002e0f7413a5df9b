"""Jobs as workers see them: claimed under a lease, noted, and settled in one transaction.

Every write carries the fence of the claim. Whoever finds it gone raises `LeaseLost` and stops
quietly: somebody else did it, or the client cancelled.
"""

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from shared.errors import AppError, LeaseLost, OutcomeUnknown
from shared.model.checked import Checked
from shared.model.direct import Direct
from shared.model.file import File
from shared.model.job import LONGEST_PAUSE, Job, JobStatus, Outcome, problem
from shared.model.lifecycle import Event, JobState
from shared.model.upload import Chunk, Upload
from shared.model.webhook import EventType
from shared.ports import Board, Dispatcher, Staging
from shared.records import Records, Transaction
from shared.services import timelines
from shared.services.events import Events
from shared.services.finding import looked_up
from shared.services.publishing import may_have_written_over, publish, taken_over
from shared.services.releasing import drop_unbegun, release

log = logging.getLogger(__name__)

# Pauses of a job whose outage goes on; the last repeats until a day is full.
OUTAGE_PAUSES: Final = (*(timedelta(seconds=5 * 2**n) for n in range(6)), LONGEST_PAUSE)
OUTAGE_LIMIT: Final = timedelta(hours=24)
_WRITING: Final = frozenset({"publish", "record"})  # in these steps whole objects may be there


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that is ours until its lease runs out, with all it needs."""

    job: Job
    upload: Upload
    chunks: Sequence[Chunk]
    direct: Direct | None = None


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """A lease is at least three heartbeats long."""

    lease: timedelta
    heartbeat: timedelta
    max_attempts: int


@dataclass(frozen=True, slots=True)
class ClaimService:
    records: Records
    staging: Staging
    board: Board
    dispatcher: Dispatcher
    events: Events
    rules: ClaimRules

    def claim(self, job_id: str, worker: str) -> Claim | None:
        """Take the job, counting the attempt; None when it is not to be had.

        The row has the worker's name with a sign that no other claim has: so whoever does not hear
        that a claim was committed knows it for its own.
        """
        claim: Claim | None = None
        try:
            with self.records.begin() as rows:
                claim = self._claim(rows, job_id, f"{worker}{timelines.SIGN}{secrets.token_hex(4)}")
        except LeaseLost:
            return None
        except OutcomeUnknown as lost:
            claim = looked_up(self.records, lost, lambda rows: _still(rows, claim))
        self._show(claim.job)
        return claim

    def beat(self, claim: Claim) -> bool:
        """Extend the lease; False when it is lost."""
        with self.records.begin() as rows:
            return rows.jobs.beat(claim.job.id, claim.job.fence, self.rules.lease)

    def begin_step(self, claim: Claim, step: str, done: int) -> None:
        """Say that a step begins, on the board and in the job's timeline."""
        with self.records.begin() as rows:
            job = self._noted(rows, claim, step, done)
            rows.steps.begin(timelines.unsigned(job))
        self._show(job)

    def note(self, claim: Claim, step: str, done: int) -> None:
        """Say how many bytes are done."""
        with self.records.begin() as rows:
            job = self._noted(rows, claim, step, done)
        self._show(job)

    def intend(self, claim: Claim, keys: Sequence[str]) -> None:
        """Write the intents of the objects before any of them exists."""
        with self.records.begin() as rows:
            self._refuse_lost(rows, claim)
            for key in keys:
                if not rows.objects.intend(key, claim.upload.id):
                    raise LeaseLost("Another upload has this key.", key=key)

    def started(self, claim: Claim, key: str, multipart_id: str | None) -> None:
        """Note the multipart upload an intent has begun, so that it can be aborted."""
        with self.records.begin() as rows:
            self._refuse_lost(rows, claim)
            rows.objects.started(key, multipart_id)

    def succeed(self, claim: Claim, checked: Checked) -> bool:
        """Let the upload write over the file it replaces; False when this has gone, and left the key.

        From here on the upload can't be cancelled or rejected. Raises `Rejected` when the key is
        another's by now.
        """
        with self.records.begin() as rows:
            self._refuse_lost(rows, claim)
            return taken_over(rows, claim.upload, checked)

    def publish(self, claim: Claim, file: File) -> None:
        """Make the file: its row, its objects, quota and webhooks, in one transaction."""
        with self.records.begin() as rows:
            job = self._settle(rows, claim, Event.PUBLISH, Outcome.FINISHED, done=claim.job.total)
            published = publish(rows, self.events, claim.upload, file)
        log.info("s3_file_uploaded", extra={"file_id": file.id, "size": file.size})
        self.board.forget(published.forgotten)
        self.board.put(JobStatus(job, published.file, job.updated_at))
        self._deliver(published.owed)
        # Last: it waits where staging does not answer, and a sweep does it otherwise.
        self.staging.clear(*{claim.upload.id, *(chunk.place for chunk in claim.chunks)})

    def cleared(self, claim: Claim) -> None:
        """Note that what its client had sent to the store is gone from where it waited."""
        with self.records.begin() as rows:
            rows.direct.cleared(claim.upload.id)

    def reject(self, claim: Claim, because: AppError) -> None:
        """The file itself is at fault: the job ends and its room is given back."""
        if may_have_written_over(self.records, claim.upload):
            self.give_up(claim, problem(because))  # the sweep finds out what lies there
            return
        with self.records.begin() as rows:
            job = self._settle(rows, claim, Event.REJECT, Outcome.REJECTED, error=problem(because))
            places = release(rows, claim.upload.id)
            has_written = claim.job.fence > 1 or job.step in _WRITING
            if not has_written and claim.upload.replaces is None:
                drop_unbegun(rows, claim.upload.id)
            owed = self.events.of_upload(rows, EventType.REJECTED, claim.upload, job)
        self._show(job)
        self._deliver(owed)
        self.staging.clear(*places)

    def give_up(self, claim: Claim, error: Mapping[str, Any], **where: Any) -> None:
        """We are at fault: the job ends, its bytes and room are kept for a retry."""
        with self.records.begin() as rows:
            why = dict(error)
            job = self._settle(rows, claim, Event.GIVE_UP, Outcome.FAILED, error=why, **where)
            owed = self.events.of_upload(rows, EventType.FAILED, claim.upload, job)
        self._show(job)
        self._deliver(owed)

    def hand_back(self, claim: Claim) -> None:
        """Let the job go as if it had not been claimed: the worker is stopping."""
        self._back(claim, Outcome.HANDED_BACK, attempts=claim.job.attempts - 1, pause=timedelta())
        self.dispatcher.process(claim.job.id)

    def try_again(self, claim: Claim, error: Mapping[str, Any]) -> None:
        """An unexplained fault used the attempt up: queue the next, or give up after the last."""
        if claim.job.attempts >= self.rules.max_attempts:
            self.give_up(claim, error)
        else:
            self._back(claim, Outcome.INTERRUPTED, error=dict(error), pause=OUTAGE_PAUSES[0])

    def sit_out(self, claim: Claim, outage: AppError) -> None:
        """A part does not answer: give the attempt back and wait longer each time, a day at most."""
        outages = claim.job.outages
        pauses = [OUTAGE_PAUSES[min(n, len(OUTAGE_PAUSES) - 1)] for n in range(outages + 1)]
        if sum(pauses, timedelta()) > OUTAGE_LIMIT:
            self.give_up(claim, problem(outage))
        else:
            again = {"attempts": claim.job.attempts - 1, "outages": outages + 1}
            self._back(claim, Outcome.PUT_OFF, error=problem(outage), pause=pauses[-1], **again)

    def bury(self, job: Job) -> None:
        """Fail a job of which all workers died; raises `LeaseLost` if the last was heard of since."""
        detail = f"The job was given up after {job.attempts} attempts that did not end."
        error = {"code": "attempts_exhausted", "detail": detail}
        with self.records.read() as rows:
            upload = rows.uploads.find(job.upload_id)
        if upload is not None:
            self.give_up(Claim(job, upload, ()), error, until=job.lease_until)

    def _claim(self, rows: Transaction, job_id: str, worker: str) -> Claim:
        known = rows.jobs.find(job_id)
        if known is None or not rows.uploads.advance(known.upload_id, Event.CLAIM):
            raise LeaseLost("There is nothing to claim.")
        job = rows.jobs.claim(job_id, worker, self.rules.lease, self.rules.max_attempts)
        upload = rows.uploads.find(known.upload_id)
        if job is None or upload is None:
            raise LeaseLost("Somebody else holds this job, or it has to wait.")
        timelines.lost(rows, known, job)
        direct = rows.direct.find(upload.id) if upload.is_direct else None
        return Claim(job, upload, rows.chunks.of(upload.id), direct)

    def _back(self, claim: Claim, outcome: Outcome, **changes: Any) -> None:
        with self.records.begin() as rows:
            job = self._settle(rows, claim, Event.HAND_BACK, outcome, dispatched_at=None, **changes)
        self._show(job)

    def _noted(self, rows: Transaction, claim: Claim, step: str, done: int) -> Job:
        job = rows.jobs.note(claim.job.id, claim.job.fence, step, done)
        if job is None:
            raise LeaseLost("Somebody else holds this job.")
        return job

    def _settle(
        self, rows: Transaction, claim: Claim, event: Event, outcome: Outcome, **changes: Any
    ) -> Job:
        # The upload's row first, then the job's, as whoever cancels does: in two orders they could
        # wait for each other.
        here = rows.uploads.advance(claim.upload.id, event)
        job = rows.jobs.advance(claim.job.id, event, fence=claim.job.fence, **changes)
        if job is None or not here:
            raise LeaseLost("Somebody else holds this job.")
        timelines.ended(rows, claim.job, outcome, changes.get("error"))
        return job

    def _refuse_lost(self, rows: Transaction, claim: Claim) -> None:
        if not rows.jobs.beat(claim.job.id, claim.job.fence, self.rules.lease):
            raise LeaseLost("Somebody else holds this job.")

    def _show(self, job: Job) -> None:
        self.board.put(JobStatus(job, None, job.updated_at))

    def _deliver(self, owed: Sequence[str]) -> None:
        for delivery_id in owed:
            self.dispatcher.deliver(delivery_id)


def _still(rows: Transaction, claim: Claim | None) -> Claim | None:
    """Return the claim if the job runs under it."""
    job = None if claim is None else rows.jobs.find(claim.job.id)
    if claim is None or job is None or job.state is not JobState.RUNNING:
        return None
    return claim if (job.fence, job.worker) == (claim.job.fence, claim.job.worker) else None
