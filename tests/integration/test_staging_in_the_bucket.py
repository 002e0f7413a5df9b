"""Chunks in the bucket, seen from the worker, the sweeps and the auditor; and whose bucket it is."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from uuid_utils.compat import uuid7

from shared.adapters import staging_s3_mark
from shared.adapters.client_s3 import S3Place
from shared.adapters.objects_s3 import S3Objects
from shared.adapters.records_sql import SqlRecords
from shared.adapters.staging_disk import DiskStaging
from shared.adapters.staging_mark import NAME
from shared.adapters.staging_s3 import S3Staging
from shared.errors import Damaged, Unavailable
from shared.model.lifecycle import JobState
from shared.model.upload import NewUpload
from shared.services.identity import StagingIdentity
from tests.integration.test_direct_strays import swept_later
from tests.integration.test_staging_mark import ONE, content, kept
from tests.support import weather
from tests.support.factory import UPLOADS, Factory, a_factory
from tests.support.races import at_once
from tests.support.servers import make_tables
from tests.support.waiting import eventually
from tests.support.weather import impatient, weather_before
from tests.support.workshop import ALICE, Bytes

MIB: Final = 1024**2
ROOT: Final = ".staging/chunks/"
MARK: Final = ROOT + NAME
TEXT: Final = b"The quick brown fox jumps over the lazy dog.\n" * 100


@pytest.fixture
def store(a_bucket: S3Place) -> Iterator[S3Objects]:
    made = S3Objects(a_bucket)
    yield made
    made.delete([each.key for each in made.listing()])


@pytest.fixture
def records(sqlite_url: str) -> Iterator[SqlRecords]:
    made = SqlRecords(sqlite_url)
    yield made
    made.close()


@pytest.fixture
def factory(
    tmp_path: Path, sqlite_url: str, store: S3Objects, records: SqlRecords
) -> Iterator[Factory]:
    with a_factory(tmp_path, sqlite_url, objects=store, staging=a_staging(records, store)) as made:
        yield made


def a_staging(records: SqlRecords, store: S3Objects, prefix: str = ".staging/") -> S3Staging:
    return S3Staging(store, prefix, settle=StagingIdentity(records).settle)


def staged(store: S3Objects) -> list[str]:
    return [each.key for each in store.waiting(ROOT) if each.key != MARK]


def lost(factory: Factory) -> str:
    """Leave bytes that no row knows; return their upload's id."""
    owner = str(uuid7())
    writer = factory.staging.writer(owner, 0, 0, None)
    writer.write(b"lost")
    writer.keep()
    return owner


