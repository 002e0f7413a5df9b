"""Work that waits too long, as the auditor reads it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, case, exists, func, or_, select

from shared.adapters.sql_rows import value
from shared.adapters.sql_time import db_now, has_come, has_lapsed
from shared.adapters.tables import deliveries, jobs, webhooks
from shared.model.job import LONGEST_PAUSE
from shared.model.lifecycle import JobState
from shared.model.webhook import LEASE, RETRY_PAUSES, DeliveryState
from shared.records import Overdue

_LONGEST_LEASE: Final = timedelta(days=1)  # of a job: far longer than anybody sets it
_LONGEST_RETRY: Final = max(RETRY_PAUSES)
_LONGEST_QUEUE: Final = timedelta(days=1)  # behind others of one receiver


class SqlWaitRows:
    _connection: Connection

    def overdue_jobs(self, bound: timedelta, limit: int) -> list[Overdue]:
        columns = jobs.c
        due = _is_off(columns.due_at, bound, bound + 2 * LONGEST_PAUSE)
        queued = and_(columns.state == JobState.QUEUED, due)
        over = _is_off(columns.lease_until, bound, bound + 2 * _LONGEST_LEASE)
        held = and_(columns.state == JobState.RUNNING, over)
        told_lately = columns.dispatched_at.between(db_now(-bound), db_now())
        statement = (
            select(columns.id, columns.due_at, held.label("is_taken"))
            .where(or_(queued, held), or_(columns.dispatched_at.is_(None), ~told_lately))
            .order_by(columns.due_at)
            .limit(limit)
        )
        return self._overdue(statement)

    def overdue_deliveries(self, bound: timedelta, limit: int) -> list[Overdue]:
        columns, other = deliveries.c, deliveries.alias("other")
        tried = select(other.c.webhook_id).where(
            other.c.attempts > 0, other.c.updated_at > db_now(-bound)
        )
        waits_its_turn = and_(
            columns.webhook_id.in_(tried), columns.due_at > db_now(-bound - _LONGEST_QUEUE)
        )
        touched_lately = columns.updated_at.between(db_now(-bound), db_now())
        ahead = and_(columns.due_at > db_now(bound + 2 * _LONGEST_RETRY), ~touched_lately)
        over = _is_off(columns.lease_until, bound, bound + 2 * LEASE)
        free = or_(columns.lease_until.is_(None), over)
        late = and_(columns.due_at < db_now(-bound), ~waits_its_turn)
        owned = exists().where(webhooks.c.id == columns.webhook_id)
        statement = (
            select(columns.id, columns.due_at, columns.lease_until.is_not(None).label("is_taken"))
            .where(columns.state == DeliveryState.PENDING, or_(late, ahead), free, owned)
            .order_by(columns.due_at)
            .limit(limit)
        )
        return self._overdue(statement)

    def due_deliveries(self) -> tuple[int, int]:
        columns = deliveries.c
        due = and_(columns.state == DeliveryState.PENDING, has_come(columns.due_at, _LONGEST_RETRY))
        is_free = columns.lease_until.is_(None)
        is_left = has_lapsed(columns.lease_until, LEASE)
        counts = (func.count(case((each, 1))) for each in (is_free, is_left))
        row = self._connection.execute(select(*counts).where(due)).one()
        return row[0], row[1]

    def unowned_deliveries(self, limit: int) -> list[str]:
        owned = exists().where(webhooks.c.id == deliveries.c.webhook_id)
        statement = select(deliveries.c.id).where(~owned).order_by(deliveries.c.id).limit(limit)
        return list(self._connection.execute(statement).scalars())

    def _overdue(self, statement: Any) -> list[Overdue]:
        found: Sequence[RowMapping] = self._connection.execute(statement).mappings().all()
        return [value(row, Overdue, is_taken=bool(row["is_taken"])) for row in found]


def _is_off(moment: ColumnElement[Any], past: timedelta, ahead: timedelta) -> ColumnElement[bool]:
    """Say that it is over for so long, or lies further ahead than any clock that is right put it."""
    return or_(moment < db_now(-past), moment > db_now(ahead))
