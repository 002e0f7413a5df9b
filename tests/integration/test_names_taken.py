"""Keys that two files could have: dated ones get a suffix, bare ones are the first's while it lives."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shared.errors import NameTaken
from shared.model.job import Job
from shared.model.layout import Layout
from shared.model.lifecycle import JobState
from shared.model.upload import NewUpload
from tests.support.factory import Factory, a_factory
from tests.support.races import at_once
from tests.support.workshop import ALICE, BOB

BARE = Layout("{name}")
DATED = Layout("{date}_{name}")


@pytest.fixture
def factory(database_url: str, tmp_path: Path) -> Iterator[Factory]:
    with a_factory(tmp_path, database_url) as made:
        yield made


def test_a_dated_key_that_is_taken_gets_a_suffix(factory: Factory) -> None:
    first, second = (ready(factory, DATED) for _ in range(2))

    keys = [factory.upload(job).key for job in (first, second)]
    assert keys[1] == keys[0].replace(".txt", f"_{second.upload_id[-12:]}.txt")
    assert [factory.content(key) for key in keys] == [b"hello world"] * 2


def test_a_bare_name_that_is_taken_is_refused_and_leaves_nothing(factory: Factory) -> None:
    ready(factory, BARE)
    before = factory.snapshot()

    with pytest.raises(NameTaken):
        factory.services.uploads.open(BOB, NewUpload("notes.txt", size=11, layout=BARE))

    assert factory.snapshot() == before


def test_of_many_who_want_one_name_one_has_it(factory: Factory) -> None:
    def open_one() -> bool:
        try:
            factory.services.uploads.open(ALICE, NewUpload("notes.txt", layout=BARE))
        except NameTaken:
            return False
        return True

    assert sum(at_once([open_one] * 8)) == 1


def test_tenants_have_the_same_bare_names(factory: Factory) -> None:
    ready(factory, BARE)

    other = factory.services.uploads.open(
        replace(ALICE, tenant="acme"), NewUpload("notes.txt", layout=BARE)
    )

    assert other.key == "acme/notes.txt"


def test_a_name_is_free_again_when_its_upload_is_cancelled(factory: Factory) -> None:
    opened = factory.services.uploads.open(ALICE, NewUpload("notes.txt", layout=BARE))
    factory.services.uploads.cancel(ALICE, opened.id)

    assert ready(factory, BARE).state is JobState.SUCCEEDED


def test_a_name_is_free_again_when_its_queued_job_is_cancelled(factory: Factory) -> None:
    queued = factory.received(b"hello", layout=BARE)
    factory.services.uploads.cancel(ALICE, queued.upload_id)

    assert ready(factory, BARE).state is JobState.SUCCEEDED


def test_a_name_whose_job_is_cancelled_while_it_runs_is_kept_for_the_sweep(
    factory: Factory,
) -> None:
    running = factory.received(b"hello", layout=BARE)
    factory.claim(running)
    factory.services.uploads.cancel(ALICE, running.upload_id)

    with pytest.raises(NameTaken):
        factory.services.uploads.open(ALICE, NewUpload("notes.txt", layout=BARE))


def test_a_name_is_free_again_when_its_file_is_rejected(factory: Factory) -> None:
    rejected = factory.run(factory.received(b"hello", sha256="0" * 64, layout=BARE))
    assert rejected.state is JobState.REJECTED

    assert ready(factory, BARE).state is JobState.SUCCEEDED


def test_a_name_is_free_again_when_its_file_is_removed_for_good(factory: Factory) -> None:
    first = ready(factory, BARE)
    factory.services.files.delete(ALICE, first.upload_id, hard=False)
    with pytest.raises(NameTaken):
        factory.services.uploads.open(ALICE, NewUpload("notes.txt", layout=BARE))

    factory.services.files.delete(ALICE, first.upload_id, hard=True)

    assert ready(factory, BARE).state is JobState.SUCCEEDED


def ready(factory: Factory, layout: Layout) -> Job:
    job = factory.run(factory.received(b"hello world", layout=layout))
    assert job.state is JobState.SUCCEEDED
    return job
