"""The auditor as two sweeps: one compares all that is known, one reads bytes again.

Neither removes anything; what they found is in the result, as counts for everybody and as a report
for those at the command line.
"""

from datetime import timedelta
from typing import Any, Final

from shared.services.auditing import checks
from shared.services.auditing.audit import Audit, Parts
from shared.services.auditing.findings import Report
from shared.services.auditing.reading import Reading
from shared.services.ending import Ending
from shared.services.jobs import JobService
from shared.services.sweeps.runs import Run, Sweeper

# Sweeps may be late for their second look: by a quarter of a grace, and that is three turns at least of
# the slower of those that want one.
_LATE: Final = timedelta(hours=3)


def audit(sweeper: Sweeper, run: Run) -> None:
    """Make every check, and repair what is safe. Raises what broke the first that could not end."""
    made = _begun(sweeper, run, cursor=run.last.get("cursor", ""))
    try:
        checks.make(made)
    finally:
        _tell(run, made, cursor=made.cursor, foreign=made.foreign)


def reread(sweeper: Sweeper, run: Run) -> None:
    """Read files and chunks again, those that were read longest ago."""
    file, *chunk = run.last.get("cursor", ["", "", -1, -1])
    made = _begun(sweeper, run)
    reading = Reading(made, file, (chunk[0], chunk[1], chunk[2]))
    try:
        reading.run(sweeper.rules.reread_bytes)
    finally:
        _tell(
            run,
            made,
            cursor=[reading.file_cursor, *reading.chunk_cursor],
            files=reading.files,
            chunks=reading.chunks,
            damaged=reading.damaged,
            unread=reading.unread,
            files_total=run.last.get("files_total", 0) + reading.files,
            damaged_total=run.last.get("damaged_total", 0) + reading.damaged,
        )
        run.bytes = reading.bytes
        run.failed += reading.unread


def _begun(sweeper: Sweeper, run: Run, *, cursor: str = "") -> Audit:
    with sweeper.records.read() as rows:
        latest = sweeper.latest(rows.now())
    grace = sweeper.rules.grace
    return Audit(
        parts=Parts(
            sweeper.records,
            sweeper.staging,
            sweeper.objects,
            sweeper.board,
            sweeper.dispatcher,
            JobService(sweeper.records, sweeper.board, sweeper.dispatcher, sweeper.clock),
            Ending(sweeper.records, sweeper.board, sweeper.dispatcher, sweeper.events),
        ),
        report=Report(repairs=run.cap),
        latest=latest,
        given_up=latest - sweeper.rules.failed_uploads,
        patience=grace + max(grace / 4, _LATE),
        stuck=sweeper.rules.stuck,
        lease=sweeper.rules.lease,
        looks=sweeper.rules.looks,
        is_over=lambda: run.is_late,
        is_stopping=run.is_stopping,
        dry_run=run.dry_run,
        staging_prefix=sweeper.rules.staging_prefix,
        cursor=cursor,
    )


def _tell(run: Run, made: Audit, **facts: Any) -> None:
    run.seen += made.seen
    run.failed += made.report.failed
    run.capped = run.capped or made.capped
    run.facts |= made.report.facts() | facts
