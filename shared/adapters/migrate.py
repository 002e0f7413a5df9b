"""Brings a database to the newest schema while it is in use; several starters at once wait for one another.

SQLite is migrated in one transaction, PostgreSQL in several: whatever was broken off, and wherever, the
next start goes on. A table's lock is waited for only shortly, for whoever waits for it stands before all
who come later; then everything is let go and tried again. How long the work takes is not bounded: a
large table may want hours.
"""

import logging
import random
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError

from shared.adapters.clock_system import SystemClock
from shared.adapters.migrate_online import LOCK_TIMEOUT
from shared.adapters.records_sql import engine

log = logging.getLogger(__name__)

_SCRIPTS: Final = Path(__file__).parents[1] / "migrations"
# Any number, ours; not that of the releases that waited for theirs inside a transaction, which an
# index that is built concurrently would wait for in turn.
_LOCK: Final = 7_391_226
_ASKED_EVERY_SECONDS: Final = 0.2
_LONGEST_SECONDS: Final = 24 * 3600
_FIRST_PAUSE_SECONDS: Final = 0.25
_LONGEST_PAUSE_SECONDS: Final = 5.0
# The server's, or our role's, may have a default. What a server does not know yet is left out.
_SESSION: Final = {
    "statement_timeout": "0",
    "transaction_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "lock_timeout": LOCK_TIMEOUT,
    # Who was killed, or whose host is gone, keeps the lock from the next one no longer than this.
    "client_connection_check_interval": "2s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
_SET: Final = "SELECT set_config(name, :value, false) FROM pg_settings WHERE name = :name"
_IN_USE: Final = frozenset({"55P03", "40P01"})  # a lock that was not to be had, a deadlock


def migrate(url: str, revision: str = "head") -> None:
    made = engine(url, pool_size=1, busy_seconds=_LONGEST_SECONDS)
    try:
        if made.dialect.name == "postgresql":
            _migrate_in_use(made, revision)
        else:
            _migrate_at_once(made, revision)
    finally:
        made.dispose()


def _migrate_at_once(made: Engine, revision: str) -> None:
    # A table that is made anew is dropped first, and must not take what refers to it with it.
    event.listen(made, "connect", lambda line, _: line.execute("PRAGMA foreign_keys=OFF"))
    with made.begin() as connection:
        command.upgrade(_config(connection), revision)


def _migrate_in_use(made: Engine, revision: str) -> None:
    """Go on until it is done, under a lock of the session; who ends in between lets it go."""
    clock, pause = SystemClock(), _FIRST_PAUSE_SECONDS
    ends_at = clock.monotonic() + _LONGEST_SECONDS
    with made.connect() as connection:
        _set_up(connection)
        while not _is_ours(connection):
            clock.wait(_ASKED_EVERY_SECONDS)
        while True:
            try:
                command.upgrade(_config(connection), revision)
            except DBAPIError as error:
                state = getattr(error.orig, "sqlstate", None)
                if state not in _IN_USE or clock.monotonic() > ends_at:
                    raise
                log.warning("migration_waits", extra={"sqlstate": state, "seconds": pause})
            else:
                return
            connection.rollback()
            clock.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311  # out of step with others
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            _set_up(connection)


def _set_up(connection: Connection) -> None:
    for name, value in _SESSION.items():
        connection.execute(text(_SET), {"name": name, "value": value})
    connection.commit()


def _is_ours(connection: Connection) -> bool:
    """Ask for the lock. Whoever waited for it in a statement would hold up who builds an index."""
    is_ours = connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK})
    answer = bool(is_ours.scalar_one())
    connection.commit()
    return answer


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["connection"] = connection
    return config
