"""Bad weather in front of a store: an HTTP proxy that hurts the requests it is told to.

`weather.brings(fault, to=..., times=...)` hurts the next requests that `to` picks; all others pass
through as they are, `Host` included, so that signatures hold.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from shared.adapters.client_s3 import S3Place
from shared.adapters.objects_s3 import S3Objects

_HOP_BY_HOP: Final = frozenset({"connection", "expect", "keep-alive", "transfer-encoding"})
_SECONDS: Final = 20


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


@dataclass(frozen=True)
class Call:
    """One request on its way; `forward` lets it through, as it was or changed by `replace`."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    host: str
    over: threading.Event

    def forward(self) -> Answer:
        connection = HTTPConnection(self.host, timeout=_SECONDS)
        try:
            connection.putrequest(self.method, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    connection.putheader(name, value)
            connection.endheaders(self.body or None)
            said = connection.getresponse()
            return Answer(said.status, said.getheaders(), said.read())
        finally:
            connection.close()


# What becomes of a call: None is no answer at all, the connection just ends.
Fault = Callable[[Call], Answer | None]
Choice = Callable[[Call], bool]


def an_error(status: int, code: str) -> Fault:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>weather</Message></Error>"
    answer = Answer(status, [("Content-Type", "application/xml")], body.encode())
    return lambda _: answer


def the_answer_is_lost(call: Call) -> None:
    """It was done, and nobody hears of it."""
    call.forward()


def nothing_is_done(call: Call) -> None:
    """The connection is reset before anything happens."""
    del call


def it_hangs(call: Call) -> None:
    call.over.wait(_SECONDS)


def a_bit_flips(call: Call) -> Answer:
    """A bit of the body falls over on its way to the store."""
    broken = bytearray(call.body)
    broken[len(broken) // 2] ^= 1
    return replace(call, body=bytes(broken)).forward()


def no_conditions(call: Call) -> Answer | None:
    """A store that does not know conditional writes and deletions says so."""
    if any(name.lower() in {"if-none-match", "if-match"} for name in call.headers):
        return an_error(501, "NotImplemented")(call)
    return call.forward()


def no_encryption(call: Call) -> Answer | None:
    """A store that does not encrypt says so."""
    if any(name.lower() == "x-amz-server-side-encryption" for name in call.headers):
        return an_error(501, "NotImplemented")(call)
    return call.forward()


def another_etag(call: Call) -> Answer:
    answer = call.forward()
    headers = [(name, '"0"' if name.lower() == "etag" else said) for name, said in answer.headers]
    return replace(answer, headers=headers)


def cut_short(call: Call) -> Answer:
    """The answer ends before all of it has come; its length said more."""
    answer = call.forward()
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def elsewhere(place: S3Place, **said: Any) -> S3Place:
    return replace(place, **said)


def puts(call: Call) -> bool:
    return call.method == "PUT" and "partNumber" not in call.path


def parts(call: Call) -> bool:
    return "partNumber" in call.path


def copies(call: Call) -> bool:
    """Pick copies in one request."""
    return puts(call) and any(name.lower() == "x-amz-copy-source" for name in call.headers)


def completes(call: Call) -> bool:
    return call.method == "POST" and "uploadId" in call.path


def reads(call: Call) -> bool:
    return call.method == "GET"


def firsts(choice: Choice) -> Choice:
    """Pick of those that `choice` picks the first to each path."""
    seen: set[str] = set()

    def picks(call: Call) -> bool:
        if not choice(call) or call.path in seen:
            return False
        seen.add(call.path)
        return True

    return picks


def everything(call: Call) -> bool:
    del call
    return True


@dataclass
class _Spell:
    fault: Fault
    to: Choice
    times: int | None


class Weather(ThreadingHTTPServer):
    """`calls` is all that came by, with what became of it: a status, or None."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, place: S3Place, *, keeps_calls: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keeps_calls = keeps_calls
        self.upstream = urlsplit(place.endpoint or "").netloc
        self.place = replace(place, endpoint=f"http://127.0.0.1:{self.server_port}")
        self.calls: list[tuple[Call, int | None]] = []
        self.over = threading.Event()
        self._spells: list[_Spell] = []
        self._lock = threading.Lock()

    def brings(self, fault: Fault, *, to: Choice = everything, times: int | None = 1) -> None:
        """Hurt the next `times` calls that `to` picks; all of them with None."""
        self._spells.append(_Spell(fault, to, times))

    def clears(self) -> None:
        self._spells.clear()

    def fault_for(self, call: Call) -> Fault:
        with self._lock:
            for spell in self._spells:
                if spell.times != 0 and spell.to(call):
                    if spell.times is not None:
                        spell.times -= 1
                    return spell.fault
        return Call.forward

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two packets
    server: Weather

    def _pass(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        call = Call(
            self.command,
            self.path,
            dict(self.headers.items()),
            self.rfile.read(length),
            self.server.upstream,
            self.server.over,
        )
        answer = self.server.fault_for(call)(call)
        if self.server.keeps_calls:
            self.server.calls.append((call, None if answer is None else answer.status))
        if answer is None:
            self.close_connection = True
            return
        said = {name.lower(): value for name, value in answer.headers}
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        if self.command == "HEAD":
            self.end_headers()
            return
        if "content-length" not in said:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)
        self.close_connection = len(answer.body) < int(said.get("content-length", 0))

    def do_GET(self) -> None:
        self._pass()

    def do_HEAD(self) -> None:
        self._pass()

    def do_PUT(self) -> None:
        self._pass()

    def do_POST(self) -> None:
        self._pass()

    def do_DELETE(self) -> None:
        self._pass()

    def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002  # the base's name


@contextmanager
def weather_before(place: S3Place, *, keeps_calls: bool = True) -> Iterator[Weather]:
    proxy = Weather(place, keeps_calls=keeps_calls)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.over.set()
        proxy.shutdown()
        proxy.server_close()
        thread.join()


def impatient(place: S3Place, *, attempts: int = 2, seconds: float = 0.5) -> S3Objects:
    """Our store with shorter time-outs and fewer attempts than a worker gives it."""
    store = S3Objects(place, copied_at_once=5 * 1024**2)
    shorter = Config(
        connect_timeout=seconds,
        read_timeout=seconds,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )
    store._client = store._slow = boto3.client(
        "s3",
        region_name=place.region,
        endpoint_url=place.endpoint,
        aws_access_key_id=place.access_key_id,
        aws_secret_access_key=place.secret_access_key,
        config=store._client.meta.config.merge(shorter),
    )
    return store
