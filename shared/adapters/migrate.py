"""Brings a database to the newest schema; several starters at once wait for one another.

However long it takes: a large table may want hours, and half a migration is none.
"""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event, text

from shared.adapters.records_sql import engine

_SCRIPTS: Final = Path(__file__).parents[1] / "migrations"
_LOCK: Final = 7_391_225  # any number, ours
_LONGEST_SECONDS: Final = 24 * 3600
# The server's, or our role's, may have a default.
_NO_TIME_OUTS: Final = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")


def migrate(url: str, revision: str = "head") -> None:
    made = engine(url, pool_size=1, busy_seconds=_LONGEST_SECONDS)
    if made.dialect.name == "sqlite":
        # A table that is made anew is dropped first, and must not take what refers to it with it.
        event.listen(made, "connect", lambda line, _: line.execute("PRAGMA foreign_keys=OFF"))
    try:
        with made.begin() as connection:
            if connection.dialect.name == "postgresql":
                for setting in _NO_TIME_OUTS:
                    connection.exec_driver_sql(f"SET LOCAL {setting} = 0")
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            command.upgrade(_config(connection), revision)
    finally:
        made.dispose()


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["connection"] = connection
    return config
