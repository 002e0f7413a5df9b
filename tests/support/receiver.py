"""A webhook's receiver on loopback: keeps a ledger, and misbehaves as it is told to.

`receiver.says(reply, ...)` sets the answers to the next calls; after the last of them, and without
any, it answers 204.
"""

import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

BLOCK: Final = b"x" * 65536


@dataclass(frozen=True)
class Call:
    """One request as it came in, at a time in seconds; header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    heard_at: float = field(default_factory=time.time, compare=False)


Reply = Callable[["Handler"], None]


class Receiver(ThreadingHTTPServer):
    """`sent` counts the body bytes of endless replies that the other side took."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, certificate: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.calls: list[Call] = []
        self.sent = 0
        self.stopping = threading.Event()
        self.scheme = "http" if certificate is None else "https"
        self._replies: deque[Reply] = deque()
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def says(self, *replies: Reply) -> None:
        self._replies.extend(replies)

    def next_reply(self) -> Reply:
        return self._replies.popleft() if self._replies else answer(204)

    def url(self, path: str = "/hook", *, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.server_port}{path}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that hangs up is what these tests are about."""


class Handler(BaseHTTPRequestHandler):
    """Writes a call into the ledger, then answers as it was told."""

    server: Receiver
    timeout = 20

    def do_POST(self) -> None:
        self._note()

    def do_GET(self) -> None:
        self._note()

    def raw(self, block: bytes) -> None:
        self.wfile.write(block)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name there
        """Say nothing."""

    def _note(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        named = {name.lower(): value for name, value in self.headers.items()}
        self.server.calls.append(Call(self.path, named, body))
        with suppress(OSError):
            self.server.next_reply()(self)
        self.close_connection = True


def answer(status: int, body: bytes = b"", **headers: str) -> Reply:
    """Answer properly; underscores in header names stand for hyphens."""

    def reply(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.raw(body)

    return reply


def says_raw(block: bytes) -> Reply:
    """Send these bytes and hang up."""
    return lambda handler: handler.raw(block)


def hangs(handler: Handler) -> None:
    """Take the request and never answer."""
    handler.server.stopping.wait()


def drips(first: bytes) -> Reply:
    """Send `first` at once and then a byte ten times a second."""

    def reply(handler: Handler) -> None:
        handler.raw(first)
        while not handler.server.stopping.wait(0.1):
            handler.raw(b"a")

    return reply


def never_ends(first: bytes) -> Reply:
    """Send `first` and then blocks for as long as they are taken."""

    def reply(handler: Handler) -> None:
        handler.raw(first)
        while not handler.server.stopping.is_set():
            handler.raw(BLOCK)
            handler.server.sent += len(BLOCK)

    return reply


@contextmanager
def a_receiver(certificate: Path | None = None) -> Iterator[Receiver]:
    receiver = Receiver(certificate)
    thread = threading.Thread(target=receiver.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.stopping.set()
        receiver.shutdown()
        receiver.server_close()
        thread.join()


def a_certificate(folder: Path, name: str) -> Path:
    """Write a key and a self-signed certificate for `name`, good for a day, as one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)  # noqa: TID251  # certificates know only the wall clock
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    place = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    place.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return place
