"""HTTP by hand: requests that no library would send, and answers as they come."""

import json
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any, Final
from urllib.parse import urlsplit

SECONDS: Final = 20.0


@dataclass(frozen=True)
class Answer:
    """`early` are the interim statuses (100) that came before it."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    early: tuple[int, ...] = ()

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Wire:
    """A connection: what is sent is sent as it is."""

    def __init__(self, connection: socket.socket, host: str) -> None:
        self._connection = connection
        self._host = host

    def head(self, method: str, target: str, token: str | None = None, *lines: str) -> None:
        """Send a request's head; `lines` are further header lines."""
        said = [f"{method} {target} HTTP/1.1", f"Host: {self._host}", *lines]
        if token is not None:
            said.append(f"Authorization: Bearer {token}")
        self.send("\r\n".join([*said, "", ""]).encode("latin-1"))

    def send(self, content: bytes) -> None:
        self._connection.sendall(content)

    def half_close(self) -> None:
        """Say that nothing more comes; still listen."""
        self._connection.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Go away as a client does that crashes: what is on the line is lost."""
        linger = struct.pack("ii", 1, 0)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close()

    def close(self) -> None:
        self._connection.close()

    def answer(self, method: str = "GET") -> Answer:
        """Return the next answer; raises `TimeoutError` when none comes."""
        early: list[int] = []
        while self._peeked().startswith(b"HTTP/1.1 1"):
            early.append(self.interim())
        response = HTTPResponse(self._connection, method=method)
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read(), tuple(early))

    def interim(self) -> int:
        """Take one interim answer off the line: `HTTPResponse` would pass over it in silence."""
        status = int(self._peeked()[9:12])
        self._connection.recv(len(b"HTTP/1.1 100 Continue\r\n\r\n"), socket.MSG_WAITALL)
        return status

    def _peeked(self) -> bytes:
        return self._connection.recv(12, socket.MSG_PEEK | socket.MSG_WAITALL)


@contextmanager
def a_wire(base_url: str) -> Iterator[Wire]:
    parts = urlsplit(base_url)
    with socket.create_connection((str(parts.hostname), parts.port or 80), SECONDS) as connection:
        yield Wire(connection, parts.netloc)
