"""Rows as the auditor reads them."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    Connection,
    RowMapping,
    and_,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
    update,
)

from shared.adapters.records_sql_quotas import begin_counting
from shared.adapters.records_sql_uploads import is_alive
from shared.adapters.records_sql_waits import SqlWaitRows
from shared.adapters.sql_rows import value
from shared.adapters.sql_time import db_now
from shared.adapters.tables import (
    chunks,
    deliveries,
    direct,
    files,
    jobs,
    quotas,
    uploads,
)
from shared.model.lifecycle import JobState, UploadState
from shared.model.upload import Chunk, Transfer
from shared.model.webhook import DeliveryState
from shared.records import AuditedDirect, AuditedJob, AuditedUpload, Figures, Room

_USED: Final = (
    select(func.coalesce(func.sum(files.c.size), 0))
    .where(files.c.tenant == quotas.c.tenant)
    .correlate(quotas)
    .scalar_subquery()
)
_RESERVED: Final = (
    select(func.coalesce(func.sum(uploads.c.reserved), 0))
    .where(uploads.c.tenant == quotas.c.tenant)
    .correlate(quotas)
    .scalar_subquery()
)

_LAST: Final = (
    select(func.coalesce(func.max(files.c.number), 0))
    .where(files.c.tenant == quotas.c.tenant)
    .correlate(quotas)
    .scalar_subquery()
)


class SqlAuditRows(SqlWaitRows):
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def uploads(self, after: str, limit: int) -> list[AuditedUpload]:
        page = select(uploads).where(uploads.c.id > after).order_by(uploads.c.id).limit(limit)
        these = page.subquery()
        columns = these.c
        own = chunks.c.upload_id == columns.id
        chunked = select(func.coalesce(func.sum(chunks.c.length), 0)).where(own)
        straight = exists().where(direct.c.upload_id == columns.id)
        # What lies in the store has no chunks: it counts as one of the size that was sealed.
        count = select(func.count()).where(own).scalar_subquery() + case((straight, 1), else_=0)
        is_direct = columns.transfer == Transfer.DIRECT
        staged = case((is_direct, columns.received), else_=chunked.scalar_subquery())
        statement = (
            select(
                columns.id,
                columns.tenant,
                columns.state,
                columns.size,
                columns.received,
                columns.reserved,
                count.label("chunks"),
                staged.label("staged"),
                jobs.c.state.label("job_state"),
                columns.updated_at,
                columns.expires_at,
                is_direct.label("is_direct"),
            )
            .outerjoin(jobs, jobs.c.upload_id == columns.id)
            .order_by(columns.id)
        )
        return [_upload(row) for row in self._all(statement)]

    def directs(self, after: str, limit: int) -> list[AuditedDirect]:
        columns = direct.c
        statement = (
            select(
                *(columns.upload_id, columns.key, columns.etag),
                *(columns.is_cleared, columns.links_until),
                *(uploads.c.state, uploads.c.updated_at, is_alive().label("is_alive")),
            )
            .join(uploads, uploads.c.id == columns.upload_id)
            .where(columns.upload_id > after)
            .order_by(columns.upload_id)
            .limit(limit)
        )
        return [
            value(
                row,
                AuditedDirect,
                state=UploadState(row["state"]),
                is_alive=bool(row["is_alive"]),
            )
            for row in self._all(statement)
        ]

    def jobs(self, after: str, limit: int) -> list[AuditedJob]:
        page = select(jobs.c.id, jobs.c.upload_id).where(jobs.c.id > after)
        # The page first: PostgreSQL would hash all uploads to say whose are there.
        these = page.order_by(jobs.c.id).limit(limit).subquery().c
        statement = (
            select(these.id, these.upload_id, uploads.c.id.is_not(None).label("has_upload"))
            .outerjoin(uploads, uploads.c.id == these.upload_id)
            .order_by(these.id)
        )
        return [value(row, AuditedJob) for row in self._all(statement)]

    def chunks(self, after: tuple[str, int, int], limit: int) -> list[Chunk]:
        place = (chunks.c.upload_id, chunks.c.number, chunks.c.offset)
        beyond = tuple_(*place) > tuple_(*(literal(each) for each in after))
        statement = select(chunks).where(beyond).order_by(*place).limit(limit)
        return [value(row, Chunk, crc64=int(row["crc64"], 16)) for row in self._all(statement)]

    def kept(self, places: Sequence[str], names: Sequence[str]) -> set[tuple[str, str]]:
        columns = chunks.c
        there = or_(columns.upload_id.in_(places), columns.home.in_(places))
        place = func.coalesce(columns.home, columns.upload_id).label("place")
        these = and_(there, columns.name.in_(names))
        return {
            (row["place"], row["name"])
            for row in self._all(select(place, columns.name).where(these))
        }

    def rooms(self, after: str, limit: int) -> list[Room]:
        statement = select(
            quotas.c.tenant,
            quotas.c.used,
            quotas.c.reserved,
            _USED.label("real_used"),
            _RESERVED.label("real_reserved"),
        ).where(quotas.c.tenant > after)
        found = self._all(statement.order_by(quotas.c.tenant).limit(limit))
        # PostgreSQL's sum is a decimal number.
        return [
            value(
                row,
                Room,
                real_used=int(row["real_used"]),
                real_reserved=int(row["real_reserved"]),
            )
            for row in found
        ]

    def uncounted(self, limit: int) -> list[str]:
        counted = select(quotas.c.tenant)
        tenants = select(files.c.tenant).union(select(uploads.c.tenant)).subquery().c.tenant
        statement = select(tenants).where(tenants.not_in(counted)).order_by(tenants).limit(limit)
        return list(self._connection.execute(statement).scalars())

    def figures(self) -> Figures:
        counted = select(jobs.c.state, func.count().label("count")).group_by(jobs.c.state)
        oldest = select(func.min(jobs.c.due_at)).where(
            jobs.c.state == JobState.QUEUED, jobs.c.due_at <= db_now()
        )
        due = select(func.count()).where(
            deliveries.c.state == DeliveryState.PENDING, deliveries.c.due_at <= db_now()
        )
        return Figures(
            now=self._connection.execute(select(db_now())).scalar_one(),
            jobs={row["state"]: row["count"] for row in self._all(counted)},
            oldest_due_at=self._connection.execute(oldest).scalar_one(),
            deliveries_due=self._connection.execute(due).scalar_one(),
        )

    def progress(self) -> str:
        # Both: an id tells the time of the host that made it, whose clock may have been ahead.
        newest = self._connection.execute(select(func.max(uploads.c.id))).scalar_one()
        made = self._connection.execute(select(func.sum(quotas.c.last_number))).scalar_one()
        return f"{newest} {made}"

    def recount(self, tenant: str) -> None:
        here = quotas.c.tenant == tenant
        begin_counting(self._connection, tenant)
        self._connection.execute(update(quotas).where(here).values(used=quotas.c.used))
        # Only a statement that begins with the row in hand sees all that was added before.
        last = case((quotas.c.last_number < _LAST, _LAST), else_=quotas.c.last_number)
        real = update(quotas).where(here).values(used=_USED, reserved=_RESERVED, last_number=last)
        self._connection.execute(real)

    def _all(self, statement: Any) -> Sequence[RowMapping]:
        return self._connection.execute(statement).mappings().all()


def _upload(row: RowMapping) -> AuditedUpload:
    return value(
        row,
        AuditedUpload,
        state=UploadState(row["state"]),
        staged=int(row["staged"]),
        is_direct=bool(row["is_direct"]),
        job_state=None if row["job_state"] is None else JobState(row["job_state"]),
    )
