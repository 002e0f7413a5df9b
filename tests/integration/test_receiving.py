"""Chunks by the row that decides: any order, any size, repeats, races, cuts."""

import hashlib
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.errors import (
    AppError,
    BodyCut,
    ChunkConflict,
    ChunkMisplaced,
    ChunksMissing,
    DigestMismatch,
    NotFound,
    NotReceiving,
    OffsetMismatch,
    TooLarge,
    Unsupported,
)
from shared.model.lifecycle import UploadState
from tests.support.streams import append
from tests.support.workshop import ALICE, BOB, Bytes, Workshop, a_workshop


@pytest.fixture
def shop(database_url: str, tmp_path: Path) -> Iterator[Workshop]:
    made = a_workshop(tmp_path, database=database_url)
    yield made
    made.records.close()


def text(size: int, seed: int = 1) -> bytes:
    return bytes(random.Random(seed).choices(b"abcdefgh \n", k=size))  # noqa: S311  # test bytes


def test_chunks_of_unknown_sizes_in_any_order_become_the_file(shop: Workshop) -> None:
    pieces = [text(size, seed) for seed, size in enumerate((700, 1, 5000, 333, 1024))]
    upload = shop.opened()
    order = [3, 0, 4, 2, 1]
    for number in order:
        shop.chunks.put(ALICE, upload.id, number, Bytes(pieces[number]), None)
    again = shop.chunks.put(ALICE, upload.id, 2, Bytes(pieces[2]), None)

    job = shop.uploads.complete(ALICE, upload.id, total_chunks=5)

    assert again.repeated
    assert shop.staged_bytes(upload.id) == b"".join(pieces)
    assert job.total == sum(map(len, pieces))
    assert shop.dispatcher.processed == [job.id]


def test_a_chunk_larger_than_the_chunk_size_rolls_over_into_rows_of_one_number(
    shop: Workshop,
) -> None:
    upload = shop.opened()
    shop.chunks.put(ALICE, upload.id, 1, Bytes(text(2500)), None)

    with shop.records.read() as rows:
        places = [(row.number, row.offset, row.length) for row in rows.chunks.of(upload.id)]

    assert places == [(1, 0, 1024), (1, 1024, 1024), (1, 2048, 452)]


def test_two_streams_for_one_offset_leave_the_bytes_of_one(shop: Workshop) -> None:
    upload = shop.opened()
    first, second = text(3000, 1), text(3000, 2)
    barrier = threading.Barrier(2)
    outcomes: list[bytes | None] = []

    def send(body: bytes) -> None:
        barrier.wait()
        try:
            append(shop, ALICE, upload.id, 0, Bytes(body))
            outcomes.append(body)
        except OffsetMismatch:
            outcomes.append(None)

    run_all(lambda: send(first), lambda: send(second))
    with shop.records.read() as rows:
        kept = {row.name for row in rows.chunks.of(upload.id)}

    assert shop.staged_bytes(upload.id) in {first, second}
    assert outcomes.count(None) == 1
    assert set(shop.staged_names()) == kept


def test_many_racers_for_one_chunk_leave_one_and_refuse_other_bytes(shop: Workshop) -> None:
    upload = shop.opened(size=900, chunk_size=900)
    barrier = threading.Barrier(8)
    refusals: list[AppError] = []

    def send(seed: int) -> None:
        barrier.wait()
        try:
            shop.chunks.put(ALICE, upload.id, 0, Bytes(text(900, seed % 2)), None)
        except ChunkConflict as refusal:
            refusals.append(refusal)

    run_all(*(lambda seed=seed: send(seed) for seed in range(8)))

    assert len(refusals) == 4
    assert len(shop.staged_names()) == 1
    assert shop.uploads.status(ALICE, upload.id).upload.received == 900


def test_a_stream_that_is_cut_keeps_its_prefix(shop: Workshop) -> None:
    upload, body = shop.opened(size=5000), text(5000)

    cut = append(shop, ALICE, upload.id, 0, Bytes(body, cut=3100))
    append(shop, ALICE, upload.id, cut.length, Bytes(body[cut.length :]))

    assert cut.length == 3100
    assert shop.staged_bytes(upload.id) == body


def test_a_numbered_chunk_that_is_cut_leaves_nothing(shop: Workshop) -> None:
    upload = shop.opened(size=900, chunk_size=900)

    with pytest.raises(BodyCut):
        shop.chunks.put(ALICE, upload.id, 0, Bytes(text(900), cut=500), None)

    assert_untouched(shop, upload.id)


def test_a_wrong_digest_leaves_nothing_and_the_right_one_is_taken(shop: Workshop) -> None:
    upload, body = shop.opened(size=900, chunk_size=900), text(900)
    with pytest.raises(DigestMismatch):
        shop.chunks.put(ALICE, upload.id, 0, Bytes(body), b"\0" * 32)
    assert_untouched(shop, upload.id)

    shop.chunks.put(ALICE, upload.id, 0, Bytes(body), hashlib.sha256(body).digest())

    assert shop.staged_bytes(upload.id) == body


