"""The board: never ahead of the database, and final only where that is."""

from datetime import datetime
from typing import Final

from shared.model.job import Job
from shared.records import AuditedJob
from shared.services.auditing.audit import BATCH, Audit
from shared.services.auditing.findings import Kind
from shared.services.jobs import FRESH

_SETTLED: Final = 2 * FRESH  # who committed a change has shown it by then


def board(audit: Audit) -> None:
    """Report what the board says against the rows, and let it forget that."""

    def read(after: str) -> list[AuditedJob]:
        with audit.parts.records.read() as rows:
            return rows.audits.jobs(after, BATCH)

    for page in audit.pages(read, lambda each: each.id):
        # The board first: what it shows was committed before, so that the rows are as new at least.
        shown = audit.parts.board.find([each.id for each in page])
        with audit.parts.records.read() as rows:
            now, jobs = rows.now(), {job.id: job for job in rows.jobs.many(list(shown))}
        for job_id, each in shown.items():
            said, real = each.status.job, jobs.get(job_id)
            if real is not None and _lies(said, real, now):
                detail = f"it shows {said.state} as of {said.version}, the row is {real.state} as of {real.version}"
                audit.found(Kind.BOARD_LIES, job_id, detail, _forget)


def _lies(said: Job, real: Job, now: datetime) -> bool:
    if said.version == real.version:
        return said.state is not real.state
    is_outdated_end = said.is_final and now - real.updated_at > _SETTLED
    return said.version > real.version or is_outdated_end


def _forget(audit: Audit, job_id: str) -> bool:
    audit.parts.board.forget([job_id])
    return True
