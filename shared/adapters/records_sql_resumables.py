"""Rows of uploads that are sent from offset to offset."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from shared.adapters.tables import joins, resumables, uploads
from shared.model.lifecycle import UploadState
from shared.model.resumable import Resumable


class SqlResumableRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, new: Resumable) -> None:
        row = {
            "upload_id": new.upload_id,
            "secret_sha256": new.secret_sha256,
            "said": new.said,
            "concat": new.concat,
        }
        self._connection.execute(insert(resumables).values(row))
        if new.parts:
            parts: list[dict[str, Any]] = [
                {"upload_id": new.upload_id, "position": position, "part_id": part}
                for position, part in enumerate(new.parts)
            ]
            self._connection.execute(insert(joins), parts)

    def find(self, upload_id: str) -> Resumable | None:
        statement = select(resumables).where(resumables.c.upload_id == upload_id)
        row = self._connection.execute(statement).mappings().first()
        return None if row is None else Resumable(**row, parts=self._parts(upload_id))

    def renew(self, resumable: Resumable) -> None:
        statement = update(resumables).where(resumables.c.upload_id == resumable.upload_id)
        hashed, concat = resumable.secret_sha256, resumable.concat
        self._connection.execute(statement.values(secret_sha256=hashed, concat=concat))

    def drop(self, upload_id: str) -> None:
        self._connection.execute(delete(resumables).where(resumables.c.upload_id == upload_id))

    def awaiting(self, part_id: str) -> list[str]:
        statement = (
            select(joins.c.upload_id)
            .join(uploads, uploads.c.id == joins.c.upload_id)
            .where(joins.c.part_id == part_id, uploads.c.state == UploadState.RECEIVING)
            .order_by(joins.c.upload_id)
        )
        return list(self._connection.execute(statement).scalars())

    def joined_of(self, part_ids: Sequence[str]) -> str | None:
        statement = (
            select(joins.c.upload_id)
            .where(joins.c.part_id == part_ids[0], joins.c.position == 0)
            .order_by(joins.c.upload_id.desc())
        )
        for upload_id in self._connection.execute(statement).scalars():
            if self._parts(upload_id) == tuple(part_ids):
                return str(upload_id)
        return None

    def _parts(self, upload_id: str) -> tuple[str, ...]:
        statement = select(joins.c.part_id).where(joins.c.upload_id == upload_id)
        return tuple(self._connection.execute(statement.order_by(joins.c.position)).scalars())
