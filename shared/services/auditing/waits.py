"""Work that is due and that nobody looks after: what the reconciler should have rung for."""

from typing import Final

from shared.records import Overdue
from shared.services.auditing.audit import Audit
from shared.services.auditing.findings import Kind

_MOST: Final = 1_000


def jobs(audit: Audit) -> None:
    """Report jobs beyond their bound, and ring for them. A long queue is no fault."""
    with audit.parts.records.read() as rows:
        overdue = rows.audits.overdue_jobs(audit.stuck, _MOST)
        queued = rows.jobs.queued()
    for each in _forgotten(audit, "ingest", overdue, queued):
        what = "its lease ran out" if each.is_taken else "it is queued"
        detail = f"due at {each.due_at:%Y-%m-%d %H:%M:%S}, {what}, and nobody was told"
        audit.found(Kind.JOB_STUCK, each.id, detail, _ring)


def deliveries(audit: Audit) -> None:
    """Report deliveries that nobody makes, and ring for them; and those of no webhook."""
    with audit.parts.records.read() as rows:
        overdue = rows.audits.overdue_deliveries(audit.stuck, _MOST)
        unowned = rows.audits.unowned_deliveries(_MOST)
    for each in _forgotten(audit, "webhooks", overdue, len(overdue)):
        kind = Kind.DELIVERY_STUCK if each.is_taken else Kind.DELIVERY_OVERDUE
        detail = f"due at {each.due_at:%Y-%m-%d %H:%M:%S}"
        audit.found(kind, each.id, detail, _call)
    for delivery_id in unowned:
        audit.found(Kind.DELIVERY_UNOWNED, delivery_id, "its webhook has no row")


def _forgotten(audit: Audit, queue: str, overdue: list[Overdue], known: int) -> list[Overdue]:
    """Return what the broker can't know of: it holds fewer messages than the rows want."""
    audit.seen += len(overdue)
    backlog = audit.parts.dispatcher.backlog(queue) if overdue else None
    is_long = backlog is not None and backlog >= known
    return [each for each in overdue if each.is_taken or not is_long]


def _ring(audit: Audit, job_id: str) -> bool:
    if not audit.parts.dispatcher.process(job_id):
        return False
    with audit.parts.records.begin() as rows:
        rows.jobs.dispatched([job_id])
    return True


def _call(audit: Audit, delivery_id: str) -> bool:
    return audit.parts.dispatcher.deliver(delivery_id)
