"""Staging in the bucket while the store is in trouble, or is another than was thought."""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from shared.adapters.client_s3 import Patience, S3Place
from shared.adapters.objects_s3 import S3Objects
from shared.adapters.staging_s3 import LARGEST, S3Staging
from shared.errors import Damaged, NotJoined, Unavailable
from shared.model.digest import crc64
from shared.model.stored import Part
from shared.ports import Staging
from tests.contract.test_staging import ONE, TWO, content, kept, named, write_and_keep
from tests.support import weather
from tests.support.races import at_once
from tests.support.weather import Call, Weather, impatient, weather_before

PREFIX = ".staging/"
LONG = b"0123456789abcdef" * 60_000


@pytest.fixture
def sky(bucket: S3Place) -> Iterator[Weather]:
    with weather_before(bucket) as proxy:
        yield proxy


@pytest.fixture
def staging(sky: Weather) -> Staging:
    return S3Staging(impatient(sky.place, seconds=5), PREFIX)


def reads_chunks(call: Call) -> bool:
    return call.method == "GET" and "chunks/" in call.path and "list-type" not in call.path


def test_a_chunk_is_one_object_that_the_store_has_acknowledged(
    staging: Staging, sky: Weather
) -> None:
    chunk = kept(staging, b"hello ", b"world")

    puts = [(call, status) for call, status in sky.calls if call.method == "PUT"]
    assert [(call.path.rpartition("/")[2], status) for call, status in puts] == [(chunk.name, 200)]
    assert puts[0][0].body == b"hello world"
    said = {name.lower() for name in puts[0][0].headers}
    assert {"if-none-match", "x-amz-checksum-crc64nvme"} <= said


def test_a_chunk_whose_answer_was_lost_is_known_again(staging: Staging, sky: Weather) -> None:
    sky.brings(weather.the_answer_is_lost, to=weather.puts)

    chunk = kept(staging, LONG)

    assert content(staging, chunk) == LONG
    assert [each.name for each in staging.listing()] == [chunk.name]


def test_other_bytes_under_the_name_are_not_told_of(
    staging: Staging, bucket: S3Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "guessed")
    key = f"{PREFIX}chunks/{ONE}/{0:08d}.{0:015d}.guessed"
    S3Objects(bucket).put(key, b"other", content_type="text/plain", upload_id="staging")

    with pytest.raises(Unavailable):
        write_and_keep(staging.writer(ONE, 0, 0, None), b"bytes")


def test_bytes_that_change_on_their_way_are_not_told_of(staging: Staging, sky: Weather) -> None:
    sky.brings(weather.a_bit_flips, to=weather.puts, times=None)
    writer = staging.writer(ONE, 0, 0, None)

    with pytest.raises(Unavailable) as refusal:
        write_and_keep(writer, LONG)
    writer.drop()

    assert refusal.value.code == "staging_unavailable"
    assert list(staging.listing()) == []


def test_a_read_goes_on_where_its_answer_broke_off(staging: Staging, sky: Weather) -> None:
    chunk = kept(staging, LONG)
    sky.brings(weather.cut_short, to=reads_chunks, times=2)
    before = len(sky.calls)

    assert content(staging, chunk) == LONG

    starts = [
        int(call.headers["Range"].removeprefix("bytes=").split("-")[0])
        for call, _ in sky.calls[before:]
    ]
    assert starts[0] == 0
    assert 0 < starts[1] < starts[2]


def test_a_store_whose_answers_always_break_off_is_unavailable(
    staging: Staging, sky: Weather
) -> None:
    chunk = kept(staging, LONG)
    sky.brings(weather.cut_short, to=reads_chunks, times=None)

    with pytest.raises(Unavailable):
        content(staging, chunk)


def test_a_store_that_does_not_answer_is_unavailable_and_costs_nobody_else(
    staging: Staging, sky: Weather
) -> None:
    chunk = kept(staging)
    sky.brings(weather.nothing_is_done, times=None)
    writer = staging.writer(ONE, 1, 0, None)

    for ask in (
        lambda: write_and_keep(writer, b"x"),
        lambda: content(staging, chunk),
        lambda: staging.sizes(ONE),
        lambda: list(staging.listing()),
    ):
        with pytest.raises(Unavailable) as outage:
            ask()
        assert outage.value.code == "staging_unavailable"
    # What removes is said to have done what it could: the sweep of orphans does the rest.
    writer.drop()
    staging.discard(ONE, [chunk.name])
    staging.clear(ONE)
    sky.clears()

    assert content(staging, chunk) == b"content"


def test_a_store_that_denies_says_so(staging: Staging, sky: Weather) -> None:
    chunk = kept(staging)
    sky.brings(weather.an_error(403, "AccessDenied"), times=None)

    for ask in (lambda: kept(staging), lambda: content(staging, chunk)):
        with pytest.raises(Unavailable) as refusal:
            ask()
        assert refusal.value.code == "objects_denied"


