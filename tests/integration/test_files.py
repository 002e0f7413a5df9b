"""Files after they were published: found, hidden, removed, and their share of the quota."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from shared.adapters.client_s3 import S3Place
from shared.errors import NotFound, Unprocessable
from shared.model.file import File, FileQuery
from shared.services.files import FileService
from shared.services.forgetting import keys_of
from tests.support import weather
from tests.support.factory import Factory, a_factory
from tests.support.pictures import a_png
from tests.support.races import at_once
from tests.support.weather import impatient, weather_before
from tests.support.workshop import ALICE, BOB

ALL = FileQuery("default", None, limit=100)
HOUR = timedelta(hours=1)


@pytest.fixture
def factory(database_url: str, tmp_path: Path) -> Iterator[Factory]:
    with a_factory(tmp_path, database_url) as made:
        yield made


def test_a_hidden_file_is_gone_from_sight_and_still_counts(factory: Factory) -> None:
    factory.listen()
    file, files = published(factory), factory.services.files

    files.delete(ALICE, file.id, hard=False)

    with pytest.raises(NotFound):
        files.find(ALICE, file.id)
    with pytest.raises(NotFound):
        files.delete(ALICE, file.id, hard=False)
    assert listed(files) == []
    assert (factory.keys(), factory.quota()) == (set(keys_of(file)), (file.size, 0))
    assert factory.events() == ["file.ready", "file.deleted"]


@pytest.mark.parametrize("hidden_before", [True, False])
def test_a_removed_file_leaves_nothing(factory: Factory, hidden_before: bool) -> None:
    factory.listen()
    file, files = published(factory), factory.services.files
    if hidden_before:
        files.delete(ALICE, file.id, hard=False)

    files.delete(ALICE, file.id, hard=True)

    with pytest.raises(NotFound):
        files.delete(ALICE, file.id, hard=True)
    assert (factory.keys(), factory.quota()) == (set(), (0, 0))
    assert factory.query("SELECT * FROM files") == factory.query("SELECT * FROM objects") == []
    assert factory.events() == ["file.ready", "file.deleted"]


def test_of_eight_who_remove_a_file_its_room_comes_back_once(factory: Factory) -> None:
    factory.listen()
    kept, file = published(factory), published(factory)

    def remove(*, hard: bool) -> None:
        with suppress(NotFound):
            factory.services.files.delete(ALICE, file.id, hard=hard)

    works: list[Callable[[], None]] = [partial(remove, hard=number % 2 == 0) for number in range(8)]
    at_once(works)
    with suppress(NotFound):
        factory.services.files.delete(ALICE, file.id, hard=True)

    assert factory.quota() == (kept.size, 0)
    assert factory.keys() == set(keys_of(kept))
    assert factory.events().count("file.deleted") == 1


def test_somebody_elses_file_is_not_there(factory: Factory) -> None:
    file, files = published(factory), factory.services.files

    for attempt in (
        lambda: files.find(BOB, file.id),
        lambda: files.stored(BOB, file.id),
        lambda: files.thumbnail(BOB, file.id, "small"),
        lambda: files.link(BOB, file.id, HOUR, "inline"),
        lambda: files.delete(BOB, file.id, hard=False),
        lambda: files.delete(BOB, file.id, hard=True),
        lambda: files.public(file.id),
        lambda: files.find(ALICE, "not an id"),
    ):
        with pytest.raises(NotFound):
            attempt()

    assert files.page(BOB, ALL, counted=True).total == 0
    assert files.find(ALICE, file.id) == file


def test_pages_go_through_all_files_and_count_them(factory: Factory) -> None:
    made = [published(factory, small=True) for _ in range(5)]
    files = factory.services.files
    for sort in ("created_at", "filename", "size"):
        for descending in (True, False):
            query = replace(ALL, sort=sort, descending=descending, limit=2)
            seen: list[str] = []
            while True:
                page = files.page(ALICE, query, counted=True)
                assert page.total == 5
                seen += [file.id for file in page.files]
                if page.after is None:
                    break
                query = replace(query, after=page.after)

            assert sorted(seen) == sorted(file.id for file in made)


def test_a_file_whose_time_is_over_is_not_shown_to_anybody(factory: Factory) -> None:
    file = published(factory, small=True, is_public=True, expires_in=60)
    files = factory.services.files
    assert files.public(file.id) == file

    factory.shift("files", "expires_at", -HOUR, id=file.id)

    with pytest.raises(NotFound):
        files.find(ALICE, file.id)
    with pytest.raises(NotFound):
        files.public(file.id)
    assert listed(files) == []


@pytest.mark.parametrize("lifetime", [timedelta(), timedelta(days=7, seconds=1)])
def test_a_link_that_would_live_too_short_or_long_is_refused(
    factory: Factory, lifetime: timedelta
) -> None:
    file = published(factory, small=True)

    with pytest.raises(Unprocessable):
        factory.services.files.link(ALICE, file.id, lifetime, "inline")


def test_a_file_that_is_removed_while_the_store_is_away_is_removed_by_the_sweep(
    a_bucket: S3Place, tmp_path: Path, sqlite_url: str
) -> None:
    with (
        weather_before(a_bucket) as sky,
        a_factory(tmp_path, sqlite_url, objects=impatient(sky.place)) as factory,
    ):
        file = published(factory)
        sky.brings(weather.nothing_is_done, times=None)
        factory.services.files.delete(ALICE, file.id, hard=True)
        sky.clears()
        with pytest.raises(NotFound):
            factory.services.files.find(ALICE, file.id)
        assert (factory.quota(), factory.keys()) == ((0, 0), set(keys_of(file)))

        factory.services.sweeps.run("object-orphans")

        assert (factory.keys(), factory.query("SELECT * FROM objects")) == (set(), [])


def published(factory: Factory, *, small: bool = False, **said: object) -> File:
    content, name = (b"hello world", "notes.txt") if small else (a_png(200, 100), "photo.png")
    job = factory.received(content, name, **said)  # type: ignore[arg-type]  # a builder
    factory.run(job)
    file = factory.file(job)
    assert file is not None
    return file


def listed(files: FileService) -> list[File]:
    return files.page(ALICE, ALL, counted=False).files
