"""Copies of files: their bytes, rows, room and events, and what is left when one does not come to be."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.client_s3 import S3Place
from shared.adapters.objects_disk import DiskObjects
from shared.errors import (
    AppError,
    Conflict,
    Forbidden,
    NameTaken,
    NotFound,
    ObjectLost,
    QuotaExceeded,
    Unavailable,
    Unprocessable,
    Unsupported,
)
from shared.model.caller import Caller, Scope
from shared.model.file import File
from shared.model.layout import Layout
from shared.services.copies import CopyService, NewCopy
from shared.services.forgetting import keys_of
from shared.services.sweeping import SweepService
from tests.support import weather
from tests.support.factory import UPLOADS, Factory, a_factory
from tests.support.pictures import a_png
from tests.support.races import at_once
from tests.support.weather import impatient, weather_before
from tests.support.workshop import ALICE, BOB

HOUR = timedelta(hours=1)
AS_IT_IS = NewCopy()
BARE = Layout("{folder}/{name}", "")


@pytest.fixture
def factory(database_url: str, tmp_path: Path) -> Iterator[Factory]:
    with a_factory(tmp_path, database_url) as made:
        yield made


def published(factory: Factory, content: bytes | None = None, **said: Any) -> File:
    name = "photo.png" if content is None else "notes.txt"
    job = factory.received(a_png(200, 100) if content is None else content, name, **said)
    factory.run(job)
    file = factory.file(job)
    assert file is not None
    return file


def test_a_copy_has_the_bytes_and_the_thumbnails_and_keys_of_its_own(factory: Factory) -> None:
    source = published(factory, folder="a", tags=["x"], description="d", metadata={"n": 1})

    copy = factory.services.copies.copy(ALICE, source.id, AS_IT_IS)

    assert factory.content(copy.key) == factory.content(source.key)
    for old, new in zip(source.thumbnails, copy.thumbnails, strict=True):
        assert new == replace(old, key=f"thumbnails/{copy.id}/{old.name}.webp")
        assert factory.content(new.key) == factory.content(old.key)
    assert len(copy.thumbnails) > 0
    assert (copy.key, copy.number) == (f"a/{copy.id}_photo.png", source.number + 1)
    same = ("filename", "folder", "description", "tags", "attributes", "sha256", "size", "width")
    assert [getattr(copy, name) for name in same] == [getattr(source, name) for name in same]
    assert factory.services.files.find(ALICE, copy.id) == copy


def test_what_is_said_of_a_copy_is_not_its_sources(factory: Factory) -> None:
    source = published(factory, b"text", folder="a", metadata={"n": 1})

    new = NewCopy("archives/2025", "./other name.txt", {"archived": True})
    copy = factory.services.copies.copy(ALICE, source.id, new)

    assert (copy.folder, copy.filename) == ("archives/2025", "other name.txt")
    assert copy.attributes == {"archived": True}
    assert copy.key == f"archives/2025/{copy.id}_other_name.txt"
    assert factory.services.files.find(ALICE, source.id) == source


def test_a_copy_is_private_endless_and_the_callers(factory: Factory) -> None:
    source = published(factory, b"text", is_public=True, expires_in=60, reference="order-7")
    admin = Caller("root", scopes=frozenset({Scope.ADMIN}))

    copy = factory.services.copies.copy(admin, source.id, AS_IT_IS)

    assert (copy.is_public, copy.expires_at, copy.reference) == (False, None, None)
    assert copy.owner == "root"


def test_a_copy_counts_and_is_told_of(factory: Factory) -> None:
    factory.listen()
    source = published(factory, b"text")

    factory.services.copies.copy(ALICE, source.id, AS_IT_IS)

    assert factory.quota() == (2 * source.size, 0)
    assert factory.events() == ["file.ready", "file.ready"]
    assert len(factory.bell.delivered) == 2


def test_a_removed_copy_leaves_its_source_and_nothing_else(factory: Factory) -> None:
    source = published(factory)
    copy = factory.services.copies.copy(ALICE, source.id, AS_IT_IS)

    factory.services.files.delete(ALICE, copy.id, hard=True)

    assert (factory.keys(), factory.quota()) == (set(keys_of(source)), (source.size, 0))
    assert factory.content(source.key)


def test_the_auditor_and_the_sweeps_have_nothing_to_say_of_a_copy(factory: Factory) -> None:
    source = published(factory)
    copy = factory.services.copies.copy(ALICE, source.id, AS_IT_IS)
    factory.services.files.delete(ALICE, source.id, hard=True)

    for name in ("object-orphans", "multiparts", "job-records"):
        assert factory.services.sweeps.run(name)["removed"] == 0
    audited = factory.services.sweeps.run("audit")
    reread = factory.services.sweeps.run("reread")

    assert (audited["report"], reread["damaged"]) == ([], 0)
    assert factory.keys() == set(keys_of(copy))


def test_what_is_hidden_from_the_caller_is_not_copied(factory: Factory) -> None:
    deleted, over, alices = (published(factory, b"text") for _ in range(3))
    factory.services.files.delete(ALICE, deleted.id, hard=False)
    ending = published(factory, b"text", expires_in=60)
    factory.shift("files", "expires_at", -HOUR, id=ending.id)
    factory.services.files.delete(ALICE, over.id, hard=True)
    before = factory.snapshot()

    for caller, file_id in (
        (ALICE, deleted.id),
        (ALICE, ending.id),
        (ALICE, over.id),
        (BOB, alices.id),
        (Caller("alice", "elsewhere"), alices.id),
        (ALICE, "not an id"),
    ):
        with pytest.raises(NotFound) as refusal:
            factory.services.copies.copy(caller, file_id, AS_IT_IS)
        assert refusal.value.code == "file_not_found"

    assert factory.snapshot() == before


@pytest.mark.parametrize("scope", [Scope.FILES_READ, Scope.FILES_WRITE, Scope.FILES_DELETE])
def test_who_copies_may_read_and_write(factory: Factory, scope: Scope) -> None:
    source = published(factory, b"text")

    with pytest.raises(Forbidden):
        factory.services.copies.copy(
            Caller("alice", scopes=frozenset({scope})), source.id, AS_IT_IS
        )


@pytest.mark.parametrize(
    ("new", "refusal"),
    [
        (NewCopy(folder="../up"), Unprocessable),
        (NewCopy(filename="..."), Unprocessable),
        (NewCopy(filename="x" * 256), Unprocessable),
        (NewCopy(filename="notes.exe"), Unsupported),
    ],
    ids=repr,
)
def test_a_copy_that_no_upload_could_be_called_is_refused(
    factory: Factory, new: NewCopy, refusal: type[AppError]
) -> None:
    source = published(factory, b"text")
    before = factory.snapshot()

    with pytest.raises(refusal):
        factory.services.copies.copy(ALICE, source.id, new)

    assert (factory.snapshot(), factory.keys()) == (before, {source.key})


def test_a_copy_beyond_the_quota_is_refused_before_a_byte_moves(factory: Factory) -> None:
    source = published(factory, b"text")
    limit(factory, 2 * source.size - 1)
    before = factory.snapshot()

    with pytest.raises(QuotaExceeded):
        factory.services.copies.copy(ALICE, source.id, AS_IT_IS)

    assert (factory.snapshot(), factory.keys()) == (before, {source.key})


def test_of_copies_at_once_as_many_come_to_be_as_there_is_room_for(factory: Factory) -> None:
    source = published(factory, b"text")
    limit(factory, 3 * source.size)

    def copy() -> File | None:
        with suppress(QuotaExceeded):
            return factory.services.copies.copy(ALICE, source.id, AS_IT_IS)
        return None

    made = [each for each in at_once([copy] * 6) if each is not None]

    assert len(made) == 2
    assert factory.quota() == (3 * source.size, 0)
    assert factory.keys() == {source.key, *(each.key for each in made)}
    assert len(factory.query("SELECT * FROM objects")) == 3


def test_a_bare_name_that_is_taken_is_refused_and_another_folder_does(factory: Factory) -> None:
    copies = replace(factory.services.copies, rules=replace(UPLOADS, layout=BARE))
    source = published(factory, b"text")
    first = copies.copy(ALICE, source.id, AS_IT_IS)
    before = factory.snapshot()

    with pytest.raises(NameTaken):
        copies.copy(ALICE, source.id, AS_IT_IS)

    assert factory.snapshot() == before
    second = copies.copy(ALICE, source.id, NewCopy(folder="b"))
    assert (first.key, second.key) == ("notes.txt", "b/notes.txt")


def test_a_key_that_lies_in_the_bucket_already_is_left_alone(factory: Factory) -> None:
    copies = replace(factory.services.copies, rules=replace(UPLOADS, layout=BARE))
    source = published(factory, b"text")
    factory.objects.put("notes.txt", b"older", content_type="text/plain", upload_id="?")
    before = factory.snapshot()

    with pytest.raises(Conflict):
        copies.copy(ALICE, source.id, AS_IT_IS)

    assert factory.content("notes.txt") == b"older"
    assert factory.snapshot() == before


def test_two_copies_in_one_second_have_two_keys(factory: Factory) -> None:
    copies = replace(
        factory.services.copies, rules=replace(UPLOADS, layout=Layout("{date}_{name}"))
    )
    source = published(factory, b"text")

    one, two = (copies.copy(ALICE, source.id, AS_IT_IS) for _ in range(2))

    assert two.key == one.key.replace(".txt", f"_{two.id[-12:]}.txt")


def test_a_file_whose_object_is_lost_is_no_copy(factory: Factory) -> None:
    source = published(factory)
    before = factory.snapshot()
    for key in (source.thumbnails[0].key, source.key):
        factory.objects.delete([key])

        with pytest.raises(ObjectLost):
            factory.services.copies.copy(ALICE, source.id, AS_IT_IS)

    assert factory.snapshot() == before
    assert factory.keys() == set(keys_of(source)[2:])


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("at", ["before", "after"])
def test_a_source_that_is_deleted_while_it_is_copied_leaves_all_or_nothing(
    factory: Factory, at: str, hard: bool
) -> None:
    source = published(factory)
    delete = partial(factory.services.files.delete, ALICE, source.id, hard=hard)
    copies = meddling(factory, **{at: delete})

    copy: File | None = None
    with suppress(NotFound):
        copy = copies.copy(ALICE, source.id, AS_IT_IS)

    kept = set() if hard else set(keys_of(source))
    assert factory.keys() == kept | (set() if copy is None else set(keys_of(copy)))
    assert len(factory.query("SELECT * FROM objects")) == len(factory.keys())
    sizes = [source.size] * ((not hard) + (copy is not None))
    assert factory.quota() == (sum(sizes), 0)


def test_a_copy_that_was_swept_away_meanwhile_makes_no_file(factory: Factory) -> None:
    source = published(factory, b"text")

    sweep = partial(factory.services.sweeps.run, "object-orphans")  # without a grace
    with pytest.raises(Unavailable):
        meddling(factory, after=sweep).copy(ALICE, source.id, AS_IT_IS)

    assert factory.keys() == {source.key}
    assert factory.quota() == (source.size, 0)
    assert len(factory.query("SELECT * FROM files")) == 1


def test_what_a_copy_leaves_whose_process_dies_is_swept_after_the_grace(factory: Factory) -> None:
    source = published(factory)

    class Killed(BaseException):
        pass

    def die() -> None:
        raise Killed

    with pytest.raises(Killed):
        meddling(factory, after=die).copy(ALICE, source.id, AS_IT_IS)
    assert len(factory.keys()) == len(keys_of(source)) + 1
    assert factory.services.sweeps.run("audit")["report"] == []
    sweeper = factory.services.sweeps.sweeper
    patient = replace(sweeper, rules=replace(sweeper.rules, grace=HOUR))
    assert SweepService(patient).run("object-orphans")["removed"] == 0

    factory.shift("objects", "updated_at", -HOUR, state="intended")
    SweepService(patient).run("object-orphans")

    assert factory.keys() == set(keys_of(source))
    assert factory.quota() == (source.size, 0)
    assert len(factory.query("SELECT * FROM objects")) == len(keys_of(source))


@pytest.fixture
def on_s3(
    a_bucket: S3Place, tmp_path: Path, sqlite_url: str
) -> Iterator[tuple[Factory, weather.Weather]]:
    with (
        weather_before(a_bucket) as sky,
        a_factory(tmp_path, sqlite_url, objects=impatient(sky.place, seconds=10)) as factory,
    ):
        yield factory, sky


def test_a_copy_whose_answer_was_lost_is_a_copy(on_s3: tuple[Factory, weather.Weather]) -> None:
    factory, sky = on_s3
    source = published(factory)
    sky.brings(weather.the_answer_is_lost, to=weather.copies)

    copy = factory.services.copies.copy(ALICE, source.id, AS_IT_IS)

    assert factory.content(copy.key) == factory.content(source.key)
    assert factory.services.sweeps.run("audit")["report"] == []
    for file in (source, copy):
        factory.services.files.delete(ALICE, file.id, hard=True)
    assert factory.keys() == set()


def test_a_copy_in_parts_that_breaks_off_leaves_nothing(
    on_s3: tuple[Factory, weather.Weather],
) -> None:
    factory, sky = on_s3
    source = published(factory, b"x" * (11 * 1024**2))
    sky.brings(weather.an_error(500, "InternalError"), to=weather.completes, times=None)

    with pytest.raises(Unavailable):
        factory.services.copies.copy(ALICE, source.id, AS_IT_IS)

    sky.clears()
    assert factory.multiparts() == []
    factory.services.sweeps.run("object-orphans")
    assert factory.keys() == {source.key}
    assert [row["key"] for row in factory.query("SELECT * FROM objects")] == [source.key]
    assert factory.quota() == (source.size, 0)
    factory.services.copies.copy(ALICE, source.id, AS_IT_IS)
    factory.services.files.delete(ALICE, source.id, hard=True)
    assert len(factory.keys()) == 1
    factory.objects.delete(list(factory.keys()))


def limit(factory: Factory, size: int) -> None:
    with factory.records._engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE quotas SET limit_bytes = {size}")  # noqa: S608  # a number


def meddling(
    factory: Factory,
    before: Callable[[], object] = lambda: None,
    after: Callable[[], object] = lambda: None,
) -> CopyService:
    """Copies of a store in which something happens around the first copy of an object."""
    done: list[str] = []

    class Meddled(DiskObjects):
        def copy(self, source: str, key: str, **facts: Any) -> str:
            if done:
                return super().copy(source, key, **facts)
            done.append(key)
            before()
            etag = super().copy(source, key, **facts)
            after()
            return etag

    store = Meddled(factory.folder / "objects", base_url="http://sluice", secret="s" * 32)
    copies = factory.services.copies
    return replace(copies, files=replace(copies.files, objects=store))
