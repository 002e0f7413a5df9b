"""A way to a server on which connections break: each after a number of bytes that is drawn."""

import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

_BLOCK: Final = 16 * 1024
# To close without waiting: the other side hears of a reset (SO_LINGER of 0 seconds).
_AT_ONCE: Final = struct.pack("ii", 1, 0)


@dataclass
class Ragged:
    """Half of the breaks are resets, half are ends in mid-message. `up` counts bytes that passed."""

    server: str
    most: int
    said: random.Random
    breaks: int = 0
    up: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        parts = urlsplit(self.server)
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection((parts.hostname or "", parts.port or 0))
            except OSError:  # it is being started again
                client.close()
                continue
            line = _Line(client, server, self.said.randrange(self.most), self.said.random() < 0.5)
            for ends in ((client, server), (server, client)):
                threading.Thread(target=self._relay, args=(line, *ends), daemon=True).start()

    def _relay(self, line: "_Line", source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while block := source.recv(_BLOCK):
                allowed = line.allowed(len(block))
                target.sendall(block[:allowed])
                with self._lock:
                    self.up += allowed if source is line.client else 0
                    self.breaks += allowed < len(block)
                if allowed < len(block):
                    break
        line.end()


@dataclass
class _Line:
    """Two sockets and the bytes they may still pass on; closed by the last who has used them."""

    client: socket.socket
    server: socket.socket
    left: int
    is_reset: bool
    _users: int = 2
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def allowed(self, length: int) -> int:
        with self._lock:
            allowed = min(length, self.left)
            self.left -= allowed
            return allowed

    def end(self) -> None:
        with self._lock:
            self._users -= 1
            is_last = self._users == 0
        for socket_ in (self.client, self.server):
            with suppress(OSError):
                if self.is_reset and not self.left:
                    socket_.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                    socket_.shutdown(socket.SHUT_RD)  # which wakes who waits here, and says nothing
                else:
                    socket_.shutdown(socket.SHUT_RDWR)
            if is_last:
                socket_.close()


@contextmanager
def a_ragged_way(server: str, most: int, said: random.Random) -> Iterator[Ragged]:
    """Yield a way on which no connection lasts for more than `most` bytes."""
    way = Ragged(server, most, said)
    try:
        yield way
    finally:
        way.close()
