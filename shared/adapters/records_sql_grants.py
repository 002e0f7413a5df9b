"""Rows of grants to upload."""

from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select

from shared.adapters.sql_rows import value
from shared.adapters.sql_time import db_now
from shared.adapters.tables import direct, grants, uploads
from shared.model.grant import Grant
from shared.model.lifecycle import UploadState


class SqlGrantRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, grant: Grant, lifetime: timedelta) -> Grant:
        self._connection.execute(delete(grants).where(grants.c.expires_at <= db_now()))
        columns = asdict(grant) | {"created_at": db_now(), "expires_at": db_now(lifetime)}
        statement = insert(grants).values(columns).returning(grants)
        return value(self._connection.execute(statement).mappings().one(), Grant)

    def find(self, grant_id: str) -> Grant | None:
        in_force = select(grants).where(grants.c.id == grant_id, grants.c.expires_at > db_now())
        row = self._connection.execute(in_force).mappings().first()
        return None if row is None else value(row, Grant)

    def hold(self, grant_id: str) -> datetime | None:
        # Shared: many open uploads by one grant at once. SQLite has one who writes at a time.
        in_force = select(grants.c.expires_at).where(
            grants.c.id == grant_id, grants.c.expires_at > db_now()
        )
        found: datetime | None = self._connection.execute(
            in_force.with_for_update(read=True)
        ).scalar()
        return found

    def begun(self, grant_id: str) -> list[str]:
        statement = (
            select(uploads.c.id)
            .join(direct, direct.c.upload_id == uploads.c.id)
            .where(direct.c.grant_id == grant_id, uploads.c.state == UploadState.RECEIVING)
            .order_by(uploads.c.id)
        )
        return list(self._connection.execute(statement).scalars())

    def drop(self, grant_id: str) -> None:
        self._connection.execute(delete(grants).where(grants.c.id == grant_id))
