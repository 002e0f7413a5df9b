"""The store for those whom somebody waits for: it is left alone while it does not answer."""

import time
from collections.abc import Iterator

import pytest

from shared.adapters.client_s3 import S3Place
from shared.adapters.objects_s3_hurried import HurriedS3Objects
from shared.errors import KeyTaken, NotFound, Unavailable
from tests.support import weather
from tests.support.objects import KEY, content, put
from tests.support.waiting import eventually
from tests.support.weather import Weather, weather_before


@pytest.fixture
def sky(a_bucket: S3Place) -> Iterator[Weather]:
    with weather_before(a_bucket) as proxy:
        yield proxy


def test_a_store_that_hangs_costs_one_caller_seconds_and_the_others_nothing(sky: Weather) -> None:
    store = HurriedS3Objects(sky.place)
    put(store, KEY, b"hello")
    sky.brings(weather.it_hangs, times=None)

    first = seconds_until_refused(store)
    others = [seconds_until_refused(store) for _ in range(20)]
    sky.clears()

    assert first < 14
    assert max(others) < 0.1
    assert eventually(lambda: answers(store), 20)
    assert content(store) == b"hello"
    store.delete([KEY])


def test_what_it_answers_is_no_silence(sky: Weather) -> None:
    store = HurriedS3Objects(sky.place)
    put(store, KEY, b"hello")

    with pytest.raises(KeyTaken):
        put(store, KEY, b"other")
    with pytest.raises(NotFound):
        list(store.read("nothing", 0, 1))
    sky.brings(weather.an_error(403, "AccessDenied"))
    with pytest.raises(Unavailable):
        store.find(KEY)

    assert content(store) == b"hello"
    store.delete([KEY])


def seconds_until_refused(store: HurriedS3Objects) -> float:
    began = time.monotonic()
    with pytest.raises(Unavailable):
        store.find(KEY)
    return time.monotonic() - began


def answers(store: HurriedS3Objects) -> bool:
    try:
        return store.find(KEY) is not None
    except Unavailable:
        return False
