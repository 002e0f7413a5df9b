"""Files that are described anew, brought back, and deleted by the dozen."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from shared.adapters.clock_system import SystemClock
from shared.errors import AppError, Forbidden, Gone, NotFound, Unprocessable, Unsupported
from shared.model.caller import Caller, Scope
from shared.model.file import File
from shared.model.predecessors import GATEWAY
from shared.services.forgetting import keys_of
from tests.support.factory import Factory, a_factory
from tests.support.pictures import a_jpeg
from tests.support.races import at_once
from tests.support.workshop import ALICE, BOB

HOUR = timedelta(hours=1)


@pytest.fixture
def factory(database_url: str, tmp_path: Path) -> Iterator[Factory]:
    with a_factory(tmp_path, database_url) as made:
        yield made


def published(factory: Factory, name: str = "notes.txt", **said: Any) -> File:
    job = factory.received(b"hello world", name, **said)
    factory.run(job)
    file = factory.file(job)
    assert file is not None
    return file


def test_a_change_is_what_is_said_and_stays(factory: Factory) -> None:
    file = published(factory, tags=["a"], metadata={"n": 1}, expires_in=60)

    said = {
        "filename": "../other.txt",
        "description": "d",
        "metadata": {"m": 2},
        "tags": ["c", "b", "c"],
        "is_public": True,
        "expires_at": None,
    }
    changed = factory.services.changes.change(ALICE, file.id, said)

    assert (changed.filename, changed.description, changed.is_public) == ("other.txt", "d", True)
    assert (changed.attributes, changed.tags) == ({"m": 2}, ["b", "c"])
    assert (changed.expires_at, changed.key) == (None, file.key)
    assert factory.services.files.find(ALICE, file.id) == changed
    assert factory.services.files.public(file.id) == changed


def test_nothing_said_changes_nothing_but_the_time(factory: Factory) -> None:
    file = published(factory, tags=["a"], description="d")

    changed = factory.services.changes.change(ALICE, file.id, {})

    assert (changed.description, changed.tags, changed.filename) == ("d", ["a"], "notes.txt")


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ({"filename": "..."}, Unprocessable),
        ({"filename": "a/"}, Unprocessable),
        ({"filename": "ü" * 128}, Unprocessable),
        ({"filename": "notes.exe"}, Unsupported),
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, Unprocessable),
        ({"expires_at": datetime(1, 1, 1)}, Unprocessable),  # noqa: DTZ001  # as clients may
        ({"expires_at": datetime.max.replace(tzinfo=UTC)}, Unprocessable),
    ],
    ids=repr,
)
def test_a_change_that_no_upload_could_have_said_is_refused(
    factory: Factory, said: dict[str, Any], refusal: type[AppError]
) -> None:
    file = published(factory)
    before = factory.snapshot()

    with pytest.raises(refusal):
        factory.services.changes.change(ALICE, file.id, {"description": "new"} | said)

    assert factory.snapshot() == before


def test_a_file_that_was_given_an_end_ends(factory: Factory) -> None:
    file = published(factory)
    soon = SystemClock().now() + HOUR
    factory.services.changes.change(ALICE, file.id, {"expires_at": soon})
    assert factory.services.files.find(ALICE, file.id).expires_at is not None

    factory.shift("files", "expires_at", -2 * HOUR, id=file.id)

    with pytest.raises(NotFound):
        factory.services.files.find(ALICE, file.id)
    assert factory.services.sweeps.run("expired-files")["removed"] == 1


def test_what_is_hidden_from_the_caller_is_neither_changed_nor_restored(factory: Factory) -> None:
    deleted, ended, alices = (published(factory, expires_in=60) for _ in range(3))
    factory.services.files.delete(ALICE, deleted.id, hard=False)
    factory.shift("files", "expires_at", -HOUR, id=ended.id)
    before = factory.snapshot()
    changes = factory.services.changes

    attempts: list[Callable[[], object]] = [
        lambda: changes.change(ALICE, deleted.id, {"description": "new"}),
        lambda: changes.change(ALICE, ended.id, {"description": "new"}),
        lambda: changes.change(BOB, alices.id, {"description": "new"}),
        lambda: changes.change(Caller("alice", "elsewhere"), alices.id, {"is_public": True}),
        lambda: changes.change(ALICE, "not an id", {}),
        lambda: changes.restore(BOB, deleted.id),
        lambda: changes.restore(Caller("alice", "elsewhere"), deleted.id),
        lambda: changes.restore(ALICE, "not an id"),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            attempt()

    assert factory.snapshot() == before


def test_who_changes_may_write_and_who_restores_may_delete(factory: Factory) -> None:
    file = published(factory)
    reader = Caller("alice", scopes=frozenset({Scope.FILES_READ}))

    for attempt in (
        lambda: factory.services.changes.change(reader, file.id, {}),
        lambda: factory.services.changes.restore(reader, file.id),
        lambda: factory.services.files.delete_many(reader, [file.id], hard=False),
    ):
        with pytest.raises(Forbidden):
            attempt()


def test_a_restored_file_is_as_it_was_and_told_of_once(factory: Factory) -> None:
    factory.listen()
    file = published(factory, tags=["a"])
    factory.services.files.delete(ALICE, file.id, hard=False)

    restored = [factory.services.changes.restore(ALICE, file.id) for _ in range(2)]

    assert restored[0] == restored[1] == factory.services.files.find(ALICE, file.id)
    assert (restored[0].deleted_at, restored[0].tags) == (None, ["a"])
    assert factory.quota() == (file.size, 0)
    assert factory.events() == ["file.ready", "file.deleted", "file.ready"]
    assert factory.services.sweeps.run("audit")["report"] == []


def test_a_file_whose_time_is_over_is_not_restored(factory: Factory) -> None:
    deleted, swept = (published(factory, expires_in=60) for _ in range(2))
    factory.services.files.delete(ALICE, deleted.id, hard=False)
    for file in (deleted, swept):
        factory.shift("files", "expires_at", -HOUR, id=file.id)
    factory.services.sweeps.run("expired-files")

    for file in (deleted, swept):
        with pytest.raises(Gone):
            factory.services.changes.restore(ALICE, file.id)


def test_a_file_that_the_gateway_kept_long_enough_is_not_restored_to_expire_again(
    factory: Factory,
) -> None:
    factory.listen()
    job = factory.received(a_jpeg(), "photo.jpg", profile=GATEWAY)
    factory.run(job)
    file = factory.file(job)
    assert file is not None
    factory.shift("files", "created_at", -31 * 24 * HOUR, id=file.id)

    factory.services.sweeps.run("gateway-files")

    with pytest.raises(Gone):
        factory.services.changes.restore(ALICE, file.id)
    assert factory.services.sweeps.run("gateway-files")["removed"] == 0
    assert factory.events() == ["file.ready", "file.expired"]


@pytest.mark.parametrize("how", ["hard", "swept"])
def test_a_file_that_is_gone_for_good_is_not_restored(factory: Factory, how: str) -> None:
    file = published(factory)
    factory.services.files.delete(ALICE, file.id, hard=how == "hard")
    if how == "swept":
        factory.shift("files", "deleted_at", -timedelta(days=31), id=file.id)
        factory.services.sweeps.run("deleted-files")

    with pytest.raises(NotFound):
        factory.services.changes.restore(ALICE, file.id)

    assert (factory.keys(), factory.quota()) == (set(), (0, 0))


@pytest.mark.parametrize("round_", range(4))
@pytest.mark.parametrize("remover", ["caller", "sweep"])
def test_a_file_that_is_restored_and_removed_at_once_is_there_or_gone(
    factory: Factory, remover: str, round_: int
) -> None:
    del round_
    file = published(factory)
    factory.services.files.delete(ALICE, file.id, hard=False)
    factory.shift("files", "deleted_at", -timedelta(days=31), id=file.id)

    def restore() -> str:
        with suppress(NotFound):
            factory.services.changes.restore(ALICE, file.id)
            return "restored"
        return "gone"

    def remove() -> str:
        if remover == "sweep":
            return str(factory.services.sweeps.run("deleted-files")["removed"])
        factory.services.files.delete(ALICE, file.id, hard=True)
        return "1"

    said = set(at_once([restore, remove]))

    is_there = bool(factory.query("SELECT * FROM files"))
    if remover == "sweep":
        assert said == ({"restored", "0"} if is_there else {"gone", "1"})
    else:  # it may come after it was restored
        assert not is_there
    assert factory.keys() == (set(keys_of(file)) if is_there else set())
    assert factory.quota() == ((file.size, 0) if is_there else (0, 0))
    assert len(factory.query("SELECT * FROM objects")) == len(factory.keys())


@pytest.mark.parametrize("hard", [True, False])
def test_of_many_those_the_caller_sees_are_deleted(factory: Factory, hard: bool) -> None:
    factory.listen()
    mine, hidden, ended = (published(factory, expires_in=60) for _ in range(3))
    factory.services.files.delete(ALICE, hidden.id, hard=False)
    factory.shift("files", "expires_at", -HOUR, id=ended.id)
    asked = [mine.id, "nothing", hidden.id, ended.id, mine.id]

    assert set(factory.services.files.delete_many(BOB, asked, hard=hard)) == set(asked)
    refused = factory.services.files.delete_many(ALICE, asked, hard=hard)

    assert set(refused) == ({"nothing"} if hard else {"nothing", hidden.id, ended.id})
    assert {each.code for each in refused.values()} == {"file_not_found"}
    sizes = 0 if hard else 3 * mine.size
    assert (len(factory.keys()), factory.quota()) == (0 if hard else 3, (sizes, 0))
    assert factory.events().count("file.deleted") == (3 if hard else 2)
    assert len(factory.query("SELECT * FROM objects")) == len(factory.keys())


@pytest.mark.parametrize("hard", [True, False])
def test_a_hundred_files_are_deleted_in_as_many_questions_as_two(
    factory: Factory, hard: bool
) -> None:
    factory.listen()
    files = [published(factory).id for _ in range(12)]

    few = questions(
        factory, partial(factory.services.files.delete_many, ALICE, files[:2], hard=hard)
    )
    many = questions(
        factory, partial(factory.services.files.delete_many, ALICE, files[2:], hard=hard)
    )

    assert many == few


def questions(factory: Factory, work: Callable[[], object]) -> int:
    """How many statements the database is asked meanwhile."""
    asked: list[str] = []
    engine = factory.records._engine

    def note(*said: Any) -> None:
        asked.append(said[2])

    event.listen(engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return len(asked)
