"""Servers that are frozen: they live, hold their connections, and say nothing."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

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


def valkey_at(url: str) -> psutil.Process:
    with Redis.from_url(url) as client:
        said = client.info("server")
    assert isinstance(said, dict)
    return psutil.Process(int(said["process_id"]))


def _send(server: psutil.Process, number: signal.Signals) -> None:
    for process in (server, *server.children()):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
