"""Rows of the named leases of periodic work, and of what it saw."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select, update

from shared.adapters.sql_rows import insert_unless_there
from shared.adapters.sql_time import db_now, has_lapsed
from shared.adapters.tables import leases, sightings

_LEASES: Final = select(
    leases.c.name, leases.c.holder, leases.c.started_at, leases.c.finished_at, leases.c.result
)


class SqlLeaseRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def take(self, name: str, holder: str, lease: timedelta) -> bool:
        insert_unless_there(self._connection, leases, [{"name": name}])
        free = or_(
            leases.c.lease_until.is_(None),
            has_lapsed(leases.c.lease_until, lease),
            leases.c.holder == holder,
        )
        statement = (
            update(leases)
            .where(leases.c.name == name, free)
            .values(holder=holder, lease_until=db_now(lease), started_at=db_now())
        )
        return self._connection.execute(statement).rowcount == 1

    def leave(self, name: str, holder: str, result: Mapping[str, Any] | None) -> None:
        statement = (
            update(leases)
            .where(leases.c.name == name, leases.c.holder == holder)
            .values(
                lease_until=None,
                finished_at=db_now(),
                result=None if result is None else dict(result),
            )
        )
        self._connection.execute(statement)

    def results(self) -> list[dict[str, Any]]:
        statement = _LEASES.order_by(leases.c.name)
        return [dict(row) for row in self._connection.execute(statement).mappings()]

    def find(self, name: str) -> dict[str, Any] | None:
        found = self._connection.execute(_LEASES.where(leases.c.name == name)).mappings().first()
        return None if found is None else dict(found)

    def seen(self, kind: str, names: Sequence[str], grace: timedelta) -> list[str]:
        ripe = and_(_these(kind, names), sightings.c.first_seen_at <= db_now(-grace))
        return list(self._connection.execute(select(sightings.c.name).where(ripe)).scalars())

    def sighted(self, kind: str, names: Sequence[str], grace: timedelta) -> list[str]:
        if not names:
            return []
        # Asked before it is noted: a first sighting is never the second, however short the grace.
        ripe = self.seen(kind, names, grace)
        these = _these(kind, names)
        self._connection.execute(update(sightings).where(these).values(last_seen_at=db_now()))
        rows = [
            {"kind": kind, "name": name, "first_seen_at": db_now(), "last_seen_at": db_now()}
            for name in names
        ]
        insert_unless_there(self._connection, sightings, rows)
        return ripe

    def sightings(self, kind: str, grace: timedelta, limit: int) -> list[str]:
        statement = (
            select(sightings.c.name)
            .where(sightings.c.kind == kind, sightings.c.first_seen_at <= db_now(-grace))
            .order_by(sightings.c.first_seen_at, sightings.c.name)
            .limit(limit)
        )
        return list(self._connection.execute(statement).scalars())

    def forget(self, kind: str, names: Sequence[str]) -> None:
        self._connection.execute(delete(sightings).where(_these(kind, names)))

    def forget_unseen(self, kind: str, since: datetime) -> None:
        unseen = and_(sightings.c.kind == kind, sightings.c.last_seen_at < since)
        self._connection.execute(delete(sightings).where(unseen))


def _these(kind: str, names: Sequence[str]) -> ColumnElement[bool]:
    return and_(sightings.c.kind == kind, sightings.c.name.in_(names))
