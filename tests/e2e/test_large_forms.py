"""A large file in one request, of bytes that look like the ends of lines and of parts."""

import hashlib
import random

import pytest

from tests.support.api import Api, answered
from tests.support.samples_video import mp4

MIB = 1024**2


@pytest.mark.parametrize("alphabet", [bytes(range(256)), b"\r\n-", b"\r"])
def test_a_large_form_becomes_the_file_it_carried(alice: Api, alphabet: bytes) -> None:
    noise = bytes(random.Random(1).choices(alphabet, k=MIB)) * 20  # noqa: S311  # test bytes
    film = mp4() + noise

    file = answered(alice.submit(film, "film.mp4"), 201)

    assert (file["size"], file["sha256"]) == (len(film), hashlib.sha256(film).hexdigest())
