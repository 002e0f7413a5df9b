"""Clients that mean no good: each kind hangs in its own way for as long as it is let."""

import select
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

_EVERY_SECONDS: Final = 0.25
_HOST: Final = b"Host: sluice\r\n"
_ENDLESS: Final = 100_000  # bytes that a body says it has


@dataclass(frozen=True)
class Habit:
    """What a client sends at first, then again and again; `deaf` ones never read."""

    begins: bytes = b""
    drips: bytes = b""
    is_deaf: bool = False


def habits(token: str, chunk: str, public: str) -> Mapping[str, Habit]:
    """Return all ways to hang; `chunk` and `public` are paths to put to and to read from."""
    with_token = _HOST + b"Authorization: Bearer " + token.encode() + b"\r\n"
    put = b"PUT " + chunk.encode() + b" HTTP/1.1\r\n" + with_token
    opened = b"POST /api/v1/uploads HTTP/1.1\r\n"
    as_json = b"Content-Type: application/json\r\n"
    read = b"GET " + public.encode() + b" HTTP/1.1\r\n" + _HOST + b"Connection: close\r\n\r\n"
    page = b"GET /openapi.json HTTP/1.1\r\n" + _HOST + b"\r\n"
    length = b"Content-Length: %d\r\n"
    return {
        "says nothing": Habit(),
        "says half a head": Habit(b"GET /healthz HTTP/1.1\r\n" + _HOST),
        "drips a head": Habit(b"GET /healthz HTTP/1.1\r\n" + _HOST + b"X: ", b"x"),
        "drips a body": Habit(put + length % _ENDLESS + b"\r\n", b"x"),
        "drips pieces": Habit(put + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        "drips JSON": Habit(opened + with_token + as_json + length % 500 + b'\r\n{"a', b"a"),
        "goes on refused": Habit(opened + _HOST + as_json + length % _ENDLESS + b"\r\n", b"x"),
        "does not read": Habit(read, is_deaf=True),
        "asks without end": Habit(page * 100, is_deaf=True),
    }


class Horde:
    """Many clients at once; `left` counts those that the service still lets hang."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self._address = (str(parts.hostname), parts.port or 80)
        self._clients: list[tuple[socket.socket, Habit]] = []
        self._over = threading.Event()

    def join(self, habit: Habit, count: int) -> None:
        for _ in range(count):
            client = socket.socket()
            if habit.is_deaf:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(self._address)
            client.setblocking(False)
            _say(client, habit.begins)
            self._clients.append((client, habit))

    def left(self) -> int:
        hearing = [client for client, habit in self._clients if not habit.is_deaf]
        return sum(not _is_cut(client) for client in hearing)

    def drip(self) -> None:
        while not self._over.wait(_EVERY_SECONDS):
            for client, habit in self._clients:
                _say(client, habit.drips)

    def end(self) -> None:
        self._over.set()
        for client, _ in self._clients:
            client.close()


@contextmanager
def a_horde(base_url: str, habits_of: Sequence[tuple[Habit, int]]) -> Iterator[Horde]:
    horde = Horde(base_url)
    dripping = threading.Thread(target=horde.drip)
    try:
        for habit, count in habits_of:
            horde.join(habit, count)
        dripping.start()
        yield horde
    finally:
        horde.end()
        if dripping.ident is not None:
            dripping.join()


def _say(client: socket.socket, content: bytes) -> None:
    with suppress(OSError):
        client.send(content)


def _is_cut(client: socket.socket) -> bool:
    """Say whether the service has closed the connection; reads what it said before."""
    poll = select.poll()
    poll.register(client, select.POLLIN | select.POLLRDHUP)
    try:
        return any(event & (select.POLLRDHUP | select.POLLERR) for _, event in poll.poll(0))
    except (OSError, ValueError):
        return True
