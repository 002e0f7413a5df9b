"""Parts of an object: all of its bytes, once, in parts that S3 takes."""

from itertools import accumulate, pairwise
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as some

from shared.errors import Damaged
from shared.model.upload import Chunk
from tests.support.builders import a_chunk
from worker.pieces import Stream, equal, joined

MIB: Final = 1024**2
LEAST: Final = 5 * MIB
LENGTHS: Final = some.lists(
    some.one_of(
        some.integers(1, 12 * MIB),
        some.sampled_from([1, LEAST - 1, LEAST, LEAST + 1, 8 * MIB, 10 * MIB - 1]),
    ),
    min_size=1,
    max_size=30,
)


def chunks_of(lengths: list[int]) -> list[Chunk]:
    return [a_chunk("one", number, length=length) for number, length in enumerate(lengths)]


@given(lengths=LENGTHS)
def test_joined_parts_are_the_whole_file_in_order_and_no_smaller_than_s3_takes(
    lengths: list[int],
) -> None:
    chunks, size = chunks_of(lengths), sum(lengths)
    starts = dict(
        zip((chunk.number for chunk in chunks), accumulate(lengths, initial=0), strict=False)
    )

    parts = list(joined(chunks, size))

    assert parts[0].offset == 0
    assert all(one.offset + one.length == next_.offset for one, next_ in pairwise(parts))
    assert parts[-1].offset + parts[-1].length == size
    assert all(part.length >= LEAST for part in parts[:-1])
    for part in parts:
        if part.chunk is None:
            assert part.length < 2 * LEAST
        else:
            assert part.length >= LEAST
            assert part.start + part.length <= part.chunk.length
            assert starts[part.chunk.number] + part.start == part.offset


@given(lengths=LENGTHS)
def test_little_is_sent_of_what_the_store_could_copy(lengths: list[int]) -> None:
    parts = list(joined(chunks_of(lengths), sum(lengths)))

    sent = sum(part.length for part in parts if part.chunk is None)
    short = sum(length for length in lengths if length < 2 * LEAST)
    assert sent <= short + LEAST * sum(length >= 2 * LEAST for length in lengths)


def test_chunks_that_are_long_enough_are_all_copied() -> None:
    chunks = chunks_of([8 * MIB, 5 * MIB, 8 * MIB, 100])

    parts = list(joined(chunks, 21 * MIB + 100))

    assert [part.chunk for part in parts] == [*chunks[:3], None]
    assert [part.length for part in parts] == [8 * MIB, 5 * MIB, 8 * MIB, 100]


def test_short_chunks_between_take_only_what_they_lack() -> None:
    chunks = chunks_of([8 * MIB, 3 * MIB, 8 * MIB, 3 * MIB])

    parts = list(joined(chunks, 22 * MIB))

    said = [(part.length, None if part.chunk is None else part.chunk.number) for part in parts]
    assert said == [(8 * MIB, 0), (5 * MIB, None), (6 * MIB, 2), (3 * MIB, None)]


@pytest.mark.parametrize("size", [80 * 1024**3, 100 * 1024**3])
def test_no_file_has_more_parts_than_s3_counts(size: int) -> None:
    many = (a_chunk("one", number, length=8 * MIB) for number in range(size // (8 * MIB)))

    assert sum(1 for _ in joined(many, size)) <= 10_000
    assert sum(1 for _ in equal(size)) <= 10_000


@given(blocks=some.lists(some.binary(min_size=1, max_size=9)), length=some.integers(1, 7))
def test_a_stream_is_taken_in_other_lengths(blocks: list[bytes], length: int) -> None:
    content, stream = b"".join(blocks), Stream(iter(blocks))

    taken = [
        b"".join(stream.take(min(length, len(content) - start)))
        for start in range(0, len(content), length)
    ]
    stream.end()

    assert b"".join(taken) == content
    assert all(len(each) == length for each in taken[:-1])


@pytest.mark.parametrize("length", [2, 4])
def test_a_stream_that_is_longer_or_shorter_than_was_said_is_damage(length: int) -> None:
    stream = Stream(iter([b"abc"]))

    with pytest.raises(Damaged):
        list(stream.take(length))
        stream.end()
