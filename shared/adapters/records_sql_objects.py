"""Rows of the objects we answer for: a row stands before its object."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, or_, select, update

from shared.adapters.records_sql_uploads import is_alive
from shared.adapters.sql_rows import insert_unless_there, value
from shared.adapters.sql_time import db_now
from shared.adapters.tables import files, objects, thumbnails, uploads
from shared.model.lifecycle import FINAL_UPLOADS
from shared.records import ObjectRecord, ObjectState


class SqlObjectRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def intend(self, key: str, upload_id: str) -> bool:
        row = {
            "key": key,
            "upload_id": upload_id,
            "state": ObjectState.INTENDED,
            "updated_at": db_now(),
        }
        insert_unless_there(self._connection, objects, [row])
        mine = and_(objects.c.key == key, objects.c.upload_id == upload_id)
        again = update(objects).where(mine).values(updated_at=db_now(), state=ObjectState.INTENDED)
        return self._connection.execute(again).rowcount == 1

    def started(self, key: str, multipart_id: str | None) -> None:
        statement = update(objects).where(objects.c.key == key)
        self._connection.execute(statement.values(multipart_id=multipart_id, updated_at=db_now()))

    def link(self, keys: Sequence[str], upload_id: str | None = None) -> int:
        its = None if upload_id is None else objects.c.upload_id == upload_id
        return self._mark(keys, ObjectState.LINKED, its)

    def fulfil(self, keys: Sequence[str], upload_id: str) -> bool:
        intended = and_(objects.c.upload_id == upload_id, objects.c.state == ObjectState.INTENDED)
        return self._mark(keys, ObjectState.LINKED, intended) == len(keys)

    def deleting(self, keys: Sequence[str], *upload_ids: str) -> None:
        self._mark(keys, ObjectState.DELETING, objects.c.upload_id.in_(upload_ids))

    def drop(self, keys: Sequence[str], *upload_ids: str) -> None:
        ours = and_(objects.c.key.in_(keys), objects.c.upload_id.in_(upload_ids))
        self._connection.execute(delete(objects).where(ours))

    def of_upload(self, upload_id: str) -> list[ObjectRecord]:
        return self._select(objects.c.upload_id == upload_id)

    def known(self, keys: Sequence[str]) -> dict[str, ObjectRecord]:
        return {record.key: record for record in self._select(objects.c.key.in_(keys))}

    def stale(self, older_than: timedelta, limit: int) -> list[ObjectRecord]:
        is_old = objects.c.updated_at <= db_now(-older_than)
        # Nobody else ever has a key with the upload's id in it.
        deleting = and_(
            objects.c.state == ObjectState.DELETING,
            or_(is_old, objects.c.key.contains(objects.c.upload_id)),
        )
        abandoned = and_(
            objects.c.state == ObjectState.INTENDED,
            is_old,
            ~exists().where(uploads.c.id == objects.c.upload_id, is_alive()),
        )
        return self._select(or_(deleting, abandoned), limit)

    def unfinished(self, older_than: timedelta, limit: int) -> list[ObjectRecord]:
        is_old = objects.c.updated_at <= db_now(-older_than)
        return self._select(and_(objects.c.state == ObjectState.DELETING, is_old), limit)

    def retake(self, key: str, upload_id: str) -> bool:
        if self.needed(key, upload_id):
            return False
        return self._mark([key], ObjectState.DELETING, _is_deleting(upload_id)) == 1

    def emptied(self, key: str, upload_id: str) -> None:
        self._mark([key], ObjectState.INTENDED, _is_deleting(upload_id))

    def needed(self, key: str, upload_id: str) -> bool:
        needed = or_(
            exists().where(files.c.key == key),
            exists().where(thumbnails.c.key == key),
            exists().where(uploads.c.id == upload_id, is_alive()),
            exists().where(objects.c.successor == upload_id),
        )
        return bool(self._connection.execute(select(needed)).scalar_one())

    def condemn(self, key: str, upload_id: str) -> bool:
        if self.needed(key, upload_id):
            return False
        row = {
            "key": key,
            "upload_id": upload_id,
            "state": ObjectState.DELETING,
            "updated_at": db_now(),
        }
        insert_unless_there(self._connection, objects, [row])
        mine = and_(
            objects.c.key == key,
            objects.c.upload_id == upload_id,
            objects.c.state != ObjectState.LINKED,
        )
        statement = update(objects).where(mine)
        marked = statement.values(state=ObjectState.DELETING, updated_at=db_now())
        return self._connection.execute(marked).rowcount == 1

    def succeed(self, key: str, file_id: str, upload_id: str, checked: Mapping[str, Any]) -> bool:
        its = and_(
            objects.c.key == key,
            objects.c.upload_id == file_id,
            objects.c.state == ObjectState.LINKED,
        )
        # Who ended without a file may have written, and only this row says what its file would be.
        is_free = or_(objects.c.successor.is_(None), objects.c.successor == upload_id)
        statement = update(objects).where(its, is_free)
        marked = statement.values(successor=upload_id, checked=dict(checked), updated_at=db_now())
        return self._connection.execute(marked).rowcount == 1

    def succession(self, upload_id: str) -> ObjectRecord | None:
        return next(iter(self._select(objects.c.successor == upload_id, 1)), None)

    def succeeds(self, upload_id: str) -> bool:
        return self.succession(upload_id) is not None

    def inherit(self, key: str, upload_id: str) -> bool:
        statement = update(objects).where(objects.c.key == key, objects.c.successor == upload_id)
        passed = statement.values(
            upload_id=upload_id,
            state=ObjectState.LINKED,
            multipart_id=None,
            successor=None,
            checked=None,
            updated_at=db_now(),
        )
        return self._connection.execute(passed).rowcount == 1

    def successions(self, limit: int) -> list[ObjectRecord]:
        return self._select(and_(objects.c.successor.is_not(None), ~_has_heir_at_work()), limit)

    def forgo(self, key: str, upload_id: str, older_than: timedelta) -> bool:
        statement = update(objects).where(
            objects.c.key == key,
            objects.c.successor == upload_id,
            objects.c.updated_at <= db_now(-older_than),
            ~_has_heir_at_work(),
        )
        left = statement.values(successor=None, checked=None)
        return self._connection.execute(left).rowcount == 1

    def _mark(
        self, keys: Sequence[str], state: ObjectState, where: ColumnElement[bool] | None = None
    ) -> int:
        which = objects.c.key.in_(keys)
        statement = update(objects).where(which if where is None else and_(which, where))
        marked = statement.values(state=state, multipart_id=None, updated_at=db_now())
        return self._connection.execute(marked).rowcount

    def _select(self, where: ColumnElement[bool], limit: int | None = None) -> list[ObjectRecord]:
        statement = select(objects).where(where).order_by(objects.c.updated_at).limit(limit)
        found = self._connection.execute(statement).mappings()
        return [value(row, ObjectRecord, state=ObjectState(row["state"])) for row in found]


def _is_deleting(upload_id: str) -> ColumnElement[bool]:
    return and_(objects.c.upload_id == upload_id, objects.c.state == ObjectState.DELETING)


def _has_heir_at_work() -> ColumnElement[bool]:
    return exists().where(
        uploads.c.id == objects.c.successor, uploads.c.state.not_in(FINAL_UPLOADS)
    )