@pytest.mark.parametrize(
    ("number", "length", "refusal"),
    [(2, 10, ChunkMisplaced), (0, 1001, TooLarge), (1, 999, ChunkMisplaced)],
)
def test_a_chunk_outside_its_place_is_refused(
    shop: Workshop, number: int, length: int, refusal: type[AppError]
) -> None:
    upload = shop.opened(size=2000, chunk_size=1000)

    with pytest.raises(refusal):
        shop.chunks.put(ALICE, upload.id, number, Bytes(text(length)), None)

    assert_untouched(shop, upload.id)


def test_an_upload_of_unknown_size_has_at_most_10000_chunks(shop: Workshop) -> None:
    upload = shop.opened()

    with pytest.raises(ChunkMisplaced):
        shop.chunks.put(ALICE, upload.id, 10_000, Bytes(b"x"), None)

    assert_untouched(shop, upload.id)
    shop.chunks.put(ALICE, upload.id, 9_999, Bytes(b"x"), None)


def test_a_body_longer_than_it_said_is_refused_where_its_place_ends(shop: Workshop) -> None:
    upload = shop.opened(size=900, chunk_size=900)

    with pytest.raises(TooLarge):
        shop.chunks.put(ALICE, upload.id, 0, Bytes(text(5000), declared=None), None)

    assert_untouched(shop, upload.id)


def test_completing_with_gaps_names_them_and_stays_open(shop: Workshop) -> None:
    upload = shop.opened(size=4000, chunk_size=1000)
    shop.chunks.put(ALICE, upload.id, 2, Bytes(text(1000)), None)

    with pytest.raises(ChunksMissing) as refusal:
        shop.uploads.complete(ALICE, upload.id)

    assert refusal.value.facts["missing"] == [0, 1, 3]
    assert shop.uploads.status(ALICE, upload.id).upload.state is UploadState.RECEIVING


def test_completing_again_answers_the_same_job(shop: Workshop) -> None:
    upload = shop.opened(size=900, chunk_size=900)
    shop.chunks.put(ALICE, upload.id, 0, Bytes(text(900)), None)

    first, second = (shop.uploads.complete(ALICE, upload.id) for _ in range(2))

    assert first.id == second.id
    assert shop.dispatcher.processed == [first.id]


def test_a_sealed_upload_takes_no_new_bytes(shop: Workshop) -> None:
    upload = shop.opened()
    shop.chunks.put(ALICE, upload.id, 0, Bytes(text(900)), None)
    shop.uploads.complete(ALICE, upload.id)

    with pytest.raises(NotReceiving):
        shop.chunks.put(ALICE, upload.id, 1, Bytes(text(10)), None)

    assert shop.staged_bytes(upload.id) == text(900)


def test_a_type_that_is_never_allowed_is_refused_at_its_first_bytes(shop: Workshop) -> None:
    program = b"\x7fELF\x02\x01\x01" + bytes(100_000)
    upload = shop.opened("holiday.jpg", size=len(program), chunk_size=len(program))

    with pytest.raises(Unsupported):
        shop.chunks.put(ALICE, upload.id, 0, Bytes(program), None)

    assert_untouched(shop, upload.id)


class Dripping(Bytes):
    """A body that comes a little at a time."""

    def read(self, size: int, /) -> bytes:
        return super().read(min(size, 700))


def test_nothing_of_a_stream_is_committed_before_its_first_bytes_were_looked_at(
    shop: Workshop,
) -> None:
    program = b"\x7fELF\x02\x01\x01" + bytes(100_000)
    upload = shop.opened("holiday.jpg", size=len(program))

    with pytest.raises(Unsupported):
        append(shop, ALICE, upload.id, 0, Dripping(program))

    assert_untouched(shop, upload.id)


def test_somebody_elses_upload_is_not_there(shop: Workshop) -> None:
    upload = shop.opened(size=900)

    for attempt in (
        lambda: shop.chunks.put(BOB, upload.id, 0, Bytes(text(900)), None),
        lambda: shop.uploads.complete(BOB, upload.id),
        lambda: shop.uploads.cancel(BOB, upload.id),
        lambda: shop.uploads.status(BOB, upload.id),
    ):
        with pytest.raises(NotFound):
            attempt()

    assert_untouched(shop, upload.id)


def test_cancelling_frees_staging_and_quota_and_can_be_repeated(shop: Workshop) -> None:
    upload = shop.opened(size=900)
    shop.chunks.put(ALICE, upload.id, 0, Bytes(text(900)), None)

    for _ in range(2):
        shop.uploads.cancel(ALICE, upload.id)

    assert shop.staged_names() == []
    assert shop.uploads.status(ALICE, upload.id).upload.state is UploadState.CANCELLED


def assert_untouched(shop: Workshop, upload_id: str) -> None:
    assert shop.staged_names() == []
    upload = shop.uploads.status(ALICE, upload_id).upload
    assert (upload.state, upload.received) == (UploadState.RECEIVING, 0)


def run_all(*works: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
