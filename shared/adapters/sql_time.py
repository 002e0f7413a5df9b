"""Times in both databases: whole milliseconds since 1970 in a BIGINT, by the database's own clock.

One arithmetic and one order on SQLite and PostgreSQL. `db_now` is the only clock that leases, expiries
and schedules know.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, TypeDecorator, case, literal, or_, type_coerce
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_NEARLY: Final = 1 / 60
_MOST_SPANS: Final = 30


class Instant(TypeDecorator[datetime]):
    """An aware time in UTC, kept as milliseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        del dialect
        return None if value is None else (value - EPOCH) // _MILLISECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        del dialect
        return None if value is None else EPOCH + int(value) * _MILLISECOND


class _Now(FunctionElement[Any]):
    type = BigInteger()
    inherit_cache = True


@compiles(_Now, "sqlite")
def _now_in_sqlite(element: _Now, compiler: SQLCompiler, **options: Any) -> str:
    del element, compiler, options
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"


@compiles(_Now, "postgresql")
def _now_in_postgresql(element: _Now, compiler: SQLCompiler, **options: Any) -> str:
    # now() stands still inside a transaction; a lease must not.
    del element, compiler, options
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"


def db_now(after: timedelta = timedelta()) -> ColumnElement[datetime]:
    """Return the database's time, shifted by `after`."""
    now: ColumnElement[int] = _Now()
    shift = after // _MILLISECOND
    return type_coerce(now + literal(shift, BigInteger) if shift else now, Instant)


def renewed(
    moment: ColumnElement[Any], since: ColumnElement[Any], span: timedelta
) -> ColumnElement[datetime]:
    """Return the end of what is given a `span` from now, and that many times at most `since` it began.

    It stays what it is where it is nearly that: a column that has an index is not written each time.
    What is further ahead was put there by a clock that was ahead, too.
    """
    is_near = moment.between(db_now(span * (1 - _NEARLY)), db_now(2 * span))
    is_old = since < db_now(-_MOST_SPANS * span)
    return case((or_(is_near, is_old), moment), else_=db_now(span))


def has_lapsed(until: ColumnElement[Any], lease: timedelta) -> ColumnElement[bool]:
    """Say of the end of a lease that it has passed, or lies where nobody can have set it by this clock.

    One that was ahead is right again: who holds it and lives sets it anew, who died never will.
    """
    return or_(until < db_now(), until > db_now(2 * lease))


def has_come(moment: ColumnElement[Any], longest: timedelta) -> ColumnElement[bool]:
    """Say the same of what was put off by `longest` at most."""
    return or_(moment <= db_now(), moment > db_now(2 * longest))
