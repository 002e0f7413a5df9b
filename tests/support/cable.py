"""A cable between us and a server: it can be cut, mended, and lose one answer."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit, urlunsplit

_BLOCK: Final = 65536


@dataclass
class _Line:
    """One connection through the cable."""

    client: socket.socket
    server: socket.socket
    loses_answer: bool = False
    fuse: int | None = None

    def close(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@dataclass
class Cable:
    """`url` is the server's as it is reached through the cable.

    `passed` counts the bytes that came from clients; with `fuses` each connection ends after as many
    of them as the next one says.
    """

    server: str
    lost: int = 0
    passed: int = 0
    fuses: Iterator[int] | None = None
    _lines: list[_Line] = field(default_factory=list)
    _is_cut: bool = False
    _needle: bytes | None = None
    _cuts_then: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        parts = urlsplit(self.server)
        user = f"{parts.username}@" if parts.username else ""
        place = f"{user}127.0.0.1:{self._listener.getsockname()[1]}"
        return urlunsplit(parts._replace(netloc=place))

    def cut(self) -> None:
        """End all connections, and every new one at once, until it is mended."""
        with self._lock:
            self._is_cut = True
            lines, self._lines = self._lines, []
        for line in lines:
            line.close()

    def mend(self) -> None:
        self._is_cut = False

    def loses_the_answer_to(self, needle: bytes, *, and_is_cut: bool = False) -> None:
        """Let the next statement that ends with `needle` through, and end its connection at the answer.

        With `and_is_cut` all others, too, until it is mended.
        """
        # With its end: a transaction may begin with READ COMMITTED.
        self._needle, self._cuts_then = needle + b"\0", and_is_cut

    def close(self) -> None:
        self.cut()
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
            server = None
            with suppress(OSError):  # it may be down just now
                if not self._is_cut:
                    server = socket.create_connection((parts.hostname or "", parts.port or 0))
            if server is None:
                client.close()
                continue
            line = _Line(client, server, fuse=None if self.fuses is None else next(self.fuses))
            with self._lock:
                self._lines.append(line)
            for relay in (self._up, self._down):
                threading.Thread(target=relay, args=(line,), daemon=True).start()

    def _up(self, line: _Line) -> None:
        with suppress(OSError):
            while block := line.client.recv(_BLOCK):
                needle = self._needle
                if needle is not None and needle in block:
                    self._needle, line.loses_answer = None, True
                if line.fuse is not None:
                    block, line.fuse = block[: line.fuse], line.fuse - len(block)
                line.server.sendall(block)
                self.passed += len(block)
                if line.fuse is not None and line.fuse <= 0:
                    break
        line.close()

    def _down(self, line: _Line) -> None:
        with suppress(OSError):
            while block := line.server.recv(_BLOCK):
                if line.loses_answer:
                    self.lost += 1
                    if self._cuts_then:
                        self.cut()
                    break
                line.client.sendall(block)
        line.close()


@contextmanager
def a_cable(server: str) -> Iterator[Cable]:
    cable = Cable(server)
    try:
        yield cable
    finally:
        cable.close()
