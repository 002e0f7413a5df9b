"""Requests that are hardly HTTP, and what they leave in the log."""

from http.client import RemoteDisconnected
from typing import Final

import pytest

from tests.support.api import Api
from tests.support.fixtures import Dial, Discreet
from tests.support.samples import text
from tests.support.stack import Stack
from tests.support.waiting import eventually

MALFORMED: Final[dict[str, bytes]] = {
    "noise": bytes(range(256)),
    "an HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no version": b"GET /healthz\r\n\r\n",
    "a version of the future": b"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n",
    "a version that is none": b"GET /healthz HTTX/1.1\r\nHost: x\r\n\r\n",
    "no path": b"GET  HTTP/1.1\r\nHost: x\r\n\r\n",
    "a line of 20,000": b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a header of 20,000": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
    "500 headers": b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 500 + b"\r\n",
    "a header without a colon": b"GET /healthz HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n",
    "a header without a name": b"GET /healthz HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n",
    "a NUL in a header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    "a folded header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
    "a method of signs": b"G@T /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_hardly_http_is_refused_without_a_word_too_many(
    dial: Dial, discreet: Discreet, request_bytes: bytes
) -> None:
    with dial() as wire:
        wire.send(request_bytes)
        wire.half_close()
        answer = discreet(wire.answer())

    assert 400 <= answer.status < 600


@pytest.mark.parametrize("said", [b"", b"\r\n", b"G", b"\x16\x03\x01\x02\x00" + bytes(500)])
def test_what_never_becomes_a_request_is_hung_up_on(dial: Dial, anybody: Api, said: bytes) -> None:
    with dial() as wire:
        wire.send(said)
        wire.half_close()
        with pytest.raises(RemoteDisconnected):
            wire.answer()

    assert anybody.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.example/healthz",
        "/healthz#fragment",
        "/healthz?%zz",
        "/healthz?" + "a=b&" * 1500,
        "/%e2%28%a1",
        "*",
        "//evil.example/healthz",
        "/api/v1/files/%c0%ae%c0%ae",
        "/\\evil",
    ],
)
def test_an_odd_target_does_no_harm(
    alice: Api, dial: Dial, discreet: Discreet, target: str
) -> None:
    with dial() as wire:
        wire.head("GET", target, alice.token)
        answer = discreet(wire.answer())

    assert answer.status != 500
    assert "evil" not in answer.headers.get("location", "")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:1", "a@b", "[::1", "x" * 300, ""])
def test_addresses_do_not_follow_the_host_header(
    alice: Api, dial: Dial, discreet: Discreet, host: str
) -> None:
    body = b'{"filename": "notes.txt"}'
    with dial() as wire:
        wire.send(
            f"POST /api/v1/uploads HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: evil.example\r\n"
            f"Authorization: Bearer {alice.token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        answer = discreet(wire.answer())

    assert answer.status in {201, 400}
    assert answer.status == 400 or answer.headers["location"].startswith(alice.base_url)


def test_nobody_writes_lines_of_their_own_into_the_log(
    alice: Api, dial: Dial, stack: Stack
) -> None:
    line = "2026-01-01T00:00:00Z [error] root logged in"
    seen = len(stack.log)

    with dial() as wire:
        wire.head("GET", "/api/v1/%0a" + line.replace(" ", "%20"), alice.token)
        wire.answer()
    alice.get("/api/v1/files", headers={"X-Request-ID": "a-b"})
    alice.stored(text(), f"a\n{line}.txt", description=f"x\r\n{line}", reference=f"\n{line}")
    alice.get("/api/v1/files/last-of-all")

    eventually(lambda: any("last-of-all" in each for each in stack.log[seen:]))
    bare = [each.partition("| ")[2] for each in stack.log[seen:]]
    assert not any(each.startswith(line[:20]) for each in bare)
