"""A database that was restored from before what lies in the bucket: nothing is removed for that."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from shared.adapters.objects_s3 import S3Objects
from shared.errors import Conflict
from shared.model.naming import high_water
from shared.ports import ObjectStore
from shared.services.auditing.findings import Kind
from tests.support import servers, weather
from tests.support.ages import grow_old
from tests.support.factory import Factory, a_factory
from tests.support.grounds import DAY, Grounds
from tests.support.weather import impatient, weather_before

MARK = high_water(".staging/")
REMOVERS = ("object-orphans", "staging-orphans", "multiparts")


@pytest.fixture
def url(tmp_path: Path) -> str:
    made = f"sqlite:///{tmp_path / 'sluice.db'}"
    servers.make_tables(made)
    return made


@pytest.fixture(params=["disk", "s3"])
def store(request: pytest.FixtureRequest) -> ObjectStore | None:
    if request.param == "disk":
        return None
    return S3Objects(request.getfixturevalue("a_bucket"))


def test_what_came_after_the_dump_is_not_removed(
    url: str, tmp_path: Path, store: ObjectStore | None, caplog: pytest.LogCaptureFixture
) -> None:
    with a_factory(tmp_path, url, objects=store) as factory:
        kept = after_a_restore(factory, tmp_path)
    with a_factory(tmp_path, url, objects=store) as factory:
        grow_old(tmp_path, 3 * DAY)
        results = [swept(factory, name) for name in ("high-water", *REMOVERS * 3)]

        assert stored(factory) == kept
        assert [each["removed"] for each in results] == [0] * len(results)
        assert all("older" in each["alarm"] for each in results)
        assert caplog.messages.count("database_is_older") == len(results)


def test_new_uploads_after_the_restore_do_not_hide_that_others_are_missing(
    url: str, tmp_path: Path
) -> None:
    with a_factory(tmp_path, url) as factory:
        after_a_restore(factory, tmp_path)
    with a_factory(tmp_path, url) as factory:
        for number in range(9):
            factory.run(factory.received(b"since", f"since{number}.txt"))
        kept = stored(factory)
        grow_old(tmp_path, 3 * DAY)

        results = [swept(factory, name) for name in ("high-water", *REMOVERS) * 2]

        assert stored(factory) == kept
        assert all("alarm" in each for each in results)


def test_the_auditor_lists_what_has_no_row_with_key_and_size(url: str, tmp_path: Path) -> None:
    with a_factory(tmp_path, url) as factory:
        after_a_restore(factory, tmp_path)
    with a_factory(tmp_path, url) as factory:
        result = Grounds(factory).run("audit")

        unknown = [each for each in result["report"] if each["kind"] == Kind.OBJECT_UNKNOWN]
        assert len(unknown) == 5
        assert all(each["detail"].endswith("of 10 bytes has no row") for each in unknown)


def test_once_it_is_settled_what_has_no_row_goes_after_another_grace(
    url: str, tmp_path: Path, store: ObjectStore | None
) -> None:
    with a_factory(tmp_path, url, objects=store) as factory:
        factory.objects.put(
            "2020/lost.txt", b"x", content_type="a/b", upload_id=factory.received(b"x").upload_id
        )
        swept(factory, "object-orphans")  # a sighting from before the dump
        kept = after_a_restore(factory, tmp_path)
    with a_factory(tmp_path, url, objects=store) as factory:
        grow_old(tmp_path, 3 * DAY)
        factory.services.sweeps.settle_older_database()

        first = swept(factory, "object-orphans")
        untouched = stored(factory) == kept
        second = swept(factory, "object-orphans")
        after = swept(factory, "high-water")

        assert (first["removed"], untouched) == (0, True)
        assert "alarm" not in first | after
        assert second["removed"] == 5
        with pytest.raises(Conflict):
            factory.services.sweeps.settle_older_database()


def test_parts_that_were_seen_before_the_dump_are_seen_anew_after_it_is_settled(
    url: str, tmp_path: Path
) -> None:
    with a_factory(tmp_path, url) as factory:
        lost = f".staging/direct/{uuid7()}"
        factory.objects.begin_multipart(lost, content_type="a/b", upload_id="")
        swept(factory, "multiparts")  # a sighting from before the dump
        after_a_restore(factory, tmp_path)
    with a_factory(tmp_path, url) as factory:
        grow_old(tmp_path, 3 * DAY)
        factory.services.sweeps.settle_older_database()

        results = [swept(factory, "multiparts")["removed"] for _ in range(2)]

        assert results == [0, 2]


def test_the_bucket_of_another_database_is_left_alone(url: str, tmp_path: Path) -> None:
    with a_factory(tmp_path, url) as factory:
        factory.run(factory.received(b"theirs"))
        swept(factory, "high-water")
        kept = stored(factory)
    other = f"sqlite:///{tmp_path / 'other.db'}"
    servers.make_tables(other)
    with a_factory(tmp_path, other) as factory:
        before = swept(factory, "high-water")
        for number in range(9):
            factory.run(factory.received(b"ours", f"ours{number}.txt"))
            swept(factory, "high-water")
        grow_old(tmp_path, 3 * DAY)
        results = [swept(factory, name) for name in REMOVERS * 3]

        assert all("alarm" in each for each in [before, *results])
        assert kept["objects"].items() <= stored(factory)["objects"].items()


def test_a_service_with_another_prefix_has_a_mark_of_its_own(url: str, tmp_path: Path) -> None:
    with a_factory(tmp_path, url) as factory:
        factory.run(factory.received(b"theirs"))
        swept(factory, "high-water")
    other = f"sqlite:///{tmp_path / 'other.db'}"
    servers.make_tables(other)
    with a_factory(tmp_path, other) as factory:
        sweeps = factory.services.sweeps
        rules = replace(sweeps.sweeper.rules, high_water=high_water(".elsewhere/"))
        sweeps = replace(sweeps, sweeper=replace(sweeps.sweeper, rules=rules))
        factory.run(factory.received(b"ours", "ours.txt"))

        results = [sweeps.run(name) for name in ("high-water", *REMOVERS)]

        assert not any("alarm" in each for each in results)


def test_the_mark_is_written_when_there_is_something_new_and_else_left(
    url: str, tmp_path: Path, store: ObjectStore | None
) -> None:
    with a_factory(tmp_path, url, objects=store) as factory:
        marks = [mark_after(factory)]
        factory.received(b"new")
        marks += [mark_after(factory), mark_after(factory)]
        factory.objects.delete([MARK])
        marks += [mark_after(factory)]

        numbers = [int(said.split()[1]) for said in marks]
        assert numbers == [1, 2, 2, 2]
        assert len({said.split()[0] for said in marks}) == 1
        assert factory.keys() == set()


def test_a_dry_run_says_that_it_is_older_and_writes_nothing(url: str, tmp_path: Path) -> None:
    with a_factory(tmp_path, url) as factory:
        new = factory.services.sweeps.run("high-water", dry_run=True)
        nothing = factory.objects.find(MARK)
        after_a_restore(factory, tmp_path)
    with a_factory(tmp_path, url) as factory:
        older = factory.services.sweeps.run("high-water", dry_run=True)

        assert (nothing, "alarm" in new, "alarm" in older) == (None, False, True)


def test_a_mark_that_was_lost_on_its_way_is_written_by_the_next_run(
    url: str, tmp_path: Path, a_bucket: Any
) -> None:
    with (
        weather_before(a_bucket) as sky,
        a_factory(tmp_path, url, objects=impatient(sky.place)) as factory,
    ):
        swept(factory, "high-water")
        factory.received(b"new")
        sky.brings(weather.nothing_is_done, to=weather.puts, times=None)
        lost = swept(factory, "high-water")
        sky.clears()
        removers = [swept(factory, name) for name in REMOVERS]
        again = swept(factory, "high-water")

        assert lost["error"]["code"] == "objects_unavailable"
        assert not any("alarm" in each for each in [*removers, again])
        assert mark_after(factory).split()[1] == "2"


def test_while_nobody_can_say_how_old_it_is_nothing_is_removed(
    url: str, tmp_path: Path, a_bucket: Any
) -> None:
    with (
        weather_before(a_bucket) as sky,
        a_factory(tmp_path, url, objects=impatient(sky.place)) as factory,
    ):
        factory.objects.put(
            "lost.txt", b"x", content_type="a/b", upload_id=factory.received(b"x").upload_id
        )
        swept(factory, "object-orphans")
        sky.brings(weather.an_error(503, "SlowDown"), to=lambda call: MARK in call.path, times=None)

        results = [swept(factory, name) for name in REMOVERS]

        assert {each["error"]["code"] for each in results} == {"objects_unavailable"}
        assert factory.keys() == {"lost.txt"}


def after_a_restore(factory: Factory, folder: Path) -> Mapping[str, Any]:
    """Dump, let five files and a few halves come, and go back to the dump; return what is stored."""
    factory.run(factory.received(b"old file"))
    swept(factory, "high-water")
    with closing(sqlite3.connect(folder / "sluice.db")) as source:
        with closing(sqlite3.connect(folder / "dump.db")) as dump:
            source.backup(dump)
        for number in range(5):
            factory.run(factory.received(b"new file %d" % number, f"new{number}.txt"))
        factory.received(b"not done yet")
        direct = f".staging/direct/{factory.received(b'x').upload_id}"
        factory.objects.begin_multipart(direct, content_type="a/b", upload_id="")
        swept(factory, "high-water")
        kept = stored(factory)
    factory.records.close()
    for name in ("sluice.db-wal", "sluice.db-shm"):
        (folder / name).unlink(missing_ok=True)
    (folder / "dump.db").rename(folder / "sluice.db")
    return kept


def swept(factory: Factory, name: str) -> dict[str, Any]:
    return factory.services.sweeps.run(name)


def stored(factory: Factory) -> Mapping[str, Any]:
    return Grounds(factory).stored()


def mark_after(factory: Factory) -> str:
    swept(factory, "high-water")
    return b"".join(factory.objects.read(MARK, 0, 200)).decode()
