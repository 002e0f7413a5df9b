"""Finds work that the broker forgot, or whose worker died, and rings again; mends what should not be.

It rings at most once a stale window for a job, and not while the queue holds as many messages as the
database knows to be wanted: a slow worker is no forgotten message. When the queue is empty a ring that
nobody followed is lost, maybe with the worker that took it, and the window is `echo`.

While the database is away nobody extends a lease. When it is back, leases that ran out are left alone
for as long as one lasts: who lives beats meanwhile, and an outage costs no attempt. So they are when the
database's clock was set, or the machine slept: whose lease is over may live all the same. Nobody takes
a running job before it is released here.

What can't be done of one row is logged, and keeps nobody from what is wanted of the others.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Final

from shared.errors import LeaseLost, Unavailable
from shared.model.job import Job
from shared.model.lifecycle import JobState
from shared.ports import Dispatcher
from shared.records import Records, Transaction
from shared.services.claims import ClaimService
from shared.services.ending import Ending, is_left
from shared.services.jobs import JobService
from shared.services.releasing import release
from shared.services.sight import Sight

log = logging.getLogger(__name__)

_LEASE_NAME: Final = "reconciler"
_BATCH: Final = 500
# Of a lease. A heartbeat is that much at most, and so an outage that ends leases twice as long at least,
# and a clock that ends them is set by as much.
_SHARE: Final = 1 / 3
_TICK: Final = timedelta(milliseconds=1)  # times of rows are whole ones: it has to be over
_AWAY: Final = "records_unavailable"
_SHORTEST: Final = timedelta(milliseconds=50)  # many leases may run out one after the other


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What one round did."""

    rung: int = 0
    buried: int = 0
    deliveries: int = 0
    queued: int = 0
    released: int = 0
    ended: int = 0


