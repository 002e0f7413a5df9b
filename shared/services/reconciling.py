"""Finds work that the broker forgot, or whose worker died, and rings again.

It rings at most once a stale window for a job, and not while the queue holds more than the database
knows to be waiting: a slow worker is no forgotten message.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.errors import LeaseLost
from shared.model.job import Job
from shared.model.lifecycle import JobState
from shared.ports import Dispatcher
from shared.records import Records
from shared.services.claims import ClaimService

log = logging.getLogger(__name__)

_LEASE_NAME: Final = "reconciler"
_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What one round did."""

    rung: int = 0
    buried: int = 0
    deliveries: int = 0


@dataclass(frozen=True, slots=True)
class Reconciler:
    """`holder` names this process among those that could do the round."""

    records: Records
    dispatcher: Dispatcher
    claims: ClaimService
    holder: str
    lease: timedelta
    stale: timedelta

    def round(self) -> Reconciled | None:
        """Do one round; None when another process holds the lease."""
        with self.records.begin() as rows:
            if not rows.leases.take(_LEASE_NAME, self.holder, self.lease):
                return None
        rung, buried = self._jobs()
        done = Reconciled(rung, buried, self._deliveries())
        if done != Reconciled():
            facts = {"rung": rung, "buried": buried, "deliveries": done.deliveries}
            log.info("work_reconciled", extra=facts)
        return done

    def _jobs(self) -> tuple[int, int]:
        with self.records.read() as rows:
            waiting = rows.jobs.waiting(self.stale, _BATCH)
            queued = rows.jobs.queued()
        most = self.claims.rules.max_attempts
        spent = [job for job in waiting if job.state is JobState.RUNNING and job.attempts >= most]
        for job in spent:
            self._bury(job)
        backlog = self.dispatcher.backlog("ingest")
        if backlog is None:
            return 0, len(spent)
        ring = [
            job.id
            for job in waiting
            if job not in spent and (job.state is JobState.RUNNING or backlog < queued)
        ]
        told = [job_id for job_id in ring if self.dispatcher.process(job_id)]
        if told:
            with self.records.begin() as rows:
                rows.jobs.dispatched(told)
        return len(told), len(spent)

    def _bury(self, job: Job) -> None:
        try:
            self.claims.bury(job)
        except LeaseLost:
            log.info("job_lost", extra={"job_id": job.id})

    def _deliveries(self) -> int:
        with self.records.read() as rows:
            due = rows.webhooks.due(_BATCH)
        backlog = self.dispatcher.backlog("webhooks")
        if backlog is None or backlog >= len(due):
            return 0
        return sum(self.dispatcher.deliver(delivery_id) for delivery_id in due)
