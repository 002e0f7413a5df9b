"""Rows of jobs."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from shared.adapters.sql_rows import value
from shared.adapters.sql_time import EPOCH, db_now, has_come, has_lapsed
from shared.adapters.tables import jobs
from shared.model.job import LONGEST_PAUSE, Job
from shared.model.lifecycle import FINAL_JOBS, Event, JobState, job_change

# The end of a lease whose worker is said to be dead. It is over for a release that knows of no saying, too.
_RELEASED: Final = EPOCH


class SqlJobRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, job: Job) -> Job:
        now = {"created_at": db_now(), "updated_at": db_now(), "due_at": db_now()}
        statement = insert(jobs).values(asdict(job) | now).returning(jobs)
        return _job(self._connection.execute(statement).mappings().one())

    def find(self, job_id: str) -> Job | None:
        return self._first(jobs.c.id == job_id)

    def of_upload(self, upload_id: str) -> Job | None:
        return self._first(jobs.c.upload_id == upload_id)

    def of_uploads(self, upload_ids: Sequence[str]) -> list[Job]:
        found = self._connection.execute(select(jobs).where(jobs.c.upload_id.in_(upload_ids)))
        return [_job(row) for row in found.mappings()]

    def many(self, job_ids: Sequence[str]) -> list[Job]:
        found = self._connection.execute(select(jobs).where(jobs.c.id.in_(job_ids)))
        return [_job(row) for row in found.mappings()]

    def claim(self, job_id: str, worker: str, lease: timedelta, max_attempts: int) -> Job | None:
        _, running = job_change(Event.CLAIM)
        # A queued job was put back by somebody who had counted: only a death uses the last one up.
        left = or_(jobs.c.state == JobState.QUEUED, jobs.c.attempts < max_attempts)
        mine = and_(jobs.c.id == job_id, _free(), left)
        return self._write(
            mine,
            state=running,
            fence=jobs.c.fence + 1,
            attempts=jobs.c.attempts + 1,
            lease_until=db_now(lease),
            worker=worker,
            step=None,
            done=0,
            error=None,
            started_at=func.coalesce(jobs.c.started_at, db_now()),
        )

    def beat(self, job_id: str, fence: int, lease: timedelta) -> bool:
        statement = (
            update(jobs)
            .where(_held(job_id, fence), jobs.c.state == JobState.RUNNING)
            .values(lease_until=db_now(lease))
        )
        return self._connection.execute(statement).rowcount == 1

    def note(self, job_id: str, fence: int, step: str, done: int) -> Job | None:
        mine = and_(_held(job_id, fence), jobs.c.state == JobState.RUNNING)
        return self._write(mine, step=step, done=done)

    def advance(
        self,
        job_id: str,
        event: Event,
        *,
        fence: int | None = None,
        until: datetime | None = None,
        **changes: Any,
    ) -> Job | None:
        sources, target = job_change(event)
        here = and_(jobs.c.id == job_id, jobs.c.state.in_(sources))
        if fence is not None:
            here = and_(here, jobs.c.fence == fence)
        else:
            changes["fence"] = jobs.c.fence + 1  # whoever runs it now has lost it
        if until is not None:
            here = and_(here, jobs.c.lease_until == until)
        changes["finished_at"] = db_now() if target in FINAL_JOBS else None
        if isinstance(pause := changes.pop("pause", None), timedelta):
            changes["due_at"] = db_now(pause)
        return self._write(here, state=target, lease_until=None, **changes)

    def waiting(self, stale: timedelta, lease: timedelta, limit: int) -> list[Job]:
        told_lately = jobs.c.dispatched_at.between(db_now(-stale), db_now())
        statement = (
            select(jobs)
            .where(or_(_due(), _lapsed(lease)), or_(jobs.c.dispatched_at.is_(None), ~told_lately))
            .order_by(jobs.c.due_at)
            .limit(limit)
        )
        return [_job(row) for row in self._connection.execute(statement).mappings()]

    def release(self, seen: Sequence[Job], lease: timedelta) -> list[str]:
        as_seen = tuple_(jobs.c.id, jobs.c.lease_until).in_(
            [(job.id, job.lease_until) for job in seen]
        )
        statement = (
            update(jobs)
            .where(_lapsed(lease), as_seen)
            .values(lease_until=_RELEASED)
            .returning(jobs.c.id)
        )
        return list(self._connection.execute(statement).scalars())

    def dispatched(self, job_ids: Sequence[str]) -> None:
        statement = update(jobs).where(jobs.c.id.in_(job_ids)).values(dispatched_at=db_now())
        self._connection.execute(statement)

    def queued(self) -> int:
        return self._connection.execute(select(func.count()).where(_due())).scalar_one()

    def lapsed(self, lease: timedelta) -> int:
        return self._connection.execute(select(func.count()).where(_lapsed(lease))).scalar_one()

    def next_lapse(self) -> timedelta | None:
        held = and_(jobs.c.state == JobState.RUNNING, jobs.c.lease_until >= db_now())
        statement = select(func.min(jobs.c.lease_until), db_now()).where(held)
        until, now = self._connection.execute(statement).one()
        return None if until is None else max(until - now, timedelta())

    def drop(self, job_ids: Sequence[str]) -> None:
        self._connection.execute(delete(jobs).where(jobs.c.id.in_(job_ids)))

    def _first(self, where: ColumnElement[bool]) -> Job | None:
        row = self._connection.execute(select(jobs).where(where)).mappings().first()
        return None if row is None else _job(row)

    def _write(self, where: ColumnElement[bool], **changes: Any) -> Job | None:
        statement = (
            update(jobs)
            .where(where)
            .values(version=jobs.c.version + 1, updated_at=db_now(), **changes)
            .returning(jobs)
        )
        row = self._connection.execute(statement).mappings().first()
        return None if row is None else _job(row)


def _free() -> ColumnElement[bool]:
    released = and_(jobs.c.state == JobState.RUNNING, jobs.c.lease_until <= _RELEASED)
    return or_(_due(), released)


def _due() -> ColumnElement[bool]:
    return and_(jobs.c.state == JobState.QUEUED, has_come(jobs.c.due_at, LONGEST_PAUSE))


def _lapsed(lease: timedelta) -> ColumnElement[bool]:
    return and_(jobs.c.state == JobState.RUNNING, has_lapsed(jobs.c.lease_until, lease))


def _held(job_id: str, fence: int) -> ColumnElement[bool]:
    return and_(jobs.c.id == job_id, jobs.c.fence == fence)


def _job(row: RowMapping) -> Job:
    return value(row, Job, state=JobState(row["state"]))
