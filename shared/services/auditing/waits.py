"""Work that is due and that nobody looks after: what the reconciler should have rung for.

After a clock has jumped, or the machine has slept, all that is under way looks as if its worker had
died in it: only who does not beat, or end, for a whole lease from then on has.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from shared.records import Overdue, Transaction
from shared.services.auditing.audit import Audit
from shared.services.auditing.findings import Kind

_MOST: Final = 1_000
_PAUSE_SECONDS: Final = 0.25  # far longer than a message is between the broker and its claim
_LOOK_SECONDS: Final = 1.0  # at whether the run is to end

# What is overdue, the longest due first; how many messages what is queued wants, and what was taken.
Look = Callable[[Audit, Transaction], tuple[list[Overdue], int, int]]


@dataclass(frozen=True, slots=True)
class Work:
    """What waits in one queue of the broker."""

    queue: str
    look: Look
    tell: Callable[[Audit, Overdue], None]


def overdue(audit: Audit) -> None:
    """Report jobs and deliveries beyond their bound, and ring for them. A long queue is no fault."""
    held: list[tuple[Work, list[Overdue]]] = []
    for work in (_JOBS, _DELIVERIES):
        queued, taken = _missing(audit, work)
        audit.seen += len(queued) + len(taken)
        if queued:
            # A message that a worker has taken and not claimed yet is counted nowhere.
            audit.parts.jobs.clock.wait(_PAUSE_SECONDS)
            again, _ = _missing(audit, work)
            _tell(audit, work, [each for each in again if each in queued])
        if taken:
            held.append((work, taken))
    if held and _is_a_lease_later(audit):
        for work, taken in held:
            _, again = _missing(audit, work)
            _tell(audit, work, [each for each in again if each in taken])


def unowned(audit: Audit) -> None:
    """Report deliveries of no webhook."""
    with audit.parts.records.read() as rows:
        found = rows.audits.unowned_deliveries(_MOST)
    for delivery_id in found:
        audit.found(Kind.DELIVERY_UNOWNED, delivery_id, "its webhook has no row")


def _missing(audit: Audit, work: Work) -> tuple[list[Overdue], list[Overdue]]:
    """Return what is queued, and what was taken, as far as messages are too few for it.

    The broker can't know of it then. Without those that are taken, for what is queued: one death, or
    a clock that jumped, is no reason to ring for a whole queue.
    """
    before = audit.parts.dispatcher.backlog(work.queue)
    with audit.parts.records.read() as rows:
        found, for_queued, for_taken = work.look(audit, rows)
    after = audit.parts.dispatcher.backlog(work.queue) if found else None
    most = max(before or 0, after or 0)
    queued = [each for each in found if not each.is_taken]
    taken = [each for each in found if each.is_taken]
    return (
        queued[: max(0, for_queued - most)],
        taken[: max(0, for_queued + for_taken - most)],
    )


def _is_a_lease_later(audit: Audit) -> bool:
    """Wait for as long as the longest lease lasts; False when the run is to end before."""
    clock = audit.parts.jobs.clock
    until = clock.monotonic() + audit.lease.total_seconds()
    while (left := until - clock.monotonic()) > 0:
        if audit.stops():
            return False
        clock.wait(min(_LOOK_SECONDS, left))
    return True


def _tell(audit: Audit, work: Work, forgotten: list[Overdue]) -> None:
    for each in forgotten:
        work.tell(audit, each)


def _jobs(audit: Audit, rows: Transaction) -> tuple[list[Overdue], int, int]:
    found = rows.audits.overdue_jobs(audit.stuck, _MOST)
    return found, rows.jobs.queued(), rows.jobs.lapsed(audit.stuck)


def _tell_of_job(audit: Audit, job: Overdue) -> None:
    what = "its lease ran out" if job.is_taken else "it is queued"
    detail = f"due at {job.due_at:%Y-%m-%d %H:%M:%S}, {what}, and nobody was told"
    audit.found(Kind.JOB_STUCK, job.id, detail, _ring)


def _ring(audit: Audit, job_id: str) -> bool:
    with audit.parts.records.begin() as rows:
        rows.jobs.release(rows.jobs.many([job_id]), audit.stuck)
    if not audit.parts.dispatcher.process(job_id):
        return False
    with audit.parts.records.begin() as rows:
        rows.jobs.dispatched([job_id])
    return True


def _deliveries(audit: Audit, rows: Transaction) -> tuple[list[Overdue], int, int]:
    found = rows.audits.overdue_deliveries(audit.stuck, _MOST)
    return found, *rows.audits.due_deliveries()


def _tell_of_delivery(audit: Audit, delivery: Overdue) -> None:
    kind = Kind.DELIVERY_STUCK if delivery.is_taken else Kind.DELIVERY_OVERDUE
    audit.found(kind, delivery.id, f"due at {delivery.due_at:%Y-%m-%d %H:%M:%S}", _call)


def _call(audit: Audit, delivery_id: str) -> bool:
    return audit.parts.dispatcher.deliver(delivery_id)


_JOBS: Final = Work("ingest", _jobs, _tell_of_job)
_DELIVERIES: Final = Work("webhooks", _deliveries, _tell_of_delivery)