@dataclass(frozen=True, slots=True)
class Reconciler:
    """`holder` names this process among those that could do the round; `pause` is between two."""

    records: Records
    dispatcher: Dispatcher
    claims: ClaimService
    jobs: JobService
    holder: str
    lease: timedelta
    stale: timedelta
    echo: timedelta
    pause: timedelta = timedelta()
    sight: Sight = field(default_factory=Sight)

    def round(self) -> Reconciled | None:
        """Do one round; None when another process holds the lease."""
        with self.records.begin() as rows:
            is_ours = rows.leases.take(_LEASE_NAME, self.holder, self.lease)
            self._look(rows)
        if not is_ours:
            return None
        counts: dict[str, int] = {}
        for work in (self._jobs, self._deliveries, self._queue_jobless, self._release_hoarded):
            counts |= self._done(work)
        done = Reconciled(**counts)
        if done != Reconciled():
            log.info("work_reconciled", extra=asdict(done))
        return done

    def rest(self) -> timedelta:
        """Return how long to wait for the next round: until a lease runs out, `pause` at most.

        Who lives extends a lease long before that, so only the dead make rounds more frequent.
        """
        with self.records.read() as rows:
            lapse = rows.jobs.next_lapse()
        if lapse is None:
            return self.pause
        return min(self.pause, max(lapse + _TICK, _SHORTEST))

    def _done(self, work: Callable[[], dict[str, int]]) -> dict[str, int]:
        """Do one kind of work; what went well says that the database was there all the time."""
        counts: dict[str, int] = {}
        try:
            with _item(work.__name__.strip("_")):
                counts = work()
        except Unavailable:
            # It may be one query that takes too long, in each round: then nobody was away.
            with self.records.read() as rows:
                self._look(rows)
            raise
        self.sight.keep()
        return counts

    def _look(self, rows: Transaction) -> None:
        """Note that the database answers, and what time it says; if need be, spare leases from now on."""
        lease = self.claims.rules.lease
        share, asked_at = lease * _SHARE, self.sight.monotonic()
        now = rows.now()
        was_away = self.sight.regain(self.pause + share, lease)
        if self.sight.was_set(now, asked_at, share, lease) or was_away:
            log.warning("leases_spared", extra={"seconds": lease.total_seconds()})

    def _queue_jobless(self) -> dict[str, int]:
        """Give a job to uploads that were sealed without one: it is their only way on."""
        with self.records.read() as rows:
            jobless = rows.uploads.jobless(self.stale, _BATCH)
        queued = 0
        for upload in jobless:
            with _item("queue_missing", upload.id):
                if self.jobs.queue_missing(upload.id):
                    log.error("job_was_missing", extra={"upload_id": upload.id})
                    queued += 1
        return {"queued": queued}

    def _release_hoarded(self) -> dict[str, int]:
        """Give back the room that uploads reserved which have ended."""
        with self.records.read() as rows:
            hoarding = rows.uploads.hoarding(self.stale, _BATCH)
        released = 0
        for upload in hoarding:
            with _item("release", upload.id):
                with self.records.begin() as rows:
                    if rows.uploads.hold(upload.id, upload.state):
                        # Whether its quota knows of the room is anybody's guess: counted, not subtracted.
                        rows.uploads.settle(upload.id, reserved=0)
                        release(rows, upload.id)  # a sweep sees to what staging has of it
                        rows.audits.recount(upload.tenant)
                log.error("room_was_hoarded", extra={"upload_id": upload.id})
                released += 1
        return {"released": released}

    def _jobs(self) -> dict[str, int]:
        backlog = self.dispatcher.backlog("ingest")
        stale, lease = self.echo if backlog == 0 else self.stale, self.claims.rules.lease
        with self.records.read() as rows:
            waiting = rows.jobs.waiting(stale, lease, _BATCH)
            self._look(rows)  # afterwards: by this clock they are over
            queued, lapsed = rows.jobs.queued(), rows.jobs.lapsed(lease)
            uploads = rows.uploads.known([job.upload_id for job in waiting])
        lost = [job for job in waiting if is_left(job, uploads.get(job.upload_id))]
        waiting = [job for job in waiting if job not in lost]
        most = self.claims.rules.max_attempts
        running = [job for job in waiting if job.state is JobState.RUNNING]
        left = running if self.sight.is_clear else []
        spent = [job for job in left if job.attempts >= most]
        dead = self._released([job for job in left if job not in spent])
        told: list[str] = []
        if backlog is not None:
            ring = dead if backlog < queued + lapsed else []
            # Without those that a worker left behind: one death is no reason to ring for a whole queue.
            ring += [job for job in waiting if job.state is JobState.QUEUED and backlog < queued]
            told = self._told(ring)
        # What takes long of one of these has not kept the others waiting.
        return {"rung": len(told), "ended": self._end(lost), "buried": self._bury(spent)}

    def _told(self, ring: list[Job]) -> list[str]:
        told = [job.id for job in ring if self.dispatcher.process(job.id)]
        if told:
            with self.records.begin() as rows:
                rows.jobs.dispatched(told)
        return told

    def _end(self, lost: list[Job]) -> int:
        claims, ended = self.claims, 0
        ending = Ending(self.records, claims.board, self.dispatcher, claims.events)
        for job in lost:
            with _item("end", job.id):
                ended += ending.left_behind(job.upload_id)
        return ended

    def _bury(self, spent: list[Job]) -> int:
        buried = 0
        for job in spent:
            with _item("bury", job.id):
                try:
                    self.claims.bury(job)
                    buried += 1
                except LeaseLost:
                    log.info("job_lost", extra={"job_id": job.id})
        return buried

    def _released(self, dead: list[Job]) -> list[Job]:
        if not dead:
            return []
        with self.records.begin() as rows:
            released = rows.jobs.release(dead, self.claims.rules.lease)
        return [job for job in dead if job.id in released]

    def _deliveries(self) -> dict[str, int]:
        with self.records.read() as rows:
            due = rows.webhooks.due(_BATCH)
        backlog = self.dispatcher.backlog("webhooks")
        if backlog is None or backlog >= len(due):
            return {}
        return {"deliveries": sum(self.dispatcher.deliver(delivery_id) for delivery_id in due)}


@contextmanager
def _item(what: str, ident: str | None = None) -> Iterator[None]:
    """Do one thing; that it fails is logged, and the round goes on. Without rows nothing does."""
    facts = {"what": what, "item": ident}
    try:
        yield
    except Unavailable as outage:
        if outage.code == _AWAY:
            raise
        log.warning("not_reconciled", extra={**facts, "code": outage.code})
    except Exception:
        log.exception("not_reconciled", extra=facts)
