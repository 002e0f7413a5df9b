"""Which errors are the database's own trouble, to wait for, and which are bugs of ours.

By the code that it gives: the class of PostgreSQL's SQLSTATE, SQLite's primary result code. A refused
constraint, a wrong statement or value is a bug; so is a statement after a failed one.
"""

import sqlite3
from typing import Final

from psycopg import Error as PostgresError
from psycopg import OperationalError as PostgresOutage
from sqlalchemy.exc import DBAPIError

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_CLASSES: Final = frozenset(
    {
        "08",  # connection
        "40",  # rolled back: serialization, deadlock
        "53",  # out of disk, memory, connections
        "55",  # a lock that was not to be had
        "57",  # cancelled, shutting down, starting
        "58",  # the system below it
        "F0",  # its configuration
        "XX",  # corrupted, internal
    }
)
# A statement prepared for a column that was migrated since, which the rollback forgets; read-only, idle
# for too long in a transaction, too long a transaction.
_STATES: Final = frozenset({"0A000", "25006", "25P03", "25P04"})
# https://www.sqlite.org/rescode.html
_CODES: Final = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
_PRIMARY: Final = 0xFF


def is_answered(error: DBAPIError) -> bool:
    """Tell whether the database said itself that it did not do what was asked."""
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_IOERR) & _PRIMARY
        return code not in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT}
    state = getattr(cause, "sqlstate", None)
    return state is not None and state[:2] not in {"08", "57", "58", "XX"}


def is_outage(error: DBAPIError) -> bool:
    """Tell whether the same may succeed later, with no change of ours."""
    if error.connection_invalidated:
        return True
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY in _CODES
    if isinstance(cause, PostgresError) and cause.sqlstate is not None:
        return cause.sqlstate[:2] in _CLASSES or cause.sqlstate in _STATES
    return isinstance(cause, PostgresOutage)  # nobody answered, so nobody gave a code
