"""What must be in the store, as the auditor reads it: the objects of files and of thumbnails."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    exists,
    null,
    or_,
    select,
    union_all,
)

from shared.adapters.records_sql_uploads import is_alive
from shared.adapters.sql_rows import value
from shared.adapters.tables import files, objects, sightings, thumbnails, uploads
from shared.records import Expected, ObjectRecord, ObjectState

_DELETIONS: Final = "deletion"  # what the sweep of that name has tried for long


class SqlExpectedRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def files(self, after: str, limit: int) -> list[Expected]:
        here = and_(files.c.id > after, files.c.deleted_at.is_(None))
        return self._expected(_originals(here).order_by(files.c.id).limit(limit))

    def under(self, keys: Sequence[str]) -> list[Expected]:
        originals = _originals(files.c.key.in_(keys))
        return self._expected(union_all(originals, _thumbnails(thumbnails.c.key.in_(keys))))

    def between(self, after: str, upto: str | None, limit: int) -> list[Expected]:
        def within(key: ColumnElement[str]) -> ColumnElement[bool]:
            return key > after if upto is None else and_(key > after, key <= upto)

        # Each side ends at the limit, or a page of a long range would sort all of it.
        originals = _originals(within(files.c.key)).order_by(files.c.key).limit(limit)
        small = _thumbnails(within(thumbnails.c.key)).order_by(thumbnails.c.key).limit(limit)
        both = union_all(select(originals.subquery()), select(small.subquery()))
        return self._expected(both.order_by("key").limit(limit))

    def keys_of(self, upload_ids: Sequence[str]) -> dict[str, str]:
        statement = select(files.c.upload_id, files.c.key).where(files.c.upload_id.in_(upload_ids))
        return {row["upload_id"]: row["key"] for row in self._all(statement)}

    def unreferred(self, after: str, limit: int) -> tuple[list[ObjectRecord], str | None]:
        page = select(objects).where(objects.c.key > after).order_by(objects.c.key).limit(limit)
        # The page first: PostgreSQL would hash all files to say whose are referred to.
        these = page.subquery()
        referred = or_(files.c.id.is_not(None), thumbnails.c.file_id.is_not(None))
        statement = (
            select(these, referred.label("referred"))
            .outerjoin(files, files.c.key == these.c.key)
            .outerjoin(thumbnails, thumbnails.c.key == these.c.key)
        )
        found = self._all(statement.order_by(these.c.key))
        alone = [
            ObjectRecord(
                key=row["key"],
                upload_id=row["upload_id"],
                state=ObjectState(row["state"]),
                multipart_id=row["multipart_id"],
                updated_at=row["updated_at"],
            )
            for row in found
            if row["state"] == ObjectState.LINKED and not row["referred"]
        ]
        return alone, found[-1]["key"] if len(found) >= limit else None

    def unfinished(self, before: datetime, limit: int) -> list[ObjectRecord]:
        columns, heirs = objects.c, objects.alias("heirs")
        resists = exists().where(
            sightings.c.kind == _DELETIONS,
            sightings.c.name == columns.key,
            sightings.c.first_seen_at <= before,
        )
        is_meant = and_(
            columns.state == ObjectState.INTENDED,
            ~exists().where(uploads.c.id == columns.upload_id, is_alive()),
            # What it may have written is settled before anything of it goes.
            ~exists().where(heirs.c.successor == columns.upload_id),
        )
        is_referred = or_(
            exists().where(files.c.key == columns.key),
            exists().where(thumbnails.c.key == columns.key),
        )
        statement = (
            select(objects)
            .where(or_(columns.updated_at <= before, resists))
            .where(or_(columns.state == ObjectState.DELETING, is_meant), ~is_referred)
            .order_by(columns.updated_at)
            .limit(limit)
        )
        return [
            value(row, ObjectRecord, state=ObjectState(row["state"]))
            for row in self._all(statement)
        ]

    def _all(self, statement: Any) -> Sequence[RowMapping]:
        return self._connection.execute(statement).mappings().all()

    def _expected(self, statement: Any) -> list[Expected]:
        return [_expected(row) for row in self._all(statement)]


def _originals(where: ColumnElement[bool]) -> Select[Any]:
    return (
        select(
            files.c.key.label("key"),
            files.c.id.label("file_id"),
            files.c.upload_id.label("upload_id"),
            null().label("thumbnail"),
            files.c.size.label("size"),
            files.c.etag.label("etag"),
            files.c.sha256.label("sha256"),
            objects.c.upload_id.label("record_upload_id"),
            objects.c.state.label("record_state"),
            objects.c.successor.label("successor"),
        )
        .outerjoin(objects, objects.c.key == files.c.key)
        .where(where)
    )


def _thumbnails(where: ColumnElement[bool]) -> Select[Any]:
    return (
        select(
            thumbnails.c.key.label("key"),
            thumbnails.c.file_id.label("file_id"),
            files.c.upload_id.label("upload_id"),
            thumbnails.c.name.label("thumbnail"),
            thumbnails.c.size.label("size"),
            null().label("etag"),
            null().label("sha256"),
            objects.c.upload_id.label("record_upload_id"),
            objects.c.state.label("record_state"),
            objects.c.successor.label("successor"),
        )
        .join(files, files.c.id == thumbnails.c.file_id)
        .outerjoin(objects, objects.c.key == thumbnails.c.key)
        .where(where)
    )


def _expected(row: RowMapping) -> Expected:
    owner, state = row["record_upload_id"], row["record_state"]
    known = {name: row[name] for name in row if not name.startswith("record_")}
    return Expected(**known, record=None if owner is None else (owner, ObjectState(state)))
