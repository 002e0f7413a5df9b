"""Servers that are frozen: they live, hold their connections, and say nothing."""

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
from redis import Redis


@contextmanager
def frozen(server: psutil.Process) -> Iterator[None]:
    """Freeze a server with its children until the block ends."""
    _send(server, signal.SIGSTOP)
    try:
        yield
    finally:
        _send(server, signal.SIGCONT)


def postgresql_at(url: str) -> psutil.Process:
    with psycopg.connect(url) as connection:
        parent = psutil.Process(connection.info.backend_pid).parent()
    assert parent is not None
    return parent


def is_writable(file: Path) -> bool:
    """Say whether nobody holds the lock of an SQLite file, which may not be there."""
    if not file.exists():
        return True
    with closing(sqlite3.connect(file, timeout=0.3, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.execute("ROLLBACK")
        return True


def valkey_at(url: str) -> psutil.Process:
    with Redis.from_url(url) as client:
        said = client.info("server")
    assert isinstance(said, dict)
    return psutil.Process(int(said["process_id"]))


def _send(server: psutil.Process, number: signal.Signals) -> None:
    for process in (server, *server.children()):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
