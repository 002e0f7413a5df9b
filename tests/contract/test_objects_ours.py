"""Which object is ours: by its upload, its length and its checksum, on each store."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from shared.adapters.client_s3 import S3Place
from shared.adapters.objects_disk import DiskObjects
from shared.adapters.objects_s3 import S3Objects
from shared.errors import Conflict, KeyTaken, Unavailable
from shared.model.stored import Part
from shared.ports import ObjectStore
from tests.support import weather
from tests.support.objects import FIVE, KEY, begin, etag_of, put
from tests.support.weather import Weather, impatient, weather_before


@pytest.fixture(params=["disk", "seaweedfs"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "disk":
        return on_disk(tmp_path)
    return S3Objects(request.getfixturevalue("a_bucket"))


@pytest.fixture
def sky(a_bucket: S3Place) -> Iterator[Weather]:
    with weather_before(a_bucket) as proxy:
        yield proxy


def test_what_was_put_is_held(store: ObjectStore) -> None:
    etag = put(store, KEY, b"hello")

    assert store.holds(KEY, "u", b"hello") == etag
    assert etag_of(store, KEY) == etag


@pytest.mark.parametrize(
    ("upload_id", "body"), [("two", b"hello"), ("u", b"hellO"), ("u", b"hello ")]
)
def test_another_uploads_or_other_bytes_are_not(
    store: ObjectStore, upload_id: str, body: bytes
) -> None:
    put(store, KEY, b"hello")

    assert store.holds(KEY, upload_id, body) is None
    assert store.holds("elsewhere", "u", b"hello") is None


def test_what_was_made_of_parts_is_held_by_them(store: ObjectStore) -> None:
    parts, etag = made_of_parts(store, KEY, b"a")
    others, _ = made_of_parts(store, "other", b"c")

    assert store.holds(KEY, "u", parts) == etag == etag_of(store, KEY)
    assert store.holds(KEY, "u", others) is None
    assert store.holds(KEY, "u", parts[:1]) is None


def test_an_etag_that_is_no_md5_does_not_matter_where_the_checksum_is_known(sky: Weather) -> None:
    store = S3Objects(sky.place)
    put(store, KEY, b"hello")
    sky.brings(weather.another_etag, times=None)

    assert store.holds(KEY, "u", b"hello") == "0"
    assert store.holds(KEY, "u", b"hellO") is None


@pytest.mark.parametrize("code", ["ConditionalRequestConflict", "OperationAborted"])
def test_a_conflict_that_passes_is_an_outage_and_no_taken_key(sky: Weather, code: str) -> None:
    store = impatient(sky.place, attempts=1)
    sky.brings(weather.an_error(409, code), to=weather.puts)

    with pytest.raises(Unavailable):
        put(store, KEY, b"hello")

    put(store, KEY, b"hello")
    with pytest.raises(KeyTaken):
        put(store, KEY, b"hello")


@pytest.mark.parametrize("key", [f"{KEY}/below", "2026/11"])
def test_a_key_below_or_above_an_object_ends_in_a_folder_and_does_not_wait(
    tmp_path: Path, key: str
) -> None:
    store = on_disk(tmp_path)
    put(store, KEY, b"hello")

    with pytest.raises(Conflict):
        put(store, key, b"other")

    assert store.find(f"{KEY}/below") is None
    assert [each.key for each in store.listing()] == [KEY]
    assert list(store.open_multiparts()) == []


def on_disk(folder: Path) -> DiskObjects:
    return DiskObjects(folder / "objects", base_url="http://sluice", secret="s" * 32)


def made_of_parts(store: ObjectStore, key: str, letter: bytes) -> tuple[list[Part], str]:
    multipart_id = begin(store, key)
    parts = [
        store.put_part(key, multipart_id, 1, 0, BytesIO(letter * FIVE)),
        store.put_part(key, multipart_id, 2, FIVE, BytesIO(b"b")),
    ]
    return parts, store.complete_multipart(key, multipart_id, parts)
