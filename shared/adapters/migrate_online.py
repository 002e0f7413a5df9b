"""Steps of migrations that PostgreSQL takes while it is in use, and any number of times.

Each is a transaction of its own and locks one table: who holds one lock waits for no other, so that no
order in which others lock tables makes a deadlock. On SQLite the whole migration is one transaction.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

LOCK_TIMEOUT: Final = "300ms"
_IS_INVALID: Final = sa.text(
    "SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(quote_ident(:name))"
)


def add_column(table: str, column: sa.Column[Any]) -> None:
    """Add a column, empty or with a constant, unless it is there: PostgreSQL writes no row anew."""
    if not is_postgresql():
        op.add_column(table, column)
        return
    with op.get_context().autocommit_block():
        op.add_column(table, column, if_not_exists=True)


def create_table(name: str, *items: sa.schema.SchemaItem) -> None:
    """Create a table unless it is there."""
    if not is_postgresql():
        op.create_table(name, *items)
        return
    with op.get_context().autocommit_block():
        op.create_table(name, *items, if_not_exists=True)


def create_index(
    name: str,
    table: str,
    columns: Sequence[str | sa.TextClause],
    *,
    unique: bool = False,
    where: sa.TextClause | None = None,
) -> None:
    """Build an index while others write, unless it is there.

    That waits for all transactions which began before, as long as they last, and keeps nobody
    waiting meanwhile. What was broken off has left an index that is not used: it is dropped first.
    """
    if not is_postgresql():
        op.create_index(name, table, columns, unique=unique, sqlite_where=where)
        return
    with _patiently():
        if op.get_bind().execute(_IS_INVALID, {"name": name}).scalar():
            op.drop_index(name, table, postgresql_concurrently=True)
        op.create_index(
            name,
            table,
            columns,
            unique=unique,
            postgresql_where=where,
            if_not_exists=True,
            postgresql_concurrently=True,
        )


def analyze(*tables: str) -> None:
    if is_postgresql():
        with _patiently():
            op.execute(f"ANALYZE {', '.join(tables)}")


@contextmanager
def _patiently() -> Iterator[None]:
    """Wait for locks that no reader and no writer wants, as long as it takes."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        yield
        op.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")


def is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"
