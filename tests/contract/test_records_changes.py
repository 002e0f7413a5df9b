"""What every database must do with files that are changed, restored, held, and removed together."""

import threading
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from shared.adapters.records_sql import SqlRecords
from shared.model.file import File, FileQuery, Thumbnail
from shared.records import ObjectState, Transaction
from tests.contract.test_records_files import files_apart, states
from tests.support.builders import a_file, a_job
from tests.support.races import at_once

HOUR = timedelta(hours=1)
ALL = FileQuery("default", None, limit=100)
SMALL = Thumbnail("small", "thumbnails/x/small.webp", 150, 100, "image/webp", 900)


def test_a_change_sets_what_is_said_and_when(rows: Transaction) -> None:
    file = rows.files.add(a_file(thumbnails=(SMALL,), tags=["a"]), None)
    other = files_apart(rows)
    ends_at = rows.now() + HOUR

    changed = rows.files.change(
        file.id,
        filename="ä.txt",
        description=None,
        attributes={"b": [1]},
        is_public=True,
        expires_at=ends_at,
    )

    assert changed == rows.files.find(file.id)
    assert changed is not None
    assert changed.updated_at > file.updated_at
    assert changed == replace(
        file,
        filename="ä.txt",
        attributes={"b": [1]},
        is_public=True,
        expires_at=changed.expires_at,
        updated_at=changed.updated_at,
    )
    assert changed.expires_at is not None
    assert abs(changed.expires_at - ends_at) < timedelta(milliseconds=1)
    assert rows.files.find(other.id) == other


def test_changed_tags_are_what_a_file_is_found_by(rows: Transaction) -> None:
    file = rows.files.add(a_file(tags=["old", "kept"]), None)

    rows.files.change(file.id, tags=["kept", "new"])

    found = {tag: rows.files.count(replace(ALL, tag=tag)) for tag in ("old", "kept", "new")}
    assert found == {"old": 0, "kept": 1, "new": 1}
    rows.files.change(file.id, tags=[])
    assert rows.files.count(replace(ALL, tag="new")) == 0


def test_what_is_out_of_sight_is_not_changed(rows: Transaction) -> None:
    over, deleted = rows.files.add(a_file(), -HOUR), rows.files.add(a_file(tags=["a"]), None)
    rows.files.mark_deleted(deleted.id)
    before = rows.files.many([over.id, deleted.id])

    for file_id in (over.id, deleted.id, "nothing"):
        assert rows.files.change(file_id, filename="new", tags=["b"]) is None

    assert rows.files.many([over.id, deleted.id]) == before


def test_a_deleted_file_is_restored_once_unless_its_time_is_over(rows: Transaction) -> None:
    file, alive = rows.files.add(a_file(), HOUR), rows.files.add(a_file(), None)
    over = rows.files.add(a_file(), -HOUR)
    rows.files.mark_deleted(file.id, over.id)

    assert rows.files.restore(file.id)
    assert not any(rows.files.restore(each) for each in (file.id, alive.id, over.id, "nothing"))

    found = rows.files.find(file.id)
    assert found is not None
    assert (found.deleted_at, found.expires_at) == (None, file.expires_at)


def test_of_many_those_are_deleted_and_removed_that_were_there(rows: Transaction) -> None:
    one, two, three = (rows.files.add(a_file(), None) for _ in range(3))
    rows.files.mark_deleted(two.id)

    assert rows.files.mark_deleted(one.id, two.id, "nothing") == {one.id}
    assert rows.files.drop(one.id, two.id, "nothing") == {one.id, two.id}

    assert rows.files.drop(one.id) == rows.files.drop() == rows.files.mark_deleted() == set()
    assert rows.files.held([one.id, three.id]) == [three]


def test_jobs_of_many_uploads_are_found(rows: Transaction) -> None:
    one, two = (rows.jobs.add(a_job()) for _ in range(2))

    found = rows.jobs.of_uploads([one.upload_id, two.upload_id, "nothing"])

    assert {job.id for job in found} == {one.id, two.id}
    assert rows.jobs.of_uploads([]) == []


def test_the_intents_of_one_upload_become_links_all_or_it_is_said(rows: Transaction) -> None:
    for key in ("a", "b", "c"):
        rows.objects.intend(key, "one")
    rows.objects.deleting(["c"], "one")

    assert rows.objects.fulfil(["a", "b"], "one")
    assert not rows.objects.fulfil(["a"], "one")
    assert not rows.objects.fulfil(["c"], "one")
    assert not rows.objects.fulfil(["b"], "two")

    said = {key: state for key, (_, state, _) in states(rows, "a", "b", "c").items()}
    linked, deleting = ObjectState.LINKED, ObjectState.DELETING
    assert said == {"a": linked, "b": linked, "c": deleting}


def test_objects_of_several_uploads_are_marked_and_freed_together(rows: Transaction) -> None:
    for key, upload_id in (("a", "one"), ("b", "two"), ("c", "three")):
        rows.objects.intend(key, upload_id)

    rows.objects.deleting(["a", "b", "c"], "one", "two")
    rows.objects.drop(["a", "c"], "one", "two")

    assert states(rows, "a", "b", "c") == {
        "b": ("two", ObjectState.DELETING, None),
        "c": ("three", ObjectState.INTENDED, None),
    }


def test_a_held_file_is_restored_by_nobody_until_it_is_let_go(records: SqlRecords) -> None:
    with records.begin() as rows:
        file = rows.files.add(a_file(), None)
        rows.files.mark_deleted(file.id)
    is_held, restored = threading.Event(), []

    def restore() -> None:
        is_held.wait(5)
        with records.begin() as rows:
            restored.append(rows.files.restore(file.id))

    def remove() -> None:
        with records.begin() as rows:
            assert [each.id for each in rows.files.held([file.id])] == [file.id]
            is_held.set()
            threading.Event().wait(0.2)
            assert rows.files.drop(file.id) == {file.id}

    at_once([restore, remove])

    assert restored == [False]


@pytest.mark.parametrize("round_", range(3))
def test_of_many_who_remove_the_same_files_each_file_is_removed_once(
    records: SqlRecords, round_: int
) -> None:
    del round_
    with records.begin() as rows:
        made: list[File] = [rows.files.add(a_file(), None) for _ in range(20)]
    ids = [file.id for file in made]

    def remove(order: int) -> set[str]:
        with records.begin() as rows:
            rows.files.held(ids[::order])
            return rows.files.drop(*ids[::order])

    removed = at_once(partial(remove, order) for order in (1, -1, 1, -1))

    assert sorted(len(each) for each in removed) == [0, 0, 0, 20]
