"""Webhook requests over HTTP/1.1 to receivers that nobody vouches for.

A name is looked up once, every address it has is checked, and the connection goes to the very
address that was checked; Host, SNI and the certificate stay the name's. No redirect is followed, no
proxy or `.netrc` of this host is used, nothing is decompressed, and one deadline covers the lookup,
the connection and the answer, of which at most 64 KiB are read.
"""

import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http.client import HTTPConnection, HTTPException
from queue import Empty, SimpleQueue
from typing import Any, Final, cast
from urllib.parse import urlsplit

import certifi

from shared import VERSION
from shared.model.address import may_be_called
from shared.ports import Answer

USER_AGENT: Final = f"Sluice/{VERSION}"
LONGEST_URL: Final = 2048
MOST_BYTES: Final = 64 * 1024
_DEADLINE_SECONDS: Final = 15.0
_LOOKUP_SECONDS: Final = 5.0
_BODY_SECONDS: Final = 1.0  # the status is known by then; the body is read out of politeness
_PORTS: Final = {"http": 80, "https": 443}
_FIRST_USER_PORT: Final = 1024  # below it live services that a request could be mistaken by
_PLAIN: Final = re.compile(r"[!-~]+")
_HOST: Final = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
_UNREACHABLE_NAME: Final = "The host of this URL must resolve, and to public addresses only."


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a URL leads; `authority` is for the Host header, `target` for the request line."""

    is_tls: bool
    host: str
    port: int
    authority: str
    target: str


@dataclass(frozen=True, slots=True)
class _Address:
    family: int
    sockaddr: tuple[Any, ...]


class _Refused(Exception):
    """We don't call this: `word` says why in a delivery, the message to who registers it."""

    def __init__(self, word: str, message: str) -> None:
        super().__init__(message)
        self.word = word


class HttpNotifier:
    """`trust` is what TLS certificates are checked against: this host's and certifi's roots."""

    def __init__(
        self,
        *,
        allow_private: bool,
        trust: ssl.SSLContext | None = None,
        deadline_seconds: float = _DEADLINE_SECONDS,
    ) -> None:
        self._allow_private = allow_private
        self._trust = trust
        self._deadline_seconds = deadline_seconds

    def refuse(self, url: str) -> str | None:
        try:
            place = self._place(url)
            self._addresses(place, time.monotonic() + _LOOKUP_SECONDS)
        except _Refused as refusal:
            return str(refusal)
        except TimeoutError:
            return _UNREACHABLE_NAME
        return None

    def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        until = time.monotonic() + self._deadline_seconds
        try:
            place = self._place(url)
            addresses = self._addresses(place, until)
            with closing(self._connected(place, addresses, until)) as connected:
                return _asked(place, _Wire(connected, until), body, headers)
        except _Refused as refusal:
            return Answer(None, refusal.word, None)
        except (OSError, HTTPException) as fault:
            return Answer(None, _word(fault), None)

    def _place(self, url: str) -> _Place:
        """Parse `url` the one time it is parsed. Raises `_Refused` for all but plain URLs."""
        if len(url) > LONGEST_URL or not _PLAIN.fullmatch(url):
            raise _Refused("bad_url", f"A URL is up to {LONGEST_URL} printable ASCII characters.")
        try:
            parts = urlsplit(url)
            said_port = parts.port
        except ValueError as error:
            raise _Refused("bad_url", "This is not a valid URL.") from error
        if parts.scheme not in _PORTS or parts.hostname is None:
            raise _Refused("bad_url", "The URL must begin with https:// or http:// and a host.")
        if "@" in parts.netloc or "#" in url:
            raise _Refused("bad_url", "The URL must carry no user, password or fragment.")
        if not _HOST.fullmatch(parts.hostname):
            raise _Refused("bad_url", "This host is not a name or an address.")
        port = _PORTS[parts.scheme] if said_port is None else said_port
        is_usual = port in _PORTS.values() or port >= _FIRST_USER_PORT
        if not is_usual and (port == 0 or not self._allow_private):
            raise _Refused("bad_url", "The port must be 80, 443, or 1024 and above.")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return _Place(
            parts.scheme == "https", parts.hostname, port, parts.netloc.removesuffix(":"), target
        )

    def _addresses(self, place: _Place, until: float) -> list[_Address]:
        """Look the host up. Raises `_Refused` unless every address it has may be called."""
        found = _looked_up(place.host, place.port, until)
        for address in found:
            if not may_be_called(str(address.sockaddr[0]), allow_private=self._allow_private):
                raise _Refused("private_address", _UNREACHABLE_NAME)
        return found

    def _connected(self, place: _Place, addresses: list[_Address], until: float) -> socket.socket:
        """Connect to the first address that answers; the time left is shared among them."""
        fault: OSError = TimeoutError()
        for number, address in enumerate(addresses):
            plain = socket.socket(address.family, socket.SOCK_STREAM)
            try:
                plain.settimeout(_left(until) / (len(addresses) - number))
                plain.connect(address.sockaddr)
                return self._wrapped(place, plain, until) if place.is_tls else plain
            except OSError as error:
                plain.close()
                fault = error
        raise fault

    def _wrapped(self, place: _Place, plain: socket.socket, until: float) -> ssl.SSLSocket:
        plain.settimeout(_left(until))
        trust = self._trust or _public_roots()
        return trust.wrap_socket(plain, server_hostname=place.host.rstrip("."))