@pytest.mark.parametrize("left", [b"", b"cont"])
def test_a_chunk_that_was_cut_is_never_read_as_whole(
    staging: Staging, bucket: S3Place, left: bytes
) -> None:
    chunk, store = kept(staging, b"content"), S3Objects(bucket)
    key = f"{PREFIX}chunks/{ONE}/{chunk.name}"
    store.delete([key])
    store.put(key, left, content_type="text/plain", upload_id="staging")

    try:
        read = content(staging, chunk)
    except Damaged:
        read = b""

    assert read == left  # the worker holds it against its row


def test_a_store_that_is_silent_is_asked_no_more_often_than_it_has_patience(
    staging: Staging, sky: Weather
) -> None:
    chunk = kept(staging)
    before = len(sky.calls)
    sky.brings(weather.nothing_is_done, times=None)

    with pytest.raises(Unavailable):
        content(staging, chunk)

    assert len(sky.calls) - before == 2  # the attempts of this client


def test_a_bucket_that_is_not_there_is_an_outage_and_no_damage(
    staging: Staging, bucket: S3Place
) -> None:
    chunk = kept(staging)
    elsewhere = S3Staging(S3Objects(replace(bucket, bucket="nowhere")), PREFIX)

    with pytest.raises(Unavailable) as outage:
        content(elsewhere, chunk)

    assert not isinstance(outage.value, Damaged)


def test_more_than_memory_is_for_is_not_taken_under_one_name(staging: Staging) -> None:
    writer = staging.writer(ONE, 0, 0, None)
    writer.write(bytes(LARGEST))

    with pytest.raises(ValueError, match="at most"):
        writer.write(b"x")


def test_what_clients_send_straight_to_the_store_is_no_chunk(
    staging: Staging, bucket: S3Place
) -> None:
    store = S3Objects(bucket)
    for key in (f"{PREFIX}direct/{ONE}", f"{PREFIX}chunks/stray", "notes.txt"):
        store.put(key, b"other", content_type="text/plain", upload_id="staging")
    chunk = kept(staging)

    assert [each.name for each in staging.listing()] == [chunk.name]
    staging.clear(ONE)
    assert len(list(store.listing())) == 3
    assert named(staging.writer(ONE, 0, 0, None), 1).name != chunk.name


def test_no_more_is_asked_for_than_is_wanted(staging: Staging, sky: Weather) -> None:
    chunk = kept(staging, LONG)
    before = len(sky.calls)

    head = b"".join(staging.read(chunk, 1000, most=64 * 1024))

    assert head == LONG[: 64 * 1024]
    asked = [call.headers["Range"] for call, _ in sky.calls[before:]]
    assert asked == [f"bytes=0-{64 * 1024 - 1}"]


def test_an_outage_while_many_uploads_are_cleared_is_waited_for_once(
    staging: Staging, sky: Weather
) -> None:
    uploads = [f"0193-{number}-aa" for number in range(5)]
    for upload_id in uploads:
        kept(staging, upload_id=upload_id)
    before = len(sky.calls)
    sky.brings(weather.nothing_is_done, times=None)

    staging.clear(*uploads)
    sky.clears()

    assert len(sky.calls) - before == 2  # the attempts of one request
    assert len(list(staging.listing())) == 5
    staging.clear(*uploads)
    assert list(staging.listing()) == []


def test_more_names_than_one_answer_has_are_listed_measured_and_cleared(
    staging: Staging, bucket: S3Place
) -> None:
    key, many = f"{PREFIX}chunks/{ONE}/{0:08d}.{{0:015d}}.x", 1050
    store = S3Objects(bucket)

    def put(numbers: range) -> None:
        for number in numbers:
            store.put(key.format(number), b"x", content_type="text/plain", upload_id="staging")

    at_once([partial(put, range(start, many, 16)) for start in range(16)])
    other = kept(staging, upload_id=TWO)

    assert len(staging.sizes(ONE)) == many
    assert len({each.name for each in staging.listing()}) == many + 1
    staging.clear(ONE)
    assert [each.name for each in staging.listing()] == [other.name]


def test_a_store_without_conditions_keeps_chunks(staging: Staging, sky: Weather) -> None:
    sky.brings(weather.no_conditions, times=None)

    first, second = kept(staging, b"first"), kept(staging, b"second")

    assert (content(staging, first), content(staging, second)) == (b"first", b"second")
    staging.discard(ONE, [first.name])
    assert [each.name for each in staging.listing()] == [second.name]


def test_a_store_that_hangs_while_it_copies_is_waited_for_as_for_any_request(
    sky: Weather,
) -> None:
    store = S3Objects(sky.place, Patience(read_seconds=0.3, attempts=2))
    staging, key = S3Staging(store, PREFIX), "file"
    chunk = kept(staging, LONG)
    multipart_id = store.begin_multipart(key, content_type="text/plain", upload_id=ONE)
    sky.brings(weather.it_hangs, to=weather.parts, times=None)
    began = time.monotonic()

    with pytest.raises(Unavailable) as outage:
        staging.join(chunk, 0, key, multipart_id, Part(1, 0, len(LONG), "", crc64(LONG)))
    took = time.monotonic() - began
    sky.clears()
    store.abort_multipart(key, multipart_id)

    assert not isinstance(outage.value, NotJoined)
    assert took < 5
    assert staging.joins
