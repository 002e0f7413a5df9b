"""The records in SQLite (WAL) or PostgreSQL, behind `shared.records`.

SQLite writes begin with BEGIN IMMEDIATE, so that a transaction never fails half way for a lock. What
only reads sees one moment in both: SQLite has it so, PostgreSQL is told when the transaction begins. A
connection never crosses a fork: whoever forks makes its own `SqlRecords`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from sqlite3 import Connection as SqliteConnection
from sqlite3 import OperationalError as SqliteOperationalError
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shared.adapters.records_sql_audits import SqlAuditRows
from shared.adapters.records_sql_direct import SqlDirectRows
from shared.adapters.records_sql_expected import SqlExpectedRows
from shared.adapters.records_sql_files import SqlFileRows
from shared.adapters.records_sql_grants import SqlGrantRows
from shared.adapters.records_sql_jobs import SqlJobRows
from shared.adapters.records_sql_leases import SqlLeaseRows
from shared.adapters.records_sql_objects import SqlObjectRows
from shared.adapters.records_sql_quotas import SqlQuotaRows
from shared.adapters.records_sql_resumables import SqlResumableRows
from shared.adapters.records_sql_steps import SqlStepRows
from shared.adapters.records_sql_uploads import SqlChunkRows, SqlUploadRows
from shared.adapters.records_sql_webhooks import SqlWebhookRows
from shared.adapters.silence import Silence
from shared.adapters.sql_faults import is_answered, is_outage
from shared.adapters.sql_patience import bound
from shared.adapters.sql_time import db_now
from shared.errors import OutcomeUnknown, Unavailable
from shared.records import Transaction

_BUSY_SECONDS: Final = 10
_POOL_SECONDS: Final = 3
_SWITCHES: Final = 20
_TRANSACTION_SECONDS: Final = 12.0


class SqlTransaction:
    """The rows of every noun on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.uploads = SqlUploadRows(connection)
        self.chunks = SqlChunkRows(connection)
        self.direct = SqlDirectRows(connection)
        self.grants = SqlGrantRows(connection)
        self.resumables = SqlResumableRows(connection)
        self.jobs = SqlJobRows(connection)
        self.steps = SqlStepRows(connection)
        self.files = SqlFileRows(connection)
        self.objects = SqlObjectRows(connection)
        self.quotas = SqlQuotaRows(connection)
        self.webhooks = SqlWebhookRows(connection)
        self.leases = SqlLeaseRows(connection)
        self.audits = SqlAuditRows(connection)
        self.expected = SqlExpectedRows(connection)

    def now(self) -> datetime:
        return self._connection.execute(select(db_now())).scalar_one()


class SqlRecords:
    """One database. `transaction_seconds` is the most that PostgreSQL is waited for in one."""

    def __init__(
        self, url: str, *, pool_size: int = 8, transaction_seconds: float = _TRANSACTION_SECONDS
    ) -> None:
        self._engine = engine(url, pool_size=pool_size)
        self._silence: Silence | None = None
        self._reading: dict[str, Any] = {"sluice_reads": True}
        if self._engine.dialect.name == "postgresql":
            self._reading["isolation_level"] = "REPEATABLE READ"  # said with its BEGIN
            self._silence = bound(self._engine, transaction_seconds=transaction_seconds)

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        with (
            self._answering(),
            self._engine.connect() as connection,
            connection.begin() as transaction,
        ):
            yield SqlTransaction(connection)
            try:
                transaction.commit()
            except DBAPIError as error:
                if is_answered(error):
                    raise
                raise OutcomeUnknown("records", "The database does not answer.") from error

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        with self._answering(), self._engine.connect() as connection:
            yield SqlTransaction(connection.execution_options(**self._reading))

    def check(self) -> None:
        with self.read() as rows:
            rows.now()

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Let a database in trouble be `Unavailable`; a bug in our SQL stays a bug."""
        if self._silence:
            raise Unavailable("records", "The database does not answer.")
        try:
            yield
        except PoolTimeoutError as error:
            if self._silence is not None:  # all wait: for us, or for a server that is frozen?
                self._silence.begin()
            raise Unavailable("records", "The database does not answer.") from error
        except DBAPIError as error:
            if is_outage(error):
                raise Unavailable("records", "The database does not answer.") from error
            raise


def engine(url: str, *, pool_size: int = 8, busy_seconds: int = _BUSY_SECONDS) -> Engine:
    """Return an engine with the settings each database needs; `url` is SQLAlchemy's or a plain one.

    How long a statement takes is not bounded; `busy_seconds` is the patience with SQLite's lock.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=_POOL_SECONDS,
            connect_args={
                "connect_timeout": 2,
                # A database that the network lost: else a thread waits for it a quarter of an hour.
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "tcp_user_timeout": 20_000,
            },
        )
    made = create_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=64,
        pool_timeout=_POOL_SECONDS,
        connect_args={"timeout": busy_seconds, "check_same_thread": False},
    )
    event.listen(made, "connect", _set_up_sqlite)
    event.listen(made, "begin", _begin_sqlite)
    return made


def _set_up_sqlite(connection: SqliteConnection, record: Any) -> None:
    del record
    connection.isolation_level = None  # BEGIN is ours to say, below
    _log_ahead(connection)
    for setting in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {setting}")


def _log_ahead(connection: SqliteConnection) -> None:
    """Switch to WAL, also when several make the same new database.

    That fails at once while another writes the old way; to begin a transaction SQLite waits.
    """
    for more in reversed(range(_SWITCHES)):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except SqliteOperationalError:
            if not more:
                raise
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get("sluice_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