class _Wire:
    """What `HTTPConnection` needs of a socket; every wait on it ends at `until`."""

    def __init__(self, connected: socket.socket, until: float) -> None:
        self._connected = connected
        self.until = until

    def sendall(self, block: bytes) -> None:
        self._connected.settimeout(_left(self.until))
        self._connected.sendall(block)

    def makefile(self, mode: str) -> io.BufferedReader:
        del mode
        return io.BufferedReader(_Received(self))

    def receive(self, into: memoryview) -> int:
        self._connected.settimeout(_left(self.until))
        return self._connected.recv_into(into)

    def close(self) -> None:
        """Closed by whoever connected."""


class _Received(io.RawIOBase):
    """The first bytes that come in, as if the receiver ended after them."""

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire
        self._room = MOST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = memoryview(buffer)[: self._room]
        length = self._wire.receive(wanted) if wanted else 0
        self._room -= length
        return length


@lru_cache(maxsize=1)
def _public_roots() -> ssl.SSLContext:
    """A slim image may have no roots of its own, a company its own beside the public ones."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _looked_up(host: str, port: int, until: float) -> list[_Address]:
    """Ask the resolver in a thread of its own: it takes as long as it likes, we don't."""
    found: SimpleQueue[list[_Address]] = SimpleQueue()

    def look_up() -> None:
        answers: list[Any] = []
        # UnicodeError: a label that is empty or too long.
        with suppress(OSError, UnicodeError):
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        found.put([_Address(answer[0], answer[4]) for answer in answers])

    threading.Thread(target=look_up, daemon=True, name="webhook-lookup").start()
    try:
        addresses = found.get(timeout=_left(until))
    except Empty:
        raise TimeoutError from None
    if not addresses:
        raise _Refused("unresolved", _UNREACHABLE_NAME)
    return addresses


def _asked(place: _Place, wire: _Wire, body: bytes, headers: Mapping[str, str]) -> Answer:
    connection = HTTPConnection(place.host, place.port)
    connection.sock = cast("Any", wire)
    ours = {"Host": place.authority, "User-Agent": USER_AGENT, "Connection": "close"}
    with suppress(BrokenPipeError):  # an early answer may be there all the same
        connection.request("POST", place.target, body, {**headers, **ours})
    answer = connection.getresponse()
    wire.until = min(wire.until, time.monotonic() + _BODY_SECONDS)
    with suppress(OSError, HTTPException):
        answer.read(MOST_BYTES)
    return Answer(answer.status, None, _retry_after(answer.headers))


def _retry_after(headers: Message) -> timedelta | None:
    """Return the pause asked for; a date counts from the receiver's own clock (RFC 9110, 10.2.3)."""
    said = headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdecimal():
        return timedelta(seconds=min(int(said[:10]), 10**9))
    try:
        return parsedate_to_datetime(said) - parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError, OverflowError):
        return None


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _word(fault: OSError | HTTPException) -> str:
    """Return our word for what went wrong; the receiver's own words are never kept."""
    words = (
        (TimeoutError, "timeout"),
        (ssl.SSLError, "tls"),
        (ConnectionRefusedError, "refused"),
        (ConnectionError, "cut"),
        (OSError, "unreachable"),
    )
    return next((word for kind, word in words if isinstance(fault, kind)), "not_http")
