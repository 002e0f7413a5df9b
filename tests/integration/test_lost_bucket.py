"""A bucket that is gone, or a disk that is not mounted, is an outage: nothing in it counts as missing."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from shared.adapters.client_s3 import S3Place
from shared.adapters.objects_disk_marked import MarkedDiskObjects
from shared.adapters.objects_s3 import S3Objects
from shared.adapters.records_sql import SqlRecords
from shared.adapters.staging_mark import NAME, StagingMark
from shared.errors import Unavailable
from shared.model.lifecycle import UploadState
from shared.services.forgetting import forget
from shared.services.identity import StagingIdentity
from tests.integration.test_direct import opened, state
from tests.support.factory import Factory, a_factory
from tests.support.objects import KEY, put
from tests.support.weather import Call, Weather, an_error

HOUR = timedelta(hours=1)
LOST = an_error(404, "NoSuchBucket")


@pytest.fixture
def records(database_url: str) -> Iterator[SqlRecords]:
    made = SqlRecords(database_url)
    yield made
    made.close()


def test_nothing_is_found_missing_in_a_bucket_that_is_not_there(a_bucket: S3Place) -> None:
    nowhere = S3Objects(replace(a_bucket, bucket="not-there"))

    with pytest.raises(Unavailable) as outage:
        nowhere.find(KEY)

    assert outage.value.code == "objects_unavailable"
    assert S3Objects(a_bucket).find(KEY) is None


def test_a_store_that_says_nothing_of_its_bucket_is_believed(far: Factory, sky: Weather) -> None:
    sky.brings(an_error(403, "AccessDenied"), to=asks_for_the_bucket, times=None)

    assert far.objects.find(KEY) is None


def test_of_many_that_are_missing_the_bucket_is_asked_for_once(far: Factory, sky: Weather) -> None:
    for number in range(9):
        assert far.objects.find(f"{KEY}{number}") is None

    assert sum(asks_for_the_bucket(call) for call, _ in sky.calls) == 1


def test_rows_of_what_is_to_be_deleted_stay_until_the_bucket_is_back(
    far: Factory, sky: Weather
) -> None:
    job = far.run(far.received(b"hello"))
    file = far.file(job)
    assert file is not None
    with far.records.begin() as rows:
        forget(rows, [file])
    far.shift("objects", "updated_at", -HOUR / 2, upload_id=file.id)

    sky.brings(LOST, times=None)
    lost = far.services.sweeps.run("deletions")
    rows_meanwhile = far.query("SELECT state FROM objects")
    sky.clears()
    far.shift("objects", "updated_at", -HOUR / 2, upload_id=file.id)
    back = far.services.sweeps.run("deletions")

    assert (lost["removed"], lost["failed"]) == (0, 1)
    assert [row["state"] for row in rows_meanwhile] == ["deleting"]
    assert (back["removed"], far.keys()) == (1, set())


def test_uploads_straight_to_the_store_do_not_end_for_it(far: Factory, sky: Weather) -> None:
    upload = opened(far)
    far.shift("uploads", "expires_at", -3 * HOUR, id=upload.id)

    sky.brings(LOST, times=None)
    far.services.sweeps.run("expired-uploads")

    assert state(far, upload) is UploadState.RECEIVING


def test_an_audit_of_a_lost_bucket_finds_an_outage_and_no_damage(
    far: Factory, sky: Weather
) -> None:
    far.run(far.received(b"hello"))

    sky.brings(LOST, times=None)
    result = far.services.sweeps.run("audit")

    assert result["error"]["code"] == "objects_unavailable"
    assert result["findings"] == {}


def test_nothing_is_found_missing_on_a_disk_that_is_not_mounted(
    records: SqlRecords, tmp_path: Path
) -> None:
    store = on_a_disk(records, tmp_path)
    put(store, KEY, b"hello")
    nothing = store.find("nothing")
    (tmp_path / "volume").rename(tmp_path / "unplugged")

    away = on_a_disk(records, tmp_path)
    for broken in (store, away):
        with pytest.raises(Unavailable) as outage:
            broken.find(KEY)
        assert outage.value.code == "objects_unavailable"
        with pytest.raises(Unavailable):
            broken.check()

    shutil.rmtree(tmp_path / "volume")
    (tmp_path / "unplugged").rename(tmp_path / "volume")
    assert (nothing, (tmp_path / "volume" / NAME).exists()) == (None, True)
    assert store.find(KEY) is not None
    assert store.find("nothing") is None


def test_an_older_database_is_not_looked_for_on_a_disk_that_is_not_mounted(
    database_url: str, records: SqlRecords, tmp_path: Path
) -> None:
    store = on_a_disk(records, tmp_path)
    with a_factory(tmp_path, database_url, objects=store) as factory:
        factory.services.sweeps.run("high-water")
        factory.received(b"new")
        (tmp_path / "volume").rename(tmp_path / "unplugged")

        result = factory.services.sweeps.run("high-water")

        assert result["error"]["code"] == "objects_unavailable"
        assert not (tmp_path / "volume").exists()


def on_a_disk(records: SqlRecords, folder: Path) -> MarkedDiskObjects:
    root = folder / "volume"
    mark = StagingMark(root, StagingIdentity(records).settle)
    secret = "s" * 32
    return MarkedDiskObjects(root / "objects", base_url="http://x", secret=secret, mark=mark)


def asks_for_the_bucket(call: Call) -> bool:
    return call.method == "HEAD" and call.path.strip("/").count("/") == 0
