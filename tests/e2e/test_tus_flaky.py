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
from tests.support.stack import Stack, a_stack
from tests.support.tus import BODY, Tus, metadata

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


@pytest.fixture
def copy() -> Iterator[Stack]:
    with a_stack(CHUNK_SIZE=str(CHUNK)) as running:
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
