"""Rows of the timelines of jobs."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, insert, select, update

from shared.adapters.sql_time import db_now
from shared.adapters.tables import job_steps
from shared.model.job import Job, Outcome, StepRun


class SqlStepRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def begin(self, job: Job) -> None:
        self.end(job.id, Outcome.FINISHED)
        row = {
            "job_id": job.id,
            "step": job.step,
            "run": job.fence,
            "attempt": job.attempts,
            "worker": job.worker,
            "started_at": db_now(),
        }
        self._connection.execute(insert(job_steps).values(row))

    def end(self, job_id: str, outcome: Outcome, error: Mapping[str, Any] | None = None) -> None:
        running = and_(job_steps.c.job_id == job_id, job_steps.c.finished_at.is_(None))
        ended = {
            "finished_at": db_now(),
            "outcome": outcome,
            "error": None if error is None else dict(error),
        }
        self._connection.execute(update(job_steps).where(running).values(ended))

    def of_job(self, job_id: str, limit: int) -> list[StepRun]:
        latest = (
            select(job_steps)
            .where(job_steps.c.job_id == job_id)
            .order_by(job_steps.c.id.desc())
            .limit(limit)
        )
        rows = self._connection.execute(latest).mappings().all()
        return [_step_run(row) for row in reversed(rows)]


def _step_run(row: RowMapping) -> StepRun:
    said = {name: row[name] for name in StepRun.__dataclass_fields__}
    outcome = None if row["outcome"] is None else Outcome(row["outcome"])
    return StepRun(**said | {"outcome": outcome})
