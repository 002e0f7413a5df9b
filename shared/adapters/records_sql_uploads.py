"""Rows of uploads, their chunks and their idempotency keys."""

from collections.abc import Sequence
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
    literal_column,
    or_,
    select,
    update,
)

from shared.adapters.sql_rows import insert_unless_there, value
from shared.adapters.sql_time import db_now, renewed
from shared.adapters.tables import chunks, direct, idempotency, jobs, objects, uploads
from shared.model.lifecycle import FINAL_UPLOADS, Event, UploadState, upload_change
from shared.model.upload import Chunk, Transfer, Upload
from shared.records import ObjectState


class SqlUploadRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, upload: Upload, lifetime: timedelta) -> Upload:
        columns = asdict(upload) | {
            "created_at": db_now(),
            "updated_at": db_now(),
            "expires_at": db_now(lifetime),
        }
        statement = insert(uploads).values(columns).returning(uploads)
        return upload_of(self._connection.execute(statement).mappings().one())

    def find(self, upload_id: str) -> Upload | None:
        found = self._connection.execute(select(uploads).where(uploads.c.id == upload_id))
        row = found.mappings().first()
        return None if row is None else upload_of(row)

    def add_bytes(
        self,
        upload_id: str,
        length: int,
        *,
        at: int | None,
        reserve: int,
        lifetime: timedelta | None = None,
    ) -> bool:
        columns = uploads.c
        open_here = and_(columns.id == upload_id, columns.state == UploadState.RECEIVING)
        if at is not None:
            open_here = and_(open_here, columns.received == at)
        counted: dict[str, Any] = {
            "received": columns.received + length,
            "reserved": columns.reserved + reserve,
            "updated_at": db_now(),
        }
        if lifetime is not None:
            counted["expires_at"] = renewed(columns.expires_at, columns.created_at, lifetime)
        statement = update(uploads).where(open_here).values(counted)
        return self._connection.execute(statement).rowcount == 1

    def declare(self, upload_id: str, size: int) -> bool:
        open_here = and_(
            uploads.c.id == upload_id,
            uploads.c.state == UploadState.RECEIVING,
            uploads.c.size.is_(None),
            uploads.c.received <= size,
        )
        statement = update(uploads).where(open_here).values(size=size, updated_at=db_now())
        return self._connection.execute(statement).rowcount == 1

    def advance(self, upload_id: str, event: Event) -> bool:
        sources, target = upload_change(event)
        statement = (
            update(uploads)
            .where(uploads.c.id == upload_id, uploads.c.state.in_(sources))
            .values(state=target, updated_at=db_now())
        )
        return self._connection.execute(statement).rowcount == 1

    def settle(self, upload_id: str, **facts: Any) -> None:
        statement = update(uploads).where(uploads.c.id == upload_id).values(facts)
        self._connection.execute(statement)

    def agree(self, upload_id: str, sha256: str) -> bool:
        # Whoever claims the job, or retries it, reads the row after that.
        waits = uploads.c.state.in_({UploadState.SEALED, UploadState.FAILED})
        here = and_(uploads.c.id == upload_id, waits, uploads.c.sha256.is_(None))
        statement = update(uploads).where(here).values(sha256=sha256)
        return self._connection.execute(statement).rowcount == 1

    def remember(self, caller: tuple[str, str], key: str, fingerprint: str, upload_id: str) -> bool:
        tenant, owner = caller
        row = {
            "tenant": tenant,
            "owner": owner,
            "key": key,
            "fingerprint": fingerprint,
            "upload_id": upload_id,
        }
        return insert_unless_there(self._connection, idempotency, [row])

    def remembered(self, caller: tuple[str, str], key: str) -> tuple[str, str] | None:
        tenant, owner = caller
        columns = idempotency.c
        statement = select(columns.fingerprint, columns.upload_id).where(
            columns.tenant == tenant, columns.owner == owner, columns.key == key
        )
        row = self._connection.execute(statement).first()
        return None if row is None else (row.fingerprint, row.upload_id)

    def expired(
        self, limit: int, *, directly: bool, older_than: timedelta = timedelta()
    ) -> list[Upload]:
        is_direct = uploads.c.transfer == Transfer.DIRECT
        is_over = uploads.c.expires_at <= db_now(-older_than)
        statement = (
            select(uploads)
            .where(uploads.c.state == UploadState.RECEIVING, is_over)
            .where(is_direct if directly else ~is_direct)
            .order_by(uploads.c.expires_at)
            .limit(limit)
        )
        return [upload_of(row) for row in self._connection.execute(statement).mappings()]

    def failed(self, older_than: timedelta, limit: int) -> list[Upload]:
        here = and_(uploads.c.state == UploadState.FAILED, or_(_has_chunks(), _has_room()))
        return self._since(older_than, limit, here)

    def jobless(self, older_than: timedelta, limit: int) -> list[Upload]:
        without = ~exists().where(jobs.c.upload_id == uploads.c.id)
        return self._since(older_than, limit, and_(uploads.c.state == UploadState.SEALED, without))

    def hoarding(self, older_than: timedelta, limit: int) -> list[Upload]:
        ended = uploads.c.state.in_(FINAL_UPLOADS - {UploadState.FAILED})
        return self._since(older_than, limit, and_(ended, _has_room()))

    def hold(self, upload_id: str, state: UploadState) -> bool:
        # An UPDATE locks the row on both databases; `updated_at` stays what it was.
        here = and_(uploads.c.id == upload_id, uploads.c.state == state)
        statement = update(uploads).where(here).values(state=uploads.c.state)
        return self._connection.execute(statement).rowcount == 1

    def ended(self, older_than: timedelta, limit: int) -> list[Upload]:
        intended = exists().where(
            objects.c.upload_id == uploads.c.id, objects.c.state != ObjectState.LINKED
        )
        waiting = exists().where(direct.c.upload_id == uploads.c.id)
        succeeding = exists().where(objects.c.successor == uploads.c.id)
        holds_nothing = ~or_(_has_chunks(), _has_room(), intended, waiting, succeeding)
        here = and_(uploads.c.state.in_(FINAL_UPLOADS), holds_nothing)
        return self._since(older_than, limit, here)

    def known(self, upload_ids: Sequence[str]) -> dict[str, Upload]:
        statement = select(uploads).where(uploads.c.id.in_(upload_ids))
        found = (upload_of(row) for row in self._connection.execute(statement).mappings())
        return {upload.id: upload for upload in found}

    def awaited(self, keys: Sequence[str]) -> set[str]:
        # By the states, which have an index: few uploads are open.
        is_open = uploads.c.state.in_(frozenset(UploadState) - FINAL_UPLOADS)
        statement = select(uploads.c.key).where(is_open, uploads.c.key.in_(keys))
        return set(self._connection.execute(statement).scalars())

    def receiving(self, key: str) -> list[Upload]:
        here = and_(uploads.c.state == UploadState.RECEIVING, uploads.c.key == key)
        statement = select(uploads).where(here).order_by(uploads.c.id)
        return [upload_of(row) for row in self._connection.execute(statement).mappings()]

    def drop(self, upload_ids: Sequence[str]) -> None:
        for table, column in ((idempotency, idempotency.c.upload_id), (uploads, uploads.c.id)):
            self._connection.execute(delete(table).where(column.in_(upload_ids)))

    def _since(self, older_than: timedelta, limit: int, here: ColumnElement[bool]) -> list[Upload]:
        statement = (
            select(uploads)
            .where(here, uploads.c.updated_at <= db_now(-older_than))
            .order_by(uploads.c.updated_at)
            .limit(limit)
        )
        return [upload_of(row) for row in self._connection.execute(statement).mappings()]


class SqlChunkRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, new: Sequence[Chunk]) -> bool:
        rows = [asdict(chunk) | {"crc64": f"{chunk.crc64:016x}"} for chunk in new]
        return insert_unless_there(self._connection, chunks, rows)

    def of(self, upload_id: str, number: int | None = None) -> list[Chunk]:
        statement = select(chunks).where(chunks.c.upload_id == upload_id)
        if number is not None:
            statement = statement.where(chunks.c.number == number)
        found = self._connection.execute(statement.order_by(chunks.c.number, chunks.c.offset))
        return [value(row, Chunk, crc64=int(row["crc64"], 16)) for row in found.mappings()]

    def names(self, upload_id: str) -> set[str]:
        theirs = or_(chunks.c.upload_id == upload_id, chunks.c.home == upload_id)
        return set(self._connection.execute(select(chunks.c.name).where(theirs)).scalars())

    def places(self, upload_id: str) -> set[str]:
        homes = select(chunks.c.home).where(chunks.c.upload_id == upload_id).distinct()
        return {home or upload_id for home in self._connection.execute(homes).scalars()}

    def below(self, upload_id: str, length: int) -> int:
        short = and_(chunks.c.upload_id == upload_id, chunks.c.length < length)
        counted = select(func.count()).select_from(chunks).where(short)
        return self._connection.execute(counted).scalar_one()

    def move(self, upload_id: str, joined_id: str, number: int) -> None:
        home = func.coalesce(chunks.c.home, chunks.c.upload_id)
        statement = update(chunks).where(chunks.c.upload_id == upload_id)
        self._connection.execute(statement.values(upload_id=joined_id, number=number, home=home))

    def drop(self, upload_id: str) -> None:
        self._connection.execute(delete(chunks).where(chunks.c.upload_id == upload_id))


def is_alive() -> ColumnElement[bool]:
    """Say of a row of uploads that somebody may still work on it: it is open, or can be retried."""
    straight = and_(uploads.c.transfer == Transfer.DIRECT, _has_room())
    retryable = and_(uploads.c.state == UploadState.FAILED, or_(_has_chunks(), straight))
    return or_(uploads.c.state.not_in(FINAL_UPLOADS), retryable)


def _has_chunks() -> ColumnElement[bool]:
    return exists().where(chunks.c.upload_id == uploads.c.id)


def _has_room() -> ColumnElement[bool]:
    # Not a parameter: a plan that is kept for any number would not be of the index of these rows.
    return uploads.c.reserved != literal_column("0")


def upload_of(row: RowMapping) -> Upload:
    return value(row, Upload, state=UploadState(row["state"]), transfer=Transfer(row["transfer"]))
