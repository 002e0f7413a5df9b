"""Rows of uploads that go straight to the object store."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from shared.adapters.records_sql_uploads import is_alive, upload_of
from shared.adapters.sql_rows import value
from shared.adapters.sql_time import db_now
from shared.adapters.tables import direct, uploads
from shared.model.direct import Direct
from shared.model.lifecycle import UploadState
from shared.model.upload import Upload


class SqlDirectRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, new: Direct) -> None:
        self._connection.execute(insert(direct).values(asdict(new)))

    def find(self, upload_id: str) -> Direct | None:
        found = self._connection.execute(select(direct).where(direct.c.upload_id == upload_id))
        row = found.mappings().first()
        return None if row is None else value(row, Direct)

    def begun(self, upload_id: str, multipart_id: str) -> bool:
        first = and_(direct.c.upload_id == upload_id, direct.c.multipart_id.is_(None))
        statement = update(direct).where(first).values(multipart_id=multipart_id)
        return self._connection.execute(statement).rowcount == 1

    def signed(self, upload_id: str, lifetime: timedelta) -> None:
        until = db_now(lifetime)
        is_later = or_(direct.c.links_until.is_(None), direct.c.links_until < until)
        statement = update(direct).where(direct.c.upload_id == upload_id)
        latest = case((is_later, until), else_=direct.c.links_until)
        self._connection.execute(statement.values(links_until=latest))

    def seal(self, upload_id: str, etag: str) -> None:
        statement = update(direct).where(direct.c.upload_id == upload_id).values(etag=etag)
        self._connection.execute(statement)

    def is_awaited(self, slack: timedelta = timedelta()) -> bool:
        receiving = exists().where(_here(), uploads.c.state == UploadState.RECEIVING)
        linked = exists().where(direct.c.links_until > db_now(-slack))
        return bool(self._connection.execute(select(or_(receiving, linked))).scalar_one())

    def receiving(self, keys: Sequence[str]) -> list[Upload]:
        statement = (
            select(uploads)
            .join(direct, _here())
            .where(direct.c.key.in_(keys), uploads.c.state == UploadState.RECEIVING)
        )
        return [upload_of(row) for row in self._connection.execute(statement).mappings()]

    def unsized(self, tenant: str, owner: str, grant_id: str | None) -> int:
        theirs = and_(uploads.c.tenant == tenant, uploads.c.owner == owner)
        is_open = and_(uploads.c.state == UploadState.RECEIVING, uploads.c.size.is_(None))
        statement = (
            select(func.count())
            .select_from(uploads)
            .join(direct, _here())
            .where(theirs, is_open, direct.c.grant_id.is_not_distinct_from(grant_id))
        )
        return int(self._connection.execute(statement).scalar_one())

    def growing(self, after: str, limit: int) -> list[tuple[Upload, Direct]]:
        is_open = and_(uploads.c.state == UploadState.RECEIVING, uploads.c.size.is_(None))
        statement = (
            select(direct)
            .join(uploads, _here())
            .where(is_open, direct.c.multipart_id.is_not(None), direct.c.upload_id > after)
            .order_by(direct.c.upload_id)
            .limit(limit)
        )
        page = [value(row, Direct) for row in self._connection.execute(statement).mappings()]
        these = uploads.c.id.in_([each.upload_id for each in page])
        found = self._connection.execute(select(uploads).where(these)).mappings()
        by_id = {row["id"]: upload_of(row) for row in found}
        return [(by_id[each.upload_id], each) for each in page if each.upload_id in by_id]

    def over(self, keys: Sequence[str]) -> list[str]:
        is_over = ~exists().where(_here(), is_alive())
        statement = select(direct.c.key).where(direct.c.key.in_(keys), is_over)
        return list(self._connection.execute(statement).scalars())

    def ended(self, slack: timedelta, after: str, limit: int) -> list[Direct]:
        is_uncleared = direct.c.is_cleared.is_(False)
        again = and_(direct.c.is_cleared.is_(True), direct.c.links_until <= db_now(-slack))
        statement = (
            select(direct)
            .where(or_(is_uncleared, again), direct.c.upload_id > after)
            .where(~exists().where(_here(), is_alive()))
            .order_by(direct.c.upload_id)
            .limit(limit)
        )
        return [value(row, Direct) for row in self._connection.execute(statement).mappings()]

    def cleared(self, upload_id: str) -> None:
        this = direct.c.upload_id == upload_id
        self._connection.execute(update(direct).where(this).values(is_cleared=True))

    def forget(self, upload_id: str, slack: timedelta) -> None:
        is_over = or_(direct.c.links_until.is_(None), direct.c.links_until <= db_now(-slack))
        self._connection.execute(delete(direct).where(direct.c.upload_id == upload_id, is_over))

    def known(self, keys: Sequence[str]) -> dict[str, Direct]:
        found = self._connection.execute(select(direct).where(direct.c.key.in_(keys)))
        return {row["key"]: value(row, Direct) for row in found.mappings()}


def _here() -> ColumnElement[bool]:
    return direct.c.upload_id == uploads.c.id
