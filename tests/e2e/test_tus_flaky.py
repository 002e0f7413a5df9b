"""tus over a network that cuts every connection."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
import requests

from tests.support.api import Api
from tests.support.cable import a_cable
from tests.support.quick import a_quick_stack
from tests.support.stack import Stack
from tests.support.tus import BODY, Tus, hanging, metadata
from tests.support.waiting import eventually

MIB = 1024**2
SIZE = 200 * MIB
CHUNK = 4 * MIB
PAUSE_SECONDS = 0.2
HEADERS = 2000  # bytes: of the requests themselves


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.txt"
    block = b"".join(b"%015d\n" % number for number in range(MIB // 16))
    with path.open("wb") as file:
        for _ in range(SIZE // MIB):
            file.write(block)
    return path


@pytest.fixture(scope="module")
def copy() -> Iterator[Stack]:
    with a_quick_stack(CHUNK_SIZE=str(CHUNK)) as running:
        yield running


def test_a_large_file_arrives_and_a_cut_costs_one_chunk_at_most(copy: Stack, large: Path) -> None:
    drawn = random.Random(7)  # noqa: S311  # no secret
    api = Api(copy.base_url, copy.token("alice"))
    url = Tus(api).create(SIZE, Upload_Metadata=metadata(filename="large.txt"))
    cuts = offset = 0
    with a_cable(copy.base_url) as cable, large.open("rb") as file:
        cable.fuses = iter(lambda: drawn.randrange(MIB, 24 * MIB), None)
        flaky = Api(cable.url, api.token)
        while offset < SIZE:
            file.seek(offset)
            headers = {"Tus-Resumable": "1.0.0", "Content-Type": BODY, "Upload-Offset": str(offset)}
            try:
                flaky.patch(url.replace(copy.base_url, cable.url), data=file, headers=headers)
            except requests.RequestException:
                cuts += 1
                Event().wait(PAUSE_SECONDS)  # as clients do: what was on its way comes in
            offset = Tus(api).offset(url)

    assert cuts >= 8
    assert cable.passed - SIZE <= cuts * (CHUNK + HEADERS) + 64 * HEADERS
    with large.open("rb") as file:
        assert (
            Tus(api).job(url)["file"]["sha256"] == hashlib.file_digest(file, "sha256").hexdigest()
        )


def test_who_comes_back_goes_on_while_the_old_request_hangs(copy: Stack, large: Path) -> None:
    content = large.read_bytes()[: 3 * CHUNK]
    tus = Tus(Api(copy.base_url, copy.token("alice")))
    url = tus.create(len(content), Upload_Metadata=metadata(filename="large.txt"))
    with hanging(url, len(content)) as old:
        old.sendall(content[: CHUNK + 1000])
        assert eventually(lambda: tus.offset(url) == CHUNK, 10)

        tus.sent(url, content[CHUNK : 2 * CHUNK], CHUNK)
        old.sendall(b"x" * (len(content) - CHUNK - 1000))  # now it wakes up, with other bytes
        refused = old.recv(65536)
        tus.sent(url, content[2 * CHUNK :], 2 * CHUNK)

    assert refused.startswith(b"HTTP/1.1 409 ")
    assert tus.job(url)["file"]["sha256"] == hashlib.sha256(content).hexdigest()


def test_what_strangers_say_of_proxies_is_not_believed(copy: Stack) -> None:
    tus = Tus(Api(copy.base_url, copy.token("alice")))

    said = {"X_Forwarded_Host": "evil.example", "X_Forwarded_Proto": "https"}
    answer = tus.ask("POST", "/tus/", Upload_Length="5", **said)

    assert answer.headers["Location"].startswith(f"{copy.base_url}/tus/")
