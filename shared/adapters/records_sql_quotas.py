"""Rows of quotas: what a tenant has, and may have."""

from sqlalchemy import Connection, or_, select, update

from shared.adapters.sql_rows import insert_unless_there
from shared.adapters.tables import quotas


class SqlQuotaRows:
    """`used` counts the bytes of files, `reserved` those that open uploads may still become."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def reserve(self, tenant: str, size: int) -> bool:
        begin_counting(self._connection, tenant)
        fits = or_(
            quotas.c.limit_bytes.is_(None),
            quotas.c.used + quotas.c.reserved + size <= quotas.c.limit_bytes,
        )
        statement = (
            update(quotas)
            .where(quotas.c.tenant == tenant, fits)
            .values(reserved=quotas.c.reserved + size)
        )
        return self._connection.execute(statement).rowcount == 1

    def release(self, tenant: str, size: int) -> None:
        self._add(tenant, used=0, reserved=-size)

    def use(self, tenant: str, size: int, reserved: int) -> None:
        self._add(tenant, used=size, reserved=-reserved)

    def free(self, tenant: str, size: int) -> None:
        self._add(tenant, used=-size, reserved=0)

    def room(self, tenant: str) -> int | None:
        left = quotas.c.limit_bytes - quotas.c.used - quotas.c.reserved
        statement = select(left).where(quotas.c.tenant == tenant)
        room: int | None = self._connection.execute(statement).scalar()
        return room

    def _add(self, tenant: str, *, used: int, reserved: int) -> None:
        statement = (
            update(quotas)
            .where(quotas.c.tenant == tenant)
            .values(used=quotas.c.used + used, reserved=quotas.c.reserved + reserved)
        )
        self._connection.execute(statement)


def begin_counting(connection: Connection, tenant: str) -> None:
    """Make the row in which all that a tenant has is counted, where it is missing."""
    insert_unless_there(connection, quotas, [{"tenant": tenant, "used": 0, "reserved": 0}])
