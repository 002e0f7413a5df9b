"""The records in SQLite (WAL) or PostgreSQL, behind `shared.records`.

SQLite writes begin with BEGIN IMMEDIATE, so that a transaction never fails half way for a lock; a
connection never crosses a fork: whoever forks makes its own `SqlRecords`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from sqlite3 import Connection as SqliteConnection
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url, select
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shared.adapters.records_sql_files import SqlFileRows, SqlQuotaRows
from shared.adapters.records_sql_jobs import SqlJobRows, SqlLeaseRows
from shared.adapters.records_sql_objects import SqlObjectRows
from shared.adapters.records_sql_uploads import SqlChunkRows, SqlUploadRows
from shared.adapters.records_sql_webhooks import SqlWebhookRows
from shared.adapters.sql_time import db_now
from shared.errors import Unavailable
from shared.records import Transaction

_BUSY_SECONDS: Final = 10
_POOL_SECONDS: Final = 5


class SqlTransaction:
    """The rows of every noun on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.uploads = SqlUploadRows(connection)
        self.chunks = SqlChunkRows(connection)
        self.jobs = SqlJobRows(connection)
        self.files = SqlFileRows(connection)
        self.objects = SqlObjectRows(connection)
        self.quotas = SqlQuotaRows(connection)
        self.webhooks = SqlWebhookRows(connection)
        self.leases = SqlLeaseRows(connection)

    def now(self) -> datetime:
        return self._connection.execute(select(db_now())).scalar_one()


class SqlRecords:
    """One database."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self._engine = engine(url, pool_size=pool_size)

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        with _translated(), self._engine.begin() as connection:
            yield SqlTransaction(connection)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        with _translated(), self._engine.connect() as connection:
            yield SqlTransaction(connection.execution_options(sluice_reads=True))

    def check(self) -> None:
        with self.read() as rows:
            rows.now()

    def close(self) -> None:
        self._engine.dispose()


def engine(url: str, *, pool_size: int = 8) -> Engine:
    """Return an engine with the settings each database needs; `url` is SQLAlchemy's or a plain one."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=_POOL_SECONDS,
            connect_args={
                "connect_timeout": 3,
                # A database that the network lost: else a thread waits for it a quarter of an hour.
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "tcp_user_timeout": 20_000,
                "options": "-c statement_timeout=15000 -c idle_in_transaction_session_timeout=30000"
                " -c lock_timeout=10000",
            },
        )
    made = create_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=64,
        pool_timeout=_POOL_SECONDS,
        connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
    )
    event.listen(made, "connect", _set_up_sqlite)
    event.listen(made, "begin", _begin_sqlite)
    return made


def _set_up_sqlite(connection: SqliteConnection, record: Any) -> None:
    del record
    connection.isolation_level = None  # BEGIN is ours to say, below
    for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {setting}")


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get("sluice_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


@contextmanager
def _translated() -> Iterator[None]:
    """Let a database that does not answer be `Unavailable`; a bug in SQL stays a bug."""
    try:
        yield
    except (OperationalError, PoolTimeoutError) as error:
        raise Unavailable("records", "The database does not answer.") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise Unavailable("records", "The database does not answer.") from error
        raise
