"""Work that is due and that nobody looks after: what the reconciler should have rung for."""

from collections.abc import Callable
from typing import Final

from shared.records import Overdue, Transaction
from shared.services.auditing.audit import Audit
from shared.services.auditing.findings import Kind

_MOST: Final = 1_000
_PAUSE_SECONDS: Final = 0.25  # far longer than a message is between the broker and its claim

# What is overdue, the longest due first, and how many messages the rows want.
Look = Callable[[Transaction], tuple[list[Overdue], int]]


def jobs(audit: Audit) -> None:
    """Report jobs beyond their bound, and ring for them. A long queue is no fault."""

    def look(rows: Transaction) -> tuple[list[Overdue], int]:
        overdue = rows.audits.overdue_jobs(audit.stuck, _MOST)
        return overdue, rows.jobs.queued() + rows.jobs.lapsed(audit.stuck)

    for each in _forgotten(audit, "ingest", look):
        what = "its lease ran out" if each.is_taken else "it is queued"
        detail = f"due at {each.due_at:%Y-%m-%d %H:%M:%S}, {what}, and nobody was told"
        audit.found(Kind.JOB_STUCK, each.id, detail, _ring)


def deliveries(audit: Audit) -> None:
    """Report deliveries that nobody makes, and ring for them; and those of no webhook."""

    def look(rows: Transaction) -> tuple[list[Overdue], int]:
        overdue = rows.audits.overdue_deliveries(audit.stuck, _MOST)
        return overdue, rows.audits.due_deliveries()

    for each in _forgotten(audit, "webhooks", look):
        kind = Kind.DELIVERY_STUCK if each.is_taken else Kind.DELIVERY_OVERDUE
        detail = f"due at {each.due_at:%Y-%m-%d %H:%M:%S}"
        audit.found(kind, each.id, detail, _call)
    with audit.parts.records.read() as rows:
        unowned = rows.audits.unowned_deliveries(_MOST)
    for delivery_id in unowned:
        audit.found(Kind.DELIVERY_UNOWNED, delivery_id, "its webhook has no row")


def _forgotten(audit: Audit, queue: str, look: Look) -> list[Overdue]:
    """Return what the broker can't know of: it holds fewer messages than the rows want.

    A message that a worker has taken and not claimed yet is counted nowhere: what is missing has to
    be missing when it is looked for again.
    """
    found, seen = _missing(audit, queue, look)
    audit.seen += seen
    if not found:
        return []
    audit.parts.jobs.clock.wait(_PAUSE_SECONDS)
    again, _ = _missing(audit, queue, look)
    return [each for each in again if each in found]


def _missing(audit: Audit, queue: str, look: Look) -> tuple[list[Overdue], int]:
    """Return as many of what is overdue as there are messages too few, and how much is overdue."""
    before = audit.parts.dispatcher.backlog(queue)
    with audit.parts.records.read() as rows:
        overdue, wanted = look(rows)
    after = audit.parts.dispatcher.backlog(queue) if overdue else None
    most = max(before or 0, after or 0)
    return overdue[: max(0, wanted - most)], len(overdue)


def _ring(audit: Audit, job_id: str) -> bool:
    if not audit.parts.dispatcher.process(job_id):
        return False
    with audit.parts.records.begin() as rows:
        rows.jobs.dispatched([job_id])
    return True


def _call(audit: Audit, delivery_id: str) -> bool:
    return audit.parts.dispatcher.deliver(delivery_id)
