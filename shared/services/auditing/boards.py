"""The board: never ahead of the database, final only where that is, without deleted files or jobs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from shared.model.file import File
from shared.model.job import Job, JobStatus, Shown
from shared.ports_board import ListedBoard
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
            files = {file.id: file for file in rows.files.many(_seen_files(shown))}
        gone = []
        for job_id, each in shown.items():
            said, real = each.status.job, jobs.get(job_id)
            if real is not None and _lies(said, real, now):
                detail = f"it shows {said.state} as of {said.version}, the row is {real.state} as of {real.version}"
                audit.found(Kind.BOARD_LIES, job_id, detail, _forget)
            elif _shows_a_ghost(each.status, files):
                gone.append(job_id)
        _look_again(audit, gone, files)


def strangers(audit: Audit) -> None:
    """Report jobs that the board shows and that have no row: of another database, or forgotten."""
    board = audit.parts.board
    if not isinstance(board, ListedBoard):
        return
    told: set[str] = set()
    for batch in audit.batches(board.job_ids()):
        gone = _without_row(audit, [each for each in batch if each not in told])
        # Who forgets a job tells the board right after.
        for job_id in _without_row(audit, gone) if gone else ():
            told.add(job_id)
            audit.found(Kind.BOARD_LIES, job_id, "it shows a job that has no row", _forget)


def _without_row(audit: Audit, job_ids: list[str]) -> list[str]:
    # The board first: what it shows was committed before.
    shown = audit.parts.board.find(job_ids)
    with audit.parts.records.read() as rows:
        known = {job.id for job in rows.jobs.many(list(shown))}
    return [job_id for job_id in shown if job_id not in known]


def _look_again(audit: Audit, gone: list[str], files: Mapping[str, File]) -> None:
    """Who deletes a file tells the board right after: what has heard of it meanwhile is well."""
    for job_id, each in audit.parts.board.find(gone).items() if gone else ():
        if _shows_a_ghost(each.status, files):
            detail = "it shows a file that is deleted"
            audit.found(Kind.BOARD_LIES, job_id, detail, _forget)


def _seen_files(shown: Mapping[str, Shown]) -> list[str]:
    return [file.id for each in shown.values() if (file := each.status.file) is not None]


def _shows_a_ghost(status: JobStatus, files: Mapping[str, File]) -> bool:
    if status.file is None or status.file.deleted_at is not None:
        return False
    real = files.get(status.file.id)
    return real is None or real.deleted_at is not None


def _lies(said: Job, real: Job, now: datetime) -> bool:
    if said.version == real.version:
        return said.state is not real.state
    is_outdated_end = said.is_final and now - real.updated_at > _SETTLED
    return said.version > real.version or is_outdated_end


def _forget(audit: Audit, job_id: str) -> bool:
    audit.parts.board.forget([job_id])
    return True
