"""Uploads that begin anew: the same caller's unfinished one of that file gives way, and no other."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from shared.errors import NameTaken
from shared.model.file import File
from shared.model.layout import Layout
from shared.model.lifecycle import UploadState
from shared.model.upload import NewUpload, Upload
from tests.support.factory import Factory, a_factory
from tests.support.races import at_once
from tests.support.workshop import ALICE, BOB, Bytes

NEW = NewUpload("notes.txt", reference="1", layout=Layout("x/{reference}/{name}"), restarts=True)


@pytest.fixture
def factory(database_url: str, tmp_path: Path) -> Iterator[Factory]:
    with a_factory(tmp_path, database_url) as made:
        yield made


def opened(factory: Factory, new: NewUpload = NEW) -> Upload:
    return factory.services.uploads.open(ALICE, new)


def state(factory: Factory, upload: Upload) -> UploadState:
    return factory.services.uploads.find(ALICE, upload.id).state


def test_the_earlier_one_gives_back_all_it_held(factory: Factory) -> None:
    first = opened(factory)
    factory.services.chunks.put(ALICE, first.id, 3, Bytes(b"bytes"), None)

    second = opened(factory)

    assert state(factory, first) is UploadState.CANCELLED
    assert (second.key, factory.quota()) == (first.key, (0, 0))
    assert list(factory.staging.listing()) == []
    [record] = factory.query("SELECT * FROM objects")
    assert record["upload_id"] == second.id


def test_one_whose_bytes_are_all_here_goes_on(factory: Factory) -> None:
    first = opened(factory)
    factory.services.chunks.put(ALICE, first.id, 0, Bytes(b"bytes"), None)
    factory.services.uploads.complete(ALICE, first.id)

    with pytest.raises(NameTaken):
        opened(factory)

    assert state(factory, first) is UploadState.SEALED


def test_another_file_of_the_same_key_stays(factory: Factory) -> None:
    first = opened(factory)

    with pytest.raises(NameTaken):
        opened(factory, replace(NEW, filename="notes?.txt", layout=Layout("x/1/notes.txt")))
    with pytest.raises(NameTaken):
        factory.services.uploads.open(BOB, NEW)
    with pytest.raises(NameTaken):
        opened(factory, replace(NEW, restarts=False))

    assert state(factory, first) is UploadState.RECEIVING


def test_of_many_at_once_the_last_is_left(factory: Factory) -> None:
    made = at_once([partial(opened, factory)] * 6)

    states = sorted(state(factory, upload) for upload in made)
    assert states == [UploadState.CANCELLED] * 5 + [UploadState.RECEIVING]
    assert len(factory.query("SELECT * FROM objects")) == 1


def test_one_that_is_to_replace_a_file_gives_way_too_and_the_file_stays(factory: Factory) -> None:
    file = finished(factory)
    again = replace(NEW, replace=True)
    first = opened(factory, again)
    factory.services.chunks.put(ALICE, first.id, 0, Bytes(b"bytes"), None)

    second = opened(factory, again)

    assert state(factory, first) is UploadState.CANCELLED
    assert (second.replaces, factory.content(file.key)) == (file.id, b"the first")
    assert (factory.quota(), list(factory.staging.listing())) == ((9, 0), [])
    [record] = factory.query("SELECT * FROM objects")
    assert (record["upload_id"], record["state"]) == (file.id, "linked")
    factory.services.chunks.put(ALICE, second.id, 0, Bytes(b"the second"), None)
    factory.run(factory.services.uploads.complete(ALICE, second.id))
    assert factory.content(file.key) == b"the second"


def test_one_that_was_to_replace_a_file_gives_way_also_when_that_is_gone(factory: Factory) -> None:
    file = finished(factory)
    first = opened(factory, replace(NEW, replace=True))
    factory.services.files.delete(ALICE, file.id, hard=True)

    second = opened(factory)

    assert state(factory, first) is UploadState.CANCELLED
    assert second.replaces is None


def test_of_many_that_replace_at_once_the_last_is_left(factory: Factory) -> None:
    finished(factory)

    made = at_once([partial(opened, factory, replace(NEW, replace=True))] * 6)

    states = sorted(state(factory, upload) for upload in made)
    assert states == [UploadState.CANCELLED] * 5 + [UploadState.RECEIVING]


def test_to_begin_anew_over_a_file_without_saying_so_changes_nothing(factory: Factory) -> None:
    finished(factory)
    first = opened(factory, replace(NEW, replace=True))
    before = factory.snapshot()

    with pytest.raises(NameTaken):
        opened(factory)

    assert factory.snapshot() == before
    assert state(factory, first) is UploadState.RECEIVING


def finished(factory: Factory) -> File:
    upload = opened(factory)
    factory.services.chunks.put(ALICE, upload.id, 0, Bytes(b"the first"), None)
    job = factory.services.uploads.complete(ALICE, upload.id)
    factory.run(job)
    file = factory.file(job)
    assert file is not None
    return file
