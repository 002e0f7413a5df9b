"""What is not HTTP as RFC 9112 has it: refused in our words, and nothing of it is said again."""

import json
from collections.abc import Iterator
from typing import Final

import pytest
import requests

from tests.e2e.wire import Answer
from tests.integration.conftest import Dial
from tests.support.api import Api
from tests.support.web import Web, a_web

LENGTH: Final = 100_000
EDGE: Final = "b0undary"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with a_web(tmp_path_factory.mktemp("web"), WEB_HEAD_SECONDS="2") as web:
        yield web


@pytest.fixture
def place(alice: Api) -> str:
    upload = alice.open_upload(size=LENGTH, chunk_size=LENGTH)
    return f"/api/v1/uploads/{upload['id']}/chunks/0"


BROKEN_PIECES: Final[dict[str, bytes]] = {
    "no number": b"zz\r\n",
    "a negative number": b"-1\r\n\r\n",
    "no line end behind a piece": b'3\r\n{"fXX',
    "an odd trailer": b'15\r\n{"filename": "a.txt"}\r\n0\r\nX A: b\r\n\r\n',
    "an odd extension": b"3;=\r\n{}\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("path", ["/api/v1/uploads", "/api/v1/webhooks", "complete"])
@pytest.mark.parametrize("pieces", BROKEN_PIECES.values(), ids=BROKEN_PIECES.keys())
def test_json_in_broken_pieces_is_refused(
    dial: Dial, alice: Api, place: str, path: str, pieces: bytes
) -> None:
    target = place.replace("chunks/0", path) if path == "complete" else path
    with dial() as wire:
        wire.head(
            "POST", target, alice.token, "Content-Type: application/json",
            "Transfer-Encoding: chunked",
        )  # fmt: skip
        wire.send(pieces)
        answer = wire.answer()

        assert_refused(answer, 400, "invalid_request")
        with pytest.raises(ConnectionError):
            wire.answer()


@pytest.mark.parametrize("length", [500, 100_000])
@pytest.mark.parametrize("said", [b"", b'{"filename": "a.txt"}'])
def test_json_that_is_cut_is_refused_though_it_looks_whole(
    dial: Dial, alice: Api, said: bytes, length: int
) -> None:
    with dial() as wire:
        wire.head(
            "POST", "/api/v1/uploads", alice.token, "Content-Type: application/json",
            f"Content-Length: {length}",
        )  # fmt: skip
        wire.send(said)
        wire.half_close()
        answer = wire.answer()

    assert_refused(answer, 400, "body_cut")
    assert answer.json()["received"] == len(said)


REFUSED: Final[dict[str, tuple[bytes, int, str]]] = {
    "a secret line": (b"secret", 400, "invalid_request"),
    "a method of signs": (b"s@cret / HTTP/1.1\r\nHost: x", 400, "invalid_request"),
    "a header without a colon": (b"GET / HTTP/1.1\r\nsecret", 400, "invalid_request"),
    "a name with a space": (b"GET / HTTP/1.1\r\nsec ret: x", 400, "invalid_request"),
    "two lengths": (
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2",
        400,
        "invalid_request",
    ),
    "no host": (b"GET /healthz HTTP/1.1\r\nX: secret", 400, "invalid_request"),
    "no host and no header": (b"GET /healthz HTTP/1.1", 400, "invalid_request"),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: x\r\nHost: secret", 400, "invalid_request"),
    "a long line": (b"GET /" + b"secret" * 2000 + b" HTTP/1.1", 414, "uri_too_long"),
    "an expectation": (
        b"GET / HTTP/1.1\r\nHost: x\r\nExpect: secret", 417, "expectation_failed",
    ),
    "a long header": (
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"secret" * 2000, 431, "headers_too_large",
    ),
    "a head without end": (b"GET / HTTP/1.1\r\nX: " + b"secret" * 8000, 431, "headers_too_large"),
    "a coding": (
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: secret",
        501,
        "transfer_coding_unsupported",
    ),
    "a version of the future": (
        b"GET /secret HTTP/9.9\r\nHost: x", 505, "http_version_unsupported",
    ),
    "HTTP/2": (b"GET /secret HTTP/2.0\r\nHost: x", 505, "http_version_unsupported"),
    "a version that is none": (b"GET / secret/1.1\r\nHost: x", 400, "invalid_request"),
}  # fmt: skip


@pytest.mark.parametrize(("head", "status", "kind"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_request_is_refused_without_an_echo(
    dial: Dial, head: bytes, status: int, kind: str
) -> None:
    with dial() as wire:
        wire.send(head + b"\r\n\r\n")
        answer = wire.answer()

        assert_refused(answer, status, kind)
        assert b"cret" not in answer.body
        with pytest.raises(ConnectionError):
            wire.answer()


def test_http_1_0_needs_no_host(dial: Dial) -> None:
    with dial() as wire:
        wire.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        answer = wire.answer()

    assert answer.status == 200


@pytest.mark.parametrize("before", [[b"\r\n"], [b"\r\n\r\n"], [b"\r", b"\n\r", b"\n\r\n"]])
def test_empty_lines_before_a_request_are_passed_over(dial: Dial, before: list[bytes]) -> None:
    with dial() as wire:
        for _ in range(2):
            for piece in before:
                wire.send(piece)
            wire.head("GET", "/healthz")
            answer = wire.answer()

            assert (answer.status, answer.headers["connection"]) == (200, "keep-alive")


@pytest.mark.parametrize(
    "end", [b"", b"zz\r\n", b"ffff\r\n" + b"x" * 70], ids=["cut", "no number", "cut piece"]
)
def test_what_arrived_of_a_body_in_pieces_is_counted(
    dial: Dial, alice: Api, place: str, end: bytes
) -> None:
    came = 50_000 + end.count(b"x")
    with dial() as wire:
        wire.head("PUT", place, alice.token, "Transfer-Encoding: chunked")
        wire.send(b"9c40\r\n" + b"x" * 40_000 + b"\r\n2710\r\n" + b"x" * 10_000 + b"\r\n" + end)
        wire.half_close()
        answer = wire.answer()

    assert_refused(answer, 400, "body_cut")
    assert answer.json()["received"] == came


@pytest.mark.parametrize("coding", ["gzip", "identity, br", "x-unheard-of"])
@pytest.mark.parametrize("kind", ["chunk", "form"])
def test_a_content_coding_is_refused(
    web: Web, alice: Api, place: str, kind: str, coding: str
) -> None:
    answer = send(web, alice, place, kind, coding)

    assert (answer.status_code, answer.json()["type"]) == (415, "coding_unsupported")
    assert answer.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
def test_the_coding_that_is_none_is_taken(web: Web, alice: Api, place: str, coding: str) -> None:
    answer = send(web, alice, place, "chunk", coding)

    assert answer.status_code == 200


def send(web: Web, alice: Api, place: str, kind: str, coding: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {alice.token}", "Content-Encoding": coding}
    if kind == "chunk":
        return requests.put(
            f"{web.base_url}{place}", data=b"x" * LENGTH, headers=headers, timeout=10
        )
    files = {"file": ("notes.txt", b"hello", "text/plain")}
    url = f"{web.base_url}/api/v1/files/upload"
    return requests.post(url, files=files, headers=headers, timeout=10)


def assert_refused(answer: Answer, status: int, kind: str) -> None:
    problem = json.loads(answer.body)
    assert (answer.status, problem["status"], problem["type"]) == (status, status, kind)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-request-id"] == problem["request_id"] != ""
    assert {"title", "detail"} <= set(problem)
