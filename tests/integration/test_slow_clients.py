"""Clients that take their time, or mean no good: no thread waits for them, and each has a deadline."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import pytest
import requests

from tests.e2e.wire import a_wire
from tests.integration.conftest import Dial
from tests.support.api import Api, Body
from tests.support.tus import Tus, hanging, metadata
from tests.support.waiting import eventually
from tests.support.web import Web, a_web

HEAD_SECONDS: Final = 2.0
GRACE_SECONDS: Final = 2.0
RATE: Final = 16 * 1024  # bytes a second
MIB: Final = 1024**2
LARGE: Final = 48 * MIB  # more than the kernel takes for a reader that does not read


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    deadlines = {"WEB_HEAD_SECONDS": str(HEAD_SECONDS), "WEB_GRACE_SECONDS": str(GRACE_SECONDS)}
    with a_web(tmp_path_factory.mktemp("web"), LOG_LEVEL="WARNING", **deadlines) as web:
        yield web


@pytest.fixture(scope="module")
def public(web: Web) -> str:
    return web.public_file(b"0123456789abcde\n" * (LARGE // 16))


@pytest.fixture
def upload(alice: Api) -> Body:
    return alice.open_upload(size=10 * MIB, chunk_size=100_000)


@pytest.mark.parametrize("framing", ["Content-Length: 65536", "Transfer-Encoding: chunked"])
def test_a_body_that_drips_is_cut_at_its_deadline(
    dial: Dial, alice: Api, upload: Body, framing: str
) -> None:
    with dial() as wire:
        wire.head("PUT", chunk(upload), alice.token, framing)
        wire.send(b"1\r\nx\r\n")
        began = time.monotonic()
        answer = wire.answer()
        took = time.monotonic() - began

    longest = GRACE_SECONDS + 65_536 / RATE
    assert (answer.status, answer.json()["type"]) in {(400, "body_cut"), (409, "chunk_misplaced")}
    assert answer.headers["connection"] == "close"
    assert took < longest + 1


def test_what_a_stream_has_sent_before_it_falls_silent_is_kept(alice: Api) -> None:
    tus, content = Tus(alice), b"0123456789abcde\n" * 4096
    url = tus.create(2 * len(content), Upload_Metadata=metadata(filename="notes.txt"))
    with hanging(url, 2 * len(content)) as line:
        line.sendall(content)
        line.recv(4096)  # the answer, or the end

        assert eventually(lambda: tus.offset(url) == len(content), 10)


def test_a_small_body_that_does_not_come_is_cut_with_its_head(dial: Dial, alice: Api) -> None:
    with dial() as wire:
        wire.head(
            "POST", "/api/v1/uploads", alice.token, "Content-Type: application/json",
            "Content-Length: 500",
        )  # fmt: skip
        wire.send(b'{"filename":')
        answer = wire.answer()

    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"])
def test_a_head_that_does_not_come_is_hung_up_on(dial: Dial, said: bytes) -> None:
    with dial() as wire:
        wire.send(said)
        began = time.monotonic()
        with pytest.raises(ConnectionError):
            wire.answer()

    assert HEAD_SECONDS - 0.1 < time.monotonic() - began < HEAD_SECONDS + 2


def test_a_head_without_end_is_refused(dial: Dial) -> None:
    with dial() as wire:
        wire.send(b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 40_000)
        answer = wire.answer()

    assert (answer.status, answer.headers["connection"]) == (431, "close")


def test_a_body_of_bits_that_keeps_its_pace_arrives(dial: Dial, alice: Api) -> None:
    said = b'{"filename": "notes.txt", "size": 5}'
    with dial() as wire:
        wire.head(
            "POST", "/api/v1/uploads", alice.token, "Content-Type: application/json",
            f"Content-Length: {len(said)}",
        )  # fmt: skip
        for at in range(len(said)):
            wire.send(said[at : at + 1])
        answer = wire.answer()

    assert answer.status == 201


def test_who_asks_before_sending_is_told_to_go_on_only_when_it_may(
    dial: Dial, alice: Api, upload: Body
) -> None:
    with dial() as wire:
        wire.head(
            "PUT", chunk(upload), alice.token, "Content-Length: 100000", "Expect: 100-continue"
        )
        interim = wire.interim()
        wire.send(b"x" * 100_000)
        stored = wire.answer()
    with dial() as wire:
        wire.head("PUT", chunk(upload), None, "Content-Length: 100000", "Expect: 100-continue")
        refused = wire.answer()

    assert (interim, stored.status, stored.early) == (100, 200, ())
    assert (refused.status, refused.early, refused.headers["connection"]) == (401, (), "close")


def test_who_is_refused_while_it_sends_reads_why_and_sees_the_end(dial: Dial, upload: Body) -> None:
    with dial() as wire:
        wire.head("PUT", chunk(upload), None, "Content-Length: 1000000")
        wire.send(b"x" * 900_000)
        answer = wire.answer()
        with pytest.raises(ConnectionError):
            wire.answer()

    assert (answer.status, answer.headers["connection"]) == (401, "close")


def test_requests_that_come_at_once_are_answered_in_order(dial: Dial, alice: Api) -> None:
    said = b'{"filename": "notes.txt", "size": 5}'
    with dial() as wire:
        wire.head("GET", "/healthz")
        wire.head(
            "POST", "/api/v1/uploads", alice.token, "Content-Type: application/json",
            f"Content-Length: {len(said)}",
        )  # fmt: skip
        wire.send(said + b"GET /healthz HTTP/1.1\r\nHo")
        answers = [wire.answer(), wire.answer()]
        wire.send(b"st: x\r\n\r\n")
        answers.append(wire.answer())

    assert [answer.status for answer in answers] == [200, 201, 200]
    assert {answer.headers["connection"] for answer in answers} == {"keep-alive"}


def test_a_refusal_whose_body_has_come_keeps_the_connection(dial: Dial) -> None:
    with dial() as wire:
        for _ in range(3):
            wire.head("POST", "/api/v1/uploads", None, "Content-Length: 4")
            wire.send(b"null")
            answer = wire.answer()

            assert (answer.status, answer.headers["connection"]) == (401, "keep-alive")


def test_a_slow_reader_that_reads_gets_all_of_it(web: Web, public: str) -> None:
    came = 0
    with requests.get(f"{web.base_url}{public}", stream=True, timeout=10) as answer:
        for block in answer.iter_content(256 * 1024):
            came += len(block)
            if came == len(block):
                threading.Event().wait(GRACE_SECONDS / 2)

    assert came == LARGE


def test_readers_that_do_not_read_leave_room_for_those_who_do(web: Web, public: str) -> None:
    with ExitStack() as stack:
        for _ in range(150):
            wire = stack.enter_context(a_wire(web.base_url))
            wire.head("GET", public)
        content = eventually(lambda: read(web, public), every=0.5, says="there is no room")

    assert len(content) == LARGE


def test_a_worker_that_is_told_to_stop_takes_what_is_on_its_way(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with a_web(tmp_path_factory.mktemp("stopping"), WEB_WORKERS="1") as web, web.api() as alice:
        upload = alice.open_upload(size=100_000, chunk_size=100_000)
        with a_wire(web.base_url) as wire, a_wire(web.base_url):
            wire.head("PUT", chunk(upload), alice.token, "Content-Length: 100000")
            wire.send(b"x" * 50_000)
            web.process.terminate()
            eventually(lambda: refuses(web))
            wire.send(b"x" * 50_000)
            answer = wire.answer()

        assert answer.status == 200
        web.process.wait(10)


def chunk(upload: Body) -> str:
    return f"/api/v1/uploads/{upload['id']}/chunks/0"


def read(web: Web, path: str) -> bytes:
    """Return all of a file, nothing when there is no room for a reader now."""
    with requests.get(f"{web.base_url}{path}", timeout=20) as answer:
        assert answer.status_code in {200, 503}
        return answer.content if answer.status_code == 200 else b""


def refuses(web: Web) -> bool:
    try:
        requests.get(f"{web.base_url}/healthz", timeout=1)
    except requests.RequestException:  # nobody accepts it any more
        return True
    return False
