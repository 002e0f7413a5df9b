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
        self._add(job, step=job.step, started_at=db_now())

    def end(self, job_id: str, outcome: Outcome, error: Mapping[str, Any] | None = None) -> bool:
        running = and_(job_steps.c.job_id == job_id, job_steps.c.finished_at.is_(None))
        statement = update(job_steps).where(running).values(_end(outcome, error))
        return self._connection.execute(statement).rowcount > 0

    def note(
        self, job: Job, step: str, outcome: Outcome, error: Mapping[str, Any] | None = None
    ) -> None:
        self._add(job, step=step, started_at=job.updated_at, **_end(outcome, error))

    def of_job(self, job_id: str, limit: int) -> list[StepRun]:
        latest = (
            select(job_steps)
            .where(job_steps.c.job_id == job_id)
            .order_by(job_steps.c.id.desc())
            .limit(limit)
        )
        rows = self._connection.execute(latest).mappings().all()
        return [_step_run(row) for row in reversed(rows)]

    def _add(self, job: Job, **said: Any) -> None:
        row = {
            "job_id": job.id,
            "run": job.fence,
            "attempt": job.attempts,
            "worker": job.worker,
            **said,
        }
        self._connection.execute(insert(job_steps).values(row))


def _end(outcome: Outcome, error: Mapping[str, Any] | None) -> dict[str, Any]:
    told = None if error is None else dict(error)
    return {"finished_at": db_now(), "outcome": outcome, "error": told}


def _step_run(row: RowMapping) -> StepRun:
    said = {name: row[name] for name in StepRun.__dataclass_fields__}
    outcome = None if row["outcome"] is None else Outcome(row["outcome"])
    return StepRun(**said | {"outcome": outcome})
