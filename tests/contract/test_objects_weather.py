"""What our store does about the answers of a bad one."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from hashlib import md5
from io import BytesIO
from typing import Any

import pytest

from shared.adapters.client_s3 import S3Place
from shared.adapters.clock_system import SystemClock
from shared.adapters.objects_s3 import S3Objects
from shared.asking import asked
from shared.errors import AccessDenied, KeyTaken, LeaseLost, NotFound, Unavailable
from shared.model.stored import Part, StoredObject
from tests.contract.object_conditions import Over, complete_over, put_over
from tests.contract.object_copies import copy
from tests.support import weather
from tests.support.objects import FIVE, KEY, begin, content, etag_of, put, put_in_parts, seen
from tests.support.weather import Weather, impatient, weather_before


class TestBadWeather:
    """Answers that a good store does not give."""

    @pytest.fixture
    def sky(self, bucket: S3Place) -> Iterator[Weather]:
        with weather_before(bucket) as proxy:
            yield proxy

    @pytest.fixture
    def store(self, sky: Weather) -> S3Objects:
        return impatient(sky.place)

    @pytest.fixture
    def calm(self, sky: Weather) -> S3Objects:
        """The same, with the time that megabytes take."""
        return impatient(sky.place, seconds=10)

    def test_our_own_write_whose_answer_was_lost_is_a_taken_key(
        self, store: S3Objects, sky: Weather
    ) -> None:
        sky.brings(weather.the_answer_is_lost, to=weather.puts)
        with pytest.raises(KeyTaken):
            put(store, "small", b"x")
        sky.brings(weather.the_answer_is_lost, to=weather.completes)
        with pytest.raises(KeyTaken):
            put_in_parts(store, "large", b"y")

        assert content(store, "small") == b"x"
        assert content(store, "large") == b"y"

    def test_so_it_is_where_a_second_completion_finds_no_multipart(
        self, store: S3Objects, sky: Weather
    ) -> None:
        sky.brings(weather.the_answer_is_lost, to=weather.completes)
        sky.brings(weather.an_error(404, "NoSuchUpload"), to=weather.completes)

        with pytest.raises(KeyTaken):
            put_in_parts(store, "large", b"y")

        assert content(store, "large") == b"y"

    @pytest.mark.parametrize("size", [5, FIVE + 1])
    def test_our_own_copy_whose_answer_was_lost_is_a_taken_key(
        self, calm: S3Objects, sky: Weather, size: int
    ) -> None:
        put(calm, KEY, b"x" * size)
        sky.brings(weather.the_answer_is_lost, to=lambda call: is_copied(call, "copy"))

        with pytest.raises(KeyTaken):
            copy(calm, "copy")

        assert (len(content(calm, "copy")), seen(calm, "copy").upload_id) == (size, "two")
        assert list(calm.open_multiparts()) == []

    def test_a_store_that_copies_without_conditions_only_copies_in_parts(
        self, store: S3Objects, sky: Weather
    ) -> None:
        sky.brings(weather.an_error(501, "NotImplemented"), to=weather.copies, times=None)
        put(store, KEY, b"hello")
        for key in ("one", "two"):
            copy(store, key)

        assert [status for call, status in sky.calls if weather.copies(call)] == [501]
        assert content(store, "one") == content(store, "two") == b"hello"
        with pytest.raises(KeyTaken):
            copy(store, "two")

    def test_a_store_that_copies_nothing_is_one_that_does_not_answer(
        self, calm: S3Objects, store: S3Objects, sky: Weather
    ) -> None:
        put(calm, KEY, b"hello")
        sky.brings(weather.an_error(501, "NotImplemented"), to=copies_bytes, times=None)

        with pytest.raises(Unavailable):
            copy(store, "copy")

        assert calm.find("copy") is None
        assert list(calm.open_multiparts()) == []

    @pytest.mark.parametrize("size", [5, FIVE + 1])
    def test_a_source_that_is_written_over_while_it_is_copied_lends_no_byte(
        self, calm: S3Objects, sky: Weather, size: int
    ) -> None:
        put(calm, KEY, b"x" * size)

        def written_over(call: weather.Call) -> weather.Answer:
            calm.delete([KEY])
            put(calm, KEY, b"y" * size)
            return call.forward()

        sky.brings(written_over, to=copies_bytes)
        with pytest.raises(NotFound):
            copy(calm, "copy")

        assert calm.find("copy") is None
        assert list(calm.open_multiparts()) == []

    def test_a_copy_whose_multipart_is_aborted_has_to_begin_again(
        self, calm: S3Objects, sky: Weather
    ) -> None:
        put(calm, KEY, b"x" * (FIVE + 1))

        def aborted(call: weather.Call) -> weather.Answer:
            for each in calm.open_multiparts():
                calm.abort_multipart(each.key, each.multipart_id)
            return call.forward()

        sky.brings(aborted, to=copies_bytes)
        with pytest.raises(Unavailable):
            copy(calm, "copy")

        assert calm.find("copy") is None

    def test_a_write_that_was_reset_is_tried_again(self, store: S3Objects, sky: Weather) -> None:
        sky.brings(weather.nothing_is_done, to=weather.puts)

        put(store, KEY, b"x")

        assert content(store) == b"x"

    @pytest.mark.parametrize("write", ["put", "put_in_parts"])
    def test_a_bit_that_flips_on_the_way_is_refused_by_the_store(
        self, store: S3Objects, sky: Weather, write: str
    ) -> None:
        sky.brings(weather.a_bit_flips, to=lambda call: call.method == "PUT", times=None)

        with pytest.raises(Unavailable):
            globals()[write](store, KEY, b"hello" * 1000)

        assert store.find(KEY) is None

    def test_a_condition_that_a_store_lacks_is_asked_for_once_and_leaves_the_others(
        self, store: S3Objects, sky: Weather
    ) -> None:
        sky.brings(weather.no_conditions, to=deletes, times=None)
        for key in ("one", "two"):
            put(store, key, b"x")
            assert store.delete_seen(seen(store, key))

        assert [status for call, status in sky.calls if deletes(call)] == [501, 204, 204]
        put(store, KEY, b"x")
        with pytest.raises(KeyTaken):
            put(store, KEY, b"y")
        assert [status for call, status in sky.calls if weather.puts(call)][-2:] == [200, 412]

    def test_a_deletion_that_had_to_be_asked_for_again_may_come_late(
        self, store: S3Objects, sky: Weather
    ) -> None:
        put(store, KEY, b"x")
        sky.brings(weather.nothing_is_done, to=deletes)

        assert not store.delete_seen(seen(store))

        assert store.find(KEY) is None

    @pytest.mark.parametrize("code", ["PreconditionFailed", "NoSuchKey"])
    def test_of_what_is_another_by_now_or_gone_nothing_is_deleted(
        self, store: S3Objects, sky: Weather, code: str
    ) -> None:
        put(store, KEY, b"x")
        status = {"PreconditionFailed": 412, "NoSuchKey": 404}[code]
        sky.brings(weather.an_error(status, code), to=deletes)

        assert not store.delete_seen(seen(store))

    def test_what_was_to_be_written_over_and_is_gone_is_a_taken_key(
        self, store: S3Objects, sky: Weather
    ) -> None:
        sky.brings(weather.an_error(404, "NoSuchKey"), to=weather.puts)

        with pytest.raises(KeyTaken):
            store.put(KEY, b"x", content_type="text/plain", upload_id="u", over="0")

    @pytest.mark.parametrize(
        ("write", "chosen"), [(put_over, weather.puts), (complete_over, weather.completes)]
    )
    def test_who_loses_a_lease_between_two_attempts_makes_no_second(
        self, sky: Weather, write: Over, chosen: weather.Choice
    ) -> None:
        store = S3Objects(sky.place)  # as a worker has it
        before = put(store, KEY, b"the first")
        asks: list[int] = []

        def check() -> None:
            asks.append(sum(chosen(call) for call, _ in sky.calls))
            if asks[-1] > asks[0]:
                raise LeaseLost("Somebody else holds this job.")

        sky.brings(weather.an_error(503, "SlowDown"), to=chosen)
        with pytest.raises(LeaseLost), asked(check):
            write(store, b"the second", before)

        assert asks[-1] == asks[0] + 1
        assert content(store) == b"the first"

    def test_a_flipped_bit_in_one_of_two_attempts_is_made_good(
        self, store: S3Objects, sky: Weather
    ) -> None:
        multipart_id = begin(store)
        sky.brings(weather.a_bit_flips, to=weather.parts)
        body = BytesIO(b"hello")
        with pytest.raises(Unavailable):
            store.put_part(KEY, multipart_id, 1, 0, body)

        part = store.put_part(KEY, multipart_id, 1, 0, body)
        store.complete_multipart(KEY, multipart_id, [part])

        assert content(store) == b"hello"

    @pytest.mark.parametrize(
        ("fault", "code"),
        [
            (weather.an_error(503, "SlowDown"), "objects_unavailable"),
            (weather.an_error(500, "InternalError"), "objects_unavailable"),
            (weather.an_error(403, "AccessDenied"), "objects_denied"),
            (weather.an_error(403, "InvalidAccessKeyId"), "objects_denied"),
            (weather.nothing_is_done, "objects_unavailable"),
        ],
        ids=["503", "500", "403", "no such key", "reset"],
    )
    def test_every_verb_of_a_store_that_fails_is_unavailable(
        self, store: S3Objects, sky: Weather, fault: weather.Fault, code: str
    ) -> None:
        multipart_id = begin(store)
        part = Part(1, 0, 1, "0" * 32, 0)
        impatient_store = impatient(sky.place, attempts=1)
        sky.brings(fault, times=None)

        for verb in verbs(impatient_store, multipart_id, part):
            with pytest.raises(Unavailable) as refusal:
                verb()
            assert (refusal.value.code, refusal.value.retryable) == (code, True)

    def test_a_store_that_nobody_has_credentials_for_is_denied(
        self, bucket: S3Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        nobodys = S3Objects(weather.elsewhere(bucket, access_key_id=None, secret_access_key=None))

        with pytest.raises(AccessDenied):
            nobodys.check()

    def test_a_store_that_hangs_is_unavailable_within_the_time_outs(self, sky: Weather) -> None:
        hurried = impatient(sky.place, attempts=2, seconds=0.2)
        sky.brings(weather.it_hangs, times=None)
        began = SystemClock().now()

        with pytest.raises(Unavailable):
            hurried.find(KEY)

        assert SystemClock().now() - began < timedelta(seconds=2)

    def test_a_store_that_is_gone_is_unavailable(self, bucket: S3Place) -> None:
        with weather_before(bucket) as proxy:
            place = proxy.place

        with pytest.raises(Unavailable):
            impatient(place).check()

    def test_a_storm_that_ends_in_time_is_weathered(self, sky: Weather) -> None:
        sky.brings(weather.an_error(503, "SlowDown"), times=1)

        put(impatient(sky.place), KEY, b"x")

        assert [status for _, status in sky.calls] == [503, 200]

    def test_an_answer_that_is_cut_short_is_unavailable_and_not_a_short_object(
        self, store: S3Objects, sky: Weather
    ) -> None:
        put(store, KEY, b"0123456789")
        sky.brings(weather.cut_short, to=weather.reads, times=None)

        with pytest.raises(Unavailable):
            list(store.read(KEY, 0, 10))

    def test_the_etag_is_the_one_the_store_said(self, store: S3Objects, sky: Weather) -> None:
        sky.brings(weather.another_etag, to=weather.puts)

        assert put(store, KEY, b"x") == "0"
        assert etag_of(store, KEY) == md5(b"x", usedforsecurity=False).hexdigest()

    def test_an_error_inside_an_answer_of_200_is_no_success(
        self, store: S3Objects, sky: Weather
    ) -> None:
        multipart_id = begin(store)
        part = store.put_part(KEY, multipart_id, 1, 0, BytesIO(b"x"))
        sky.brings(weather.an_error(200, "InternalError"), to=weather.completes, times=None)

        with pytest.raises(Unavailable):
            store.complete_multipart(KEY, multipart_id, [part])

    def test_what_a_worker_gives_a_store_is_bounded(self, bucket: S3Place) -> None:
        config: Any = S3Objects(bucket)._client.meta.config

        assert (config.connect_timeout, config.read_timeout) == (3, 15)
        assert config.retries["total_max_attempts"] == 4
        assert config.signature_version == "s3v4"


def is_copied(call: weather.Call, key: str) -> bool:
    """Pick the request that makes the copy: the only one, or the completion of its parts."""
    return key in call.path and (weather.copies(call) or weather.completes(call))


def copies_bytes(call: weather.Call) -> bool:
    return any(name.lower() == "x-amz-copy-source" for name in call.headers)


def deletes(call: weather.Call) -> bool:
    return call.method == "DELETE"


def stored(key: str) -> StoredObject:
    return StoredObject(key, 1, "0", "text/plain", SystemClock().now(), {})


def verbs(store: S3Objects, multipart_id: str, part: Part) -> Sequence[Callable[[], object]]:
    return (
        lambda: put(store, KEY, b"x"),
        lambda: begin(store),
        lambda: store.put_part(KEY, multipart_id, 1, 0, BytesIO(b"x")),
        lambda: store.complete_multipart(KEY, multipart_id, [part]),
        lambda: store.abort_multipart(KEY, multipart_id),
        lambda: store.copy(KEY, "copy", etag="0", size=1, content_type="a/b", upload_id="u"),
        lambda: store.find(KEY),
        lambda: list(store.read(KEY, 0, 1)),
        lambda: store.delete([KEY]),
        lambda: store.delete_seen(stored(KEY)),
        lambda: list(store.listing()),
        lambda: list(store.open_multiparts()),
        store.check,
    )
