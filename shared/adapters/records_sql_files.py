"""Rows of files with their thumbnails."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)

from shared.adapters.records_sql_quotas import begin_counting
from shared.adapters.sql_rows import value
from shared.adapters.sql_time import db_now
from shared.adapters.tables import file_tags, files, quotas, thumbnails
from shared.model.file import File, FileQuery, Thumbnail
from shared.model.naming import end_of_prefix


class SqlFileRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, file: File, lifetime: timedelta | None) -> File:
        columns = asdict(file) | {
            "number": self._next_number(file.tenant),
            "created_at": db_now(),
            "updated_at": db_now(),
            "expires_at": None if lifetime is None else db_now(lifetime),
        }
        del columns["thumbnails"]
        made = self._connection.execute(insert(files).values(columns).returning(files))
        stored = made.mappings().one()
        small = [asdict(each) | {"file_id": file.id} for each in file.thumbnails]
        if small:
            self._connection.execute(insert(thumbnails), small)
        self._tag(file.id, file.tags)
        return _file(stored, file.thumbnails)

    def find(self, file_id: str) -> File | None:
        return next(iter(self.many([file_id])), None)

    def numbered(self, tenant: str, number: int) -> File | None:
        statement = select(files).where(files.c.tenant == tenant, files.c.number == number)
        return next(iter(self._with_thumbnails(statement)), None)

    def keyed(self, key: str) -> File | None:
        statement = select(files).where(files.c.key == key)
        return next(iter(self._with_thumbnails(statement)), None)

    def many(self, file_ids: Sequence[str]) -> list[File]:
        return list(self._with_thumbnails(select(files).where(files.c.id.in_(file_ids))))

    def held(self, file_ids: Sequence[str]) -> list[File]:
        # In one order, or two who hold the same ones could wait for each other.
        these = select(files).where(files.c.id.in_(file_ids)).order_by(files.c.id)
        return list(self._with_thumbnails(these.with_for_update()))

    def under(self, key: str) -> File | None:
        return next(iter(self._with_thumbnails(select(files).where(files.c.key == key))), None)

    def page(self, query: FileQuery) -> list[File]:
        column = files.c[query.sort]
        statement = select(files).where(_matching(query))
        if query.after is not None:
            value_of_last, id_of_last = query.after
            # With the column's type: a time is kept as a number.
            here = tuple_(literal(value_of_last, column.type), literal(id_of_last))
            position = tuple_(column, files.c.id)
            statement = statement.where(position < here if query.descending else position > here)
        order = (
            (column.desc(), files.c.id.desc()) if query.descending else (column.asc(), files.c.id)
        )
        statement = statement.order_by(*order).limit(query.limit).offset(query.offset)
        return list(self._with_thumbnails(statement))

    def count(self, query: FileQuery) -> int:
        statement = select(func.count()).select_from(files).where(_matching(query))
        return self._connection.execute(statement).scalar_one()

    def change(self, file_id: str, **facts: Any) -> File | None:
        in_sight = and_(files.c.id == file_id, files.c.deleted_at.is_(None), _is_in_time())
        statement = update(files).where(in_sight).values(facts | {"updated_at": db_now()})
        if self._connection.execute(statement).rowcount == 0:
            return None
        if "tags" in facts:
            self._connection.execute(delete(file_tags).where(file_tags.c.file_id == file_id))
            self._tag(file_id, facts["tags"])
        return self.find(file_id)

    def mark_deleted(self, *file_ids: str) -> set[str]:
        statement = (
            update(files)
            .where(files.c.id.in_(file_ids), files.c.deleted_at.is_(None))
            .values(deleted_at=db_now(), updated_at=db_now())
        )
        return set(self._connection.execute(statement.returning(files.c.id)).scalars())

    def restore(self, file_id: str) -> bool:
        hidden = and_(files.c.id == file_id, files.c.deleted_at.is_not(None), _is_in_time())
        statement = update(files).where(hidden).values(deleted_at=None, updated_at=db_now())
        return self._connection.execute(statement).rowcount == 1

    def drop(self, *file_ids: str) -> set[str]:
        statement = delete(files).where(files.c.id.in_(file_ids)).returning(files.c.id)
        return set(self._connection.execute(statement).scalars())

    def expired(self, limit: int) -> list[File]:
        old = and_(files.c.expires_at <= db_now(), files.c.deleted_at.is_(None))
        statement = select(files).where(old).order_by(files.c.expires_at).limit(limit)
        return list(self._with_thumbnails(statement))

    def expire(self, file_id: str) -> bool:
        over = and_(files.c.expires_at <= db_now(), files.c.deleted_at.is_(None))
        statement = (
            update(files)
            .where(files.c.id == file_id, over)
            .values(deleted_at=db_now(), updated_at=db_now())
        )
        return self._connection.execute(statement).rowcount == 1

    def aged(self, profile: str, older_than: timedelta, limit: int) -> list[File]:
        old = and_(
            files.c.profile == profile,
            files.c.deleted_at.is_(None),
            files.c.created_at <= db_now(-older_than),
        )
        # In the order of the index: PostgreSQL would sort them otherwise, however many there are.
        statement = select(files).where(old).order_by(files.c.deleted_at, files.c.created_at)
        statement = statement.limit(limit)
        return list(self._with_thumbnails(statement))

    def referred(self, keys: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for column in (files.c.key, thumbnails.c.key):
            found |= set(self._connection.execute(select(column).where(column.in_(keys))).scalars())
        return found

    def deleted(self, older_than: timedelta, limit: int) -> list[File]:
        old = files.c.deleted_at <= db_now(-older_than)
        statement = select(files).where(old).order_by(files.c.deleted_at).limit(limit)
        return list(self._with_thumbnails(statement))

    def _tag(self, file_id: str, tags: Sequence[str]) -> None:
        rows = [{"file_id": file_id, "tag": tag} for tag in tags]
        if rows:
            self._connection.execute(insert(file_tags), rows)

    def _next_number(self, tenant: str) -> int:
        begin_counting(self._connection, tenant)
        counted = update(quotas).where(quotas.c.tenant == tenant)
        counted = counted.values(last_number=quotas.c.last_number + 1)
        number: int = self._connection.execute(counted.returning(quotas.c.last_number)).scalar_one()
        return number

    def _with_thumbnails(self, statement: Any) -> Iterable[File]:
        rows = list(self._connection.execute(statement).mappings())
        ids = [row["id"] for row in rows]
        small: defaultdict[str, list[Thumbnail]] = defaultdict(list)
        found = self._connection.execute(
            select(thumbnails).where(thumbnails.c.file_id.in_(ids)).order_by(thumbnails.c.size)
        )
        for each in found.mappings():
            columns = {name: each[name] for name in each if name != "file_id"}
            small[each["file_id"]].append(Thumbnail(**columns))
        return [_file(row, small[row["id"]]) for row in rows]


def _is_in_time() -> ColumnElement[bool]:
    return or_(files.c.expires_at.is_(None), files.c.expires_at > db_now())


def _matching(query: FileQuery) -> ColumnElement[bool]:
    columns = files.c
    deleted = columns.deleted_at.is_not(None) if query.deleted else columns.deleted_at.is_(None)
    wanted = [columns.tenant == query.tenant, deleted, _is_in_time()]
    exact = {
        columns.owner: query.owner,
        columns.category: query.category,
        columns.folder: query.folder,
        columns.reference: query.reference,
        columns.profile: query.profile,
        columns.content_type: query.content_type,
    }
    wanted += [column == wish for column, wish in exact.items() if wish is not None]
    if query.tag is not None:
        tagged = exists().where(file_tags.c.file_id == columns.id, file_tags.c.tag == query.tag)
        wanted.append(tagged)
    if query.text is not None:
        named = columns.filename.icontains(query.text, autoescape=True)
        wanted.append(or_(named, columns.description.icontains(query.text, autoescape=True)))
    if query.prefix is not None:
        # A range, not LIKE: whatever the prefix is, it is read from an index.
        end = end_of_prefix(query.prefix)
        wanted.append(columns.key >= query.prefix)
        wanted += [] if end is None else [columns.key < end]
    if query.key_after is not None:
        wanted.append(columns.key > query.key_after)
    if query.created_after is not None:
        wanted.append(columns.created_at > query.created_after)
    if query.created_before is not None:
        wanted.append(columns.created_at < query.created_before)
    return and_(*wanted)


def _file(row: RowMapping, small: Sequence[Thumbnail]) -> File:
    return value(row, File, thumbnails=tuple(small))
