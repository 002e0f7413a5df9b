"""The database's trouble is waited for; what is wrong with our statements is not."""

import sqlite3

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from shared.adapters.sql_faults import is_outage

TROUBLE = {
    "08006": "connection failure",
    "0A000": "a plan for a column of another type",
    "25006": "read-only transaction",
    "25P03": "idle in transaction for too long",
    "40001": "serialization failure",
    "40P01": "deadlock",
    "53100": "disk full",
    "53300": "too many connections",
    "55P03": "lock not available",
    "57014": "statement timeout",
    "57P01": "admin shutdown",
    "57P03": "starting up",
    "58030": "input or output",
    "XX000": "internal",
    "XX001": "corrupted",
}
BUGS = {
    "22001": "string too long",
    "22P02": "wrong text of a value",
    "23505": "unique",
    "23514": "check",
    "25P02": "after a failed statement",
    "42601": "syntax",
    "42P01": "no such table",
}
LITE_TROUBLE = {
    sqlite3.SQLITE_BUSY: "database is locked",
    sqlite3.SQLITE_BUSY_SNAPSHOT: "database is locked",
    sqlite3.SQLITE_READONLY: "attempt to write a readonly database",
    sqlite3.SQLITE_IOERR_WRITE: "disk I/O error",
    sqlite3.SQLITE_FULL: "database or disk is full",
    sqlite3.SQLITE_CANTOPEN: "unable to open database file",
    sqlite3.SQLITE_CORRUPT: "database disk image is malformed",
    sqlite3.SQLITE_NOTADB: "file is not a database",
}
LITE_BUGS = {
    sqlite3.SQLITE_ERROR: "no such table",
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: "UNIQUE constraint failed",
    sqlite3.SQLITE_MISMATCH: "datatype mismatch",
    sqlite3.SQLITE_TOOBIG: "string or blob too big",
}


@pytest.mark.parametrize("state", TROUBLE)
def test_a_postgresql_in_trouble_is_an_outage(state: str) -> None:
    assert is_outage(wrapped(psycopg.errors.lookup(state)("said")))


@pytest.mark.parametrize("state", BUGS)
def test_a_statement_that_postgresql_refuses_is_a_bug(state: str) -> None:
    assert not is_outage(wrapped(psycopg.errors.lookup(state)("said")))


def test_a_postgresql_that_nobody_reached_is_an_outage() -> None:
    assert is_outage(wrapped(psycopg.OperationalError("connection refused")))
    assert not is_outage(wrapped(psycopg.ProgrammingError("the cursor is closed")))


def test_a_connection_that_was_lost_is_an_outage_whatever_was_said() -> None:
    assert is_outage(wrapped(psycopg.InterfaceError("closed"), lost=True))


@pytest.mark.parametrize("code", LITE_TROUBLE)
@pytest.mark.parametrize("kind", [sqlite3.OperationalError, sqlite3.DatabaseError])
def test_an_sqlite_in_trouble_is_an_outage(code: int, kind: type[sqlite3.Error]) -> None:
    assert is_outage(wrapped(coded(kind("said"), code)))


@pytest.mark.parametrize("code", LITE_BUGS)
def test_a_statement_that_sqlite_refuses_is_a_bug(code: int) -> None:
    assert not is_outage(wrapped(coded(sqlite3.OperationalError("said"), code)))


def test_what_the_driver_of_sqlite_refuses_is_a_bug() -> None:
    assert not is_outage(wrapped(sqlite3.ProgrammingError("recursive use of cursors")))


def wrapped(cause: BaseException, *, lost: bool = False) -> DBAPIError:
    return DBAPIError("SELECT 1", {}, cause, connection_invalidated=lost)


def coded(error: sqlite3.Error, code: int) -> sqlite3.Error:
    error.sqlite_errorcode = code
    return error
