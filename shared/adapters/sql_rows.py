"""What the modules `records_sql_*` share: rows become values, and inserts that may lose."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, RowMapping, Table
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

Value = TypeVar("Value")

# A statement takes 32,766 parameters in SQLite and 65,535 in PostgreSQL; no row has more than 32.
_ROWS_AT_ONCE: Final = 1000


def value(row: RowMapping, make: Callable[..., Value], **converted: Any) -> Value:
    """Build a value whose fields are the row's columns, some of them `converted`."""
    return make(**{**row, **converted})


def insert_unless_there(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]
) -> bool:
    """Insert all rows; False when one of their keys is taken (then others may be inserted)."""
    make = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    inserted = 0
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        batch = [dict(row) for row in rows[start : start + _ROWS_AT_ONCE]]
        statement = make(table).values(batch).on_conflict_do_nothing()
        # Without the option nobody counts what an INSERT inserts on PostgreSQL.
        counted = connection.execute(statement, execution_options={"preserve_rowcount": True})
        inserted += counted.rowcount
    return inserted == len(rows)
