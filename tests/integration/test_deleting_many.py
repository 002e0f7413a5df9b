"""Of many files that are deleted for good, those that are being replaced stay; the others go."""

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from shared.errors import AppError, Conflict
from shared.model.job import Job
from shared.model.layout import Layout
from tests.support.factory import Factory, a_factory
from tests.support.races import waiting_for_locks
from tests.support.waiting import eventually
from tests.support.workshop import ALICE

BARE = Layout("{name}")


@pytest.fixture
def factory(postgres_rows: str, tmp_path: Path) -> Iterator[Factory]:
    with a_factory(tmp_path, postgres_rows) as made:
        yield made


def ready(factory: Factory, name: str) -> Job:
    return factory.run(factory.received(b"hello", name, layout=BARE))


def succession(factory: Factory, key: str) -> list[tuple[object, ...]]:
    asked = f"SELECT state, successor, updated_at FROM objects WHERE key = '{key}'"  # noqa: S608
    return [tuple(row.values()) for row in factory.query(asked)]


def test_a_file_that_is_being_replaced_keeps_no_other_from_being_deleted(
    factory: Factory,
) -> None:
    factory.listen()
    old, other = ready(factory, "notes.txt"), ready(factory, "other.txt")
    heir = factory.received(b"the second", "notes.txt", layout=BARE, replace=True)
    with factory.records.begin() as rows:
        assert rows.objects.succeed("notes.txt", old.upload_id, heir.upload_id, {})
    before = succession(factory, "notes.txt")
    asked = [old.upload_id, "nothing", other.upload_id]

    refused = factory.services.files.delete_many(ALICE, asked, hard=True)

    said = {file_id: each.code for file_id, each in refused.items()}
    assert said == {old.upload_id: "conflict", "nothing": "file_not_found"}
    assert (factory.file(other), factory.keys()) == (None, {"notes.txt"})
    kept = factory.file(old)
    assert kept is not None
    assert kept.deleted_at is None
    assert succession(factory, "notes.txt") == before
    assert factory.events().count("file.deleted") == 1
    with pytest.raises(Conflict):
        factory.services.files.delete(ALICE, old.upload_id, hard=True)


def test_a_replacement_that_begins_meanwhile_keeps_its_file(
    factory: Factory, postgres_rows: str
) -> None:
    old, other = ready(factory, "notes.txt"), ready(factory, "other.txt")
    asked = [old.upload_id, other.upload_id]
    refused: dict[str, AppError] = {}

    def delete() -> None:
        refused.update(factory.services.files.delete_many(ALICE, asked, hard=True))

    with (
        psycopg.connect(postgres_rows) as replacing,
        psycopg.connect(postgres_rows, autocommit=True) as looking,
    ):
        replacing.execute("UPDATE objects SET successor = 'heir' WHERE key = 'notes.txt'")
        deleting = threading.Thread(target=delete)
        deleting.start()
        assert eventually(lambda: waiting_for_locks(looking) > 0)
        replacing.commit()
        deleting.join()

    assert {file_id: each.code for file_id, each in refused.items()} == {old.upload_id: "conflict"}
    assert [row[:2] for row in succession(factory, "notes.txt")] == [("linked", "heir")]
    assert (factory.file(other), factory.keys()) == (None, {"notes.txt"})
