"""Checksums: of bytes however they are cut."""

import base64
import hashlib
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from shared.model.digest import crc64, is_sha256, joined_crc64, same_bytes
from shared.model.upload import Chunk
from tests.support.builders import a_chunk

CUTS = st.lists(st.integers(min_value=0, max_value=200), max_size=8)


def test_the_checksum_is_the_one_that_s3_knows() -> None:
    # The check value of CRC-64/NVME in the catalogue of parametrised CRC algorithms.
    assert crc64(b"123456789") == 0xAE8B14860A799888
    assert base64.b64encode(crc64(b"").to_bytes(8, "big")) == b"AAAAAAAAAAA="


@given(st.binary(max_size=200), CUTS)
def test_bytes_have_one_checksum_however_they_are_cut(content: bytes, cuts: list[int]) -> None:
    runs = cut(content, cuts)
    so_far = 0
    for run in runs:
        so_far = crc64(run, so_far)

    assert so_far == crc64(content)
    assert joined_crc64((crc64(run), len(run)) for run in runs) == crc64(content)
    assert crc64(memoryview(content)) == crc64(content)


@given(st.binary(max_size=200), CUTS, CUTS, st.randoms())
def test_the_same_bytes_are_the_same_however_they_are_rolled_over(
    content: bytes, cuts: list[int], others: list[int], chance: object
) -> None:
    one, two = chunks(cut(content, cuts)), chunks(cut(content, others))
    chance.shuffle(two)  # type: ignore[attr-defined]  # hypothesis says Random too late

    assert same_bytes(one, two)


@given(st.binary(min_size=1, max_size=200), CUTS, st.integers(min_value=0), st.integers(0, 7))
def test_one_bit_makes_them_others(content: bytes, cuts: list[int], place: int, bit: int) -> None:
    other = bytearray(content)
    other[place % len(content)] ^= 1 << bit

    assert not same_bytes(chunks(cut(content, cuts)), chunks([bytes(other)]))
    assert not same_bytes(chunks([content]), chunks([content + b"\0"]))


@given(st.binary())
def test_a_sha256_is_sixty_four_small_hexadecimal_digits(content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()

    assert is_sha256(digest)
    assert not any(
        is_sha256(wrong) for wrong in (digest[:-1], f"{digest}0", f"{digest[:-1]}g", f" {digest}")
    )
    assert not is_sha256(f"A{digest[1:]}")


def cut(content: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(content), *(place % (len(content) + 1) for place in cuts)})
    return [content[start:stop] for start, stop in pairwise(places)]


def chunks(runs: list[bytes]) -> list[Chunk]:
    made, offset = [], 0
    for run in runs:
        made.append(a_chunk("u", 0, offset=offset, length=len(run), crc64=crc64(run)))
        offset += len(run)
    return made