def test_a_file_is_made_of_chunks_in_the_bucket_and_they_go(
    factory: Factory, store: S3Objects
) -> None:
    body = TEXT * 4000
    job = factory.received(body, cut=len(body) // 2 + 1)
    waiting = staged(store)

    ended = factory.run(job)

    assert len(waiting) == 4  # two of more than 8 MiB
    assert ended.state is JobState.SUCCEEDED
    assert factory.content(factory.upload(job).key) == body
    assert staged(store) == []
    assert factory.staged() == []


def test_what_the_store_has_lost_fails_the_job_and_says_why(
    factory: Factory, store: S3Objects
) -> None:
    job = factory.received(TEXT)
    store.delete(staged(store))

    ended = factory.run(job)

    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error["code"] == "storage_corrupt"


def test_the_first_process_ever_marks_the_prefix_and_the_next_ones_know_it(
    records: SqlRecords, store: S3Objects
) -> None:
    stagings = [a_staging(records, store) for _ in range(6)]

    at_once(staging.free_bytes for staging in stagings)
    chunk = kept(stagings[0])

    assert all(content(staging, chunk) == b"content" for staging in stagings)
    assert [each.name for each in stagings[1].listing()] == [chunk.name]


def test_another_prefix_is_an_outage_and_no_damage(
    records: SqlRecords, store: S3Objects, caplog: pytest.LogCaptureFixture
) -> None:
    chunk = kept(a_staging(records, store))
    elsewhere = a_staging(records, store, "other/")

    with caplog.at_level(logging.INFO):
        for ask in (
            elsewhere.free_bytes,
            lambda: elsewhere.writer(ONE, 0, 0, None),
            lambda: content(elsewhere, chunk),
            lambda: elsewhere.sizes(ONE),
            lambda: list(elsewhere.listing()),
        ):
            with pytest.raises(Unavailable) as outage:
                ask()
            assert outage.value.code == "staging_unavailable"

    assert [each.message for each in caplog.records].count("staging_not_ours") == 1
    assert [each.key for each in store.waiting("other/")] == []


def test_a_host_with_staging_on_a_disk_does_not_take_what_is_in_the_bucket_for_lost(
    records: SqlRecords, store: S3Objects, tmp_path: Path
) -> None:
    chunk = kept(a_staging(records, store))
    disk = DiskStaging(tmp_path / "staging", settle=StagingIdentity(records).settle)

    with pytest.raises(Unavailable):
        content(disk, chunk)
    with pytest.raises(Unavailable):
        disk.writer(ONE, 0, 0, None)


def test_a_mark_that_comes_back_is_enough(records: SqlRecords, store: S3Objects) -> None:
    staging = a_staging(records, store)
    chunk = kept(staging)
    said = b"".join(store.read(MARK, 0, 100))
    store.delete([MARK])
    with pytest.raises(Unavailable):
        staging.free_bytes()

    store.put(MARK, said, content_type="text/plain", upload_id="staging")

    assert content(staging, chunk) == b"content"
    assert kept(staging).name != chunk.name


def test_a_mark_that_is_old_is_written_again_so_that_no_rule_expires_it(
    records: SqlRecords, store: S3Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = a_staging(records, store)
    chunk = kept(staging)
    said, young = b"".join(store.read(MARK, 0, 100)), written_at(store)
    wait_a_second(store)
    list(staging.listing())
    untouched = written_at(store)
    monkeypatch.setattr(staging_s3_mark, "_OLD", timedelta(0))

    names = [each.name for each in staging.listing()]

    assert untouched == young
    assert written_at(store) > young
    assert b"".join(store.read(MARK, 0, 100)) == said
    assert names == [chunk.name]
    assert a_staging(records, store).free_bytes() > 0


def test_an_old_mark_that_can_not_be_written_again_hides_no_chunk(
    records: SqlRecords, store: S3Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    with weather_before(store.place) as sky:
        staging = a_staging(records, impatient(sky.place))
        chunk = kept(staging)
        monkeypatch.setattr(staging_s3_mark, "_OLD", timedelta(0))
        sky.brings(weather.an_error(503, "SlowDown"), to=weather.puts, times=None)

        assert [each.name for each in staging.listing()] == [chunk.name]


def test_a_missing_chunk_of_our_own_prefix_is_damage(records: SqlRecords, store: S3Objects) -> None:
    staging = a_staging(records, store)
    chunk = kept(staging)
    staging.discard(ONE, [chunk.name])

    with pytest.raises(Damaged):
        content(staging, chunk)
    assert staging.sizes(ONE) == {}


def test_chunks_without_a_row_are_swept_at_their_second_sighting_and_others_stay(
    factory: Factory, store: S3Objects
) -> None:
    factory.received(TEXT)
    owner = lost(factory)

    results = [swept_later(factory, "staging-orphans", timedelta(days=2)) for _ in range(2)]

    assert [each["removed"] for each in results] == [0, 1]
    assert len(staged(store)) == 1
    assert owner not in staged(store)[0]


@pytest.mark.parametrize("name", ["object-orphans", "multiparts", "direct-leftovers"])
def test_no_other_sweep_takes_a_chunk_or_the_mark_for_its_own(
    factory: Factory, store: S3Objects, name: str
) -> None:
    factory.received(TEXT)
    lost(factory)
    before = [each.key for each in store.listing()]

    results = [swept_later(factory, name, timedelta(days=20)) for _ in range(3)]

    assert [each["removed"] for each in results] == [0, 0, 0]
    assert [each.get("foreign", 0) for each in results] == [0, 0, 0]
    assert [each.key for each in store.listing()] == before


def test_what_is_beside_in_the_bucket_stays_and_another_prefix_is_another_service(
    factory: Factory, store: S3Objects, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'other.db'}"
    make_tables(url)
    theirs = {"photo.jpg": "", "a/.staging/chunks/b": "x", "chunks/c": "staging", "other/d": "e"}
    for key, upload_id in theirs.items():
        store.put(key, b"theirs", content_type="text/plain", upload_id=upload_id)
    strange = store.begin_multipart("other/e", content_type="text/plain", upload_id="f")
    settle = StagingIdentity(other_records := SqlRecords(url)).settle
    staging = S3Staging(store, "other/", settle=settle)
    rules = replace(UPLOADS, staging_prefix="other/")
    with a_factory(tmp_path, url, objects=store, staging=staging, uploads=rules) as other:
        mine, its = factory.received(TEXT * 4000, cut=6 * MIB), other.received(TEXT * 4000)
        before = {each.key for each in store.listing()}

        swept = [
            swept_later(factory, name, timedelta(days=20))
            for name in ("staging-orphans", "object-orphans", "multiparts", "direct-leftovers")
            for _ in range(2)
        ]

        assert [each["removed"] for each in swept] == [0] * 8
        assert {each.key for each in store.listing()} == before
        for made, job in ((factory, mine), (other, its)):
            assert made.run(job).state is JobState.SUCCEEDED
            assert made.content(made.upload(job).key) == TEXT * 4000
        assert {each.key for each in store.waiting("other/")} == {
            *("other/d", f"other/chunks/{NAME}"),
        }
        assert theirs.keys() <= {each.key for each in store.listing()}
    assert [each.multipart_id for each in store.open_multiparts()] == [strange]
    store.abort_multipart("other/e", strange)
    other_records.close()


def test_adoption_looks_only_where_clients_send_to(factory: Factory, store: S3Objects) -> None:
    factory.received(TEXT)
    before = staged(store)

    assert factory.services.adoption.round() == 0
    assert staged(store) == before


def test_the_auditor_tells_chunks_from_strangers_and_from_orphans(
    factory: Factory, store: S3Objects
) -> None:
    factory.received(TEXT)

    well = audited(factory)
    owner = lost(factory)
    found = audited(factory)
    kept_ones = [key for key in staged(store) if owner not in key]
    store.delete(kept_ones)
    missed = audited(factory)

    assert (well["findings"], well["foreign"]) == ({}, 0)
    assert found["findings"] == {"staged_unknown": 1}
    assert missed["findings"] == {"staged_unknown": 1, "chunk_missing": 1}


def test_a_cancel_takes_what_came_and_what_is_on_its_way_is_not_kept(
    factory: Factory, store: S3Objects
) -> None:
    services = factory.services
    upload = services.uploads.open(ALICE, NewUpload("a.txt", size=10, chunk_size=5))
    services.chunks.put(ALICE, upload.id, 0, Bytes(b"hello"), None)

    class Cancelling(Bytes):
        def read(self, size: int, /) -> bytes:
            services.uploads.cancel(ALICE, upload.id)
            return super().read(size)

    with pytest.raises(Exception, match="cancelled"):
        services.chunks.put(ALICE, upload.id, 1, Cancelling(b"world"), None)

    assert staged(store) == []


def written_at(store: S3Objects) -> datetime:
    found = store.find(MARK)
    assert found is not None
    return found.modified_at


def wait_a_second(store: S3Objects) -> None:
    """Return when the store has a later second to say."""
    before = written_at(store)

    def is_later() -> bool:
        store.delete(["other"])
        store.put("other", b"", content_type="text/plain", upload_id="x")
        other = store.find("other")
        return other is not None and other.modified_at > before

    assert eventually(is_later)


def audited(factory: Factory) -> dict[str, Any]:
    sweeper = factory.services.sweeps.sweeper
    rules = replace(sweeper.rules, grace=-timedelta(days=1))
    sweeps = replace(factory.services.sweeps, sweeper=replace(sweeper, rules=rules))
    return dict(sweeps.run("audit", dry_run=True))
