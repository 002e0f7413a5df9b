"""Clients that announce a large body, send a little of it, and fall silent."""

import time
from collections.abc import Iterator
from typing import Final

import pytest

from tests.integration.conftest import Dial
from tests.support.api import Api
from tests.support.tus import Tus, hanging, metadata
from tests.support.waiting import eventually
from tests.support.web import Web, a_web

SILENCE_SECONDS: Final = 2.0
MIB: Final = 1024**2
LARGE: Final = 64 * MIB  # has more than an hour, if it comes
SPOKEN: Final = b"0123456789abcde\n" * 4096


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    silence = {"WEB_SILENCE_SECONDS": str(SILENCE_SECONDS)}
    with a_web(tmp_path_factory.mktemp("web"), LOG_LEVEL="WARNING", **silence) as web:
        yield web


@pytest.fixture
def chunk(alice: Api) -> str:
    upload = alice.open_upload(size=10 * MIB, chunk_size=10 * MIB)
    return f"/api/v1/uploads/{upload['id']}/chunks/0"


@pytest.mark.parametrize(
    ("framing", "said"),
    [(f"Content-Length: {10 * MIB}", b"x"), ("Transfer-Encoding: chunked", b"100000\r\nx")],
)
def test_a_body_of_which_nothing_more_comes_is_cut(
    dial: Dial, alice: Api, chunk: str, framing: str, said: bytes
) -> None:
    with dial() as wire:
        wire.head("PUT", chunk, alice.token, framing)
        wire.send(said)
        began = time.monotonic()
        answer = wire.answer()
        took = time.monotonic() - began

    assert (answer.status, answer.json()["type"]) == (400, "body_cut")
    assert answer.headers["connection"] == "close"
    assert SILENCE_SECONDS - 0.1 < took < SILENCE_SECONDS + 1.5


def test_who_was_told_to_go_on_and_does_not_is_cut(dial: Dial, alice: Api, chunk: str) -> None:
    with dial() as wire:
        wire.head("PUT", chunk, alice.token, f"Content-Length: {10 * MIB}", "Expect: 100-continue")
        interim = wire.interim()
        answer = wire.answer()

    assert (interim, answer.status, answer.json()["type"]) == (100, 400, "body_cut")


def test_what_a_stream_has_sent_before_its_silence_is_kept(alice: Api) -> None:
    tus = Tus(alice)
    url = tus.create(LARGE, Upload_Metadata=metadata(filename="notes.txt"))
    with hanging(url, LARGE) as line:
        line.sendall(SPOKEN)
        began = time.monotonic()
        line.recv(4096)  # the answer, or the end
        took = time.monotonic() - began

        assert eventually(lambda: tus.offset(url) == len(SPOKEN), 10)
    assert took < SILENCE_SECONDS + 1.5


def test_one_that_sends_now_and_then_is_heard_out(dial: Dial, alice: Api, chunk: str) -> None:
    content = SPOKEN * (10 * MIB // len(SPOKEN))
    speaks_until = time.monotonic() + 2 * SILENCE_SECONDS
    said = 0
    with dial() as wire:
        wire.head("PUT", chunk, alice.token, f"Content-Length: {len(content)}")

        def drip() -> bool:
            nonlocal said
            wire.send(content[said : said + 1])
            said += 1
            return time.monotonic() > speaks_until

        eventually(drip, every=SILENCE_SECONDS / 2)
        wire.send(content[said:])
        answer = wire.answer()

    assert answer.status == 200
