"""Which bytes have arrived, for any set of chunks."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ChunkMisplaced
from shared.model.coverage import Layout, layout_of, missing, received_ranges
from shared.model.upload import Chunk
from tests.support.builders import a_chunk, an_upload

SIZES = st.integers(min_value=0, max_value=200)
CHUNK_SIZES = st.integers(min_value=1, max_value=60)


@given(SIZES, CHUNK_SIZES)
def test_the_chunks_of_a_layout_fill_the_file_exactly(size: int, chunk_size: int) -> None:
    layout = Layout(size, chunk_size)

    lengths = [layout.length(number) for number in range(layout.count)]

    assert sum(lengths) == size
    assert all(length == chunk_size for length in lengths[:-1])
    assert all(0 < length <= chunk_size for length in lengths)


@given(SIZES, CHUNK_SIZES, st.integers(min_value=0, max_value=1000))
def test_beyond_the_end_there_is_no_chunk(size: int, chunk_size: int, further: int) -> None:
    layout = Layout(size, chunk_size)

    with pytest.raises(ChunkMisplaced) as refusal:
        layout.length(layout.count + further)

    assert refusal.value.facts == {"total_chunks": layout.count}


@given(SIZES, CHUNK_SIZES, st.sets(st.integers(min_value=0, max_value=200)))
def test_of_a_known_size_ranges_and_missing_chunks_are_the_whole_file(
    size: int, chunk_size: int, numbers: set[int]
) -> None:
    upload = an_upload(size=size, chunk_size=chunk_size)
    layout = layout_of(upload)
    assert layout is not None
    here = {number for number in numbers if number < layout.count}
    chunks = [a_chunk(upload.id, n, length=layout.length(n)) for n in here]

    absent = missing(upload, chunks)
    ranges = received_ranges(upload, chunks)

    assert set(absent) == set(range(layout.count)) - here
    covered = {byte for start, stop in ranges for byte in range(start, stop)}
    assert covered == {
        byte
        for number in here
        for byte in range(number * chunk_size, number * chunk_size + layout.length(number))
    }
    assert_tidy(ranges)
    assert (absent == []) is (covered == set(range(size)))


@given(st.dictionaries(st.integers(0, 12), st.lists(st.integers(1, 9), min_size=1), max_size=10))
def test_of_an_unknown_size_what_lies_before_the_first_gap_is_covered(
    rows: dict[int, list[int]],
) -> None:
    upload = an_upload(size=None)
    chunks = [chunk for number, lengths in rows.items() for chunk in rolled(number, lengths)]

    ranges = received_ranges(upload, chunks)
    absent = missing(upload, chunks)

    in_a_row = [number for number in range(13) if set(range(number + 1)) <= set(rows)]
    length = sum(sum(rows[number]) for number in in_a_row)
    assert ranges == ([(0, length)] if length else [])
    assert set(absent) == set(range(max(rows, default=-1) + 1)) - set(rows)
    assert missing(upload, chunks, 20) == [n for n in range(20) if n not in rows]
    if not absent:
        assert length == sum(map(sum, rows.values()))


@given(st.lists(st.integers(1, 50), max_size=20), st.randoms())
def test_the_order_of_rows_does_not_matter(lengths: list[int], chance: object) -> None:
    upload = an_upload(size=None)
    chunks = list(rolled(0, lengths))
    shuffled = list(chunks)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis says Random too late

    assert received_ranges(upload, shuffled) == received_ranges(upload, chunks)
    assert received_ranges(upload, chunks) == ([(0, sum(lengths))] if lengths else [])


def rolled(number: int, lengths: list[int]) -> list[Chunk]:
    offsets = [sum(lengths[:place]) for place in range(len(lengths))]
    return [
        a_chunk("u", number, offset=offset, length=length)
        for offset, length in zip(offsets, lengths, strict=True)
    ]


def assert_tidy(ranges: list[tuple[int, int]]) -> None:
    """In order, none empty, none touching the next."""
    assert all(start < stop for start, stop in ranges)
    assert all(one[1] < two[0] for one, two in pairwise(ranges))
