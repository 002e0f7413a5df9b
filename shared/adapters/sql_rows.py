"""What the modules `records_sql_*` share: rows become values, and inserts that may lose."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, RowMapping, Table
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

Value = TypeVar("Value")


def value(row: RowMapping, make: Callable[..., Value], **converted: Any) -> Value:
    """Build a value whose fields are the row's columns, some of them `converted`."""
    return make(**{**row, **converted})


def insert_unless_there(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]
) -> bool:
    """Insert all rows; False when one of their keys is taken (then others may be inserted)."""
    make = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    statement = make(table).values([dict(row) for row in rows]).on_conflict_do_nothing()
    return connection.execute(statement).rowcount == len(rows)
