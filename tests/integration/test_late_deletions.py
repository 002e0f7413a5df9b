"""Requests that come late: of a worker that was frozen, of a removal that others finished.

Keys of bare names are used again, so what was meant for one file may meet the next.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from shared.errors import NameTaken, NotFound
from shared.model.file import File
from shared.model.job import Job
from shared.model.layout import Layout
from shared.model.lifecycle import JobState
from shared.model.upload import NewUpload
from shared.ports import ObjectStore
from shared.services.sweeping import SweepService
from tests.support import servers, weather
from tests.support.factory import Factory, a_factory
from tests.support.late import Counting, Frozen, as_store
from tests.support.pictures import a_png
from tests.support.races import at_once
from tests.support.weather import Weather, impatient
from tests.support.workshop import ALICE

BARE = Layout("{name}")
DAY = timedelta(days=1)


@pytest.fixture(params=["disk", "s3"])
def factory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Factory]:
    url = f"sqlite:///{tmp_path / 'sluice.db'}"
    servers.make_tables(url)
    place = request.getfixturevalue("a_bucket") if request.param == "s3" else None
    store = None if place is None else impatient(place, seconds=5)
    with a_factory(tmp_path, url, objects=store) as made:
        yield made
        made.objects.delete(sorted(made.keys()))


def test_a_worker_that_was_frozen_takes_nothing_from_the_file_that_others_made(
    factory: Factory,
) -> None:
    job = factory.received(b"hello world")
    upload = factory.upload(job)
    factory.objects.put(upload.key, b"hellO", content_type="text/plain", upload_id=upload.id)
    frozen = Frozen(factory.objects)

    def others() -> None:
        factory.shift("jobs", "lease_until", -timedelta(hours=1), id=job.id)
        for _ in range(2):
            factory.run(job, worker="another")
        assert factory.job(job).state is JobState.SUCCEEDED

    frozen.meanwhile(lambda: factory.with_objects(as_store(frozen)).run(job), others)

    file = file_of(factory, job)
    assert factory.content(file.key) == b"hello world"
    assert factory.job(job).state is JobState.SUCCEEDED


def test_a_removal_that_was_frozen_takes_nothing_from_the_next_of_that_name(
    factory: Factory,
) -> None:
    first = ready(factory, b"the first")
    frozen = Frozen(factory.objects)
    jobs: list[Job] = []

    def others() -> None:
        factory.services.sweeps.run("object-orphans")
        jobs.append(ready(factory, b"the second"))

    frozen.meanwhile(lambda: remove(factory, first, as_store(frozen)), others)

    file = file_of(factory, jobs[0])
    assert file.key == factory.upload(first).key
    assert factory.content(file.key) == b"the second"
    (row,) = factory.query("SELECT upload_id, state FROM objects")
    assert dict(row) == {"upload_id": file.id, "state": "linked"}


def test_a_name_stays_taken_while_a_removal_may_still_come(factory: Factory) -> None:
    first = ready(factory, b"the same")
    frozen = Frozen(factory.objects)

    def others() -> None:
        result = patient(factory).run("object-orphans")
        assert (result["removed"], result["failed"]) == (0, 0)
        with pytest.raises(NameTaken):
            factory.services.uploads.open(ALICE, NewUpload("notes.txt", layout=BARE))

    frozen.meanwhile(lambda: remove(factory, first, as_store(frozen)), others)

    second = ready(factory, b"the same")
    assert factory.content(file_of(factory, second).key) == b"the same"


def test_a_name_is_taken_until_a_deletion_that_was_not_answered_is_too_old_to_come(
    far: Factory, sky: Weather
) -> None:
    first = ready(far, b"the first")
    sky.brings(weather.the_answer_is_lost, to=lambda call: call.method == "DELETE")

    remove(far, first)

    assert far.keys() == set()
    with pytest.raises(NameTaken):
        far.services.uploads.open(ALICE, NewUpload("notes.txt", layout=BARE))
    far.shift("objects", "updated_at", -2 * DAY, upload_id=first.upload_id)
    assert patient(far).run("object-orphans")["removed"] == 1
    assert ready(far, b"the second").state is JobState.SUCCEEDED


def test_what_became_another_s_while_it_was_swept_stays(factory: Factory) -> None:
    first = ready(factory, b"the first")
    with factory.records.begin() as rows:
        rows.files.drop(first.upload_id)
        rows.objects.deleting(["notes.txt"], first.upload_id)
    frozen = Frozen(factory.objects)
    swept = factory.services.sweeps.sweeper
    frosty = SweepService(replace(swept, objects=as_store(frozen)))

    def others() -> None:
        factory.objects.delete(["notes.txt"])
        factory.objects.put("notes.txt", b"theirs", content_type="a/b", upload_id="another")

    frozen.meanwhile(lambda: frosty.run("object-orphans"), others)

    assert factory.content("notes.txt") == b"theirs"
    assert len(factory.query("SELECT * FROM objects")) == 1


def test_of_eight_who_remove_a_file_for_good_one_deletes_its_objects(
    database_url: str, tmp_path: Path
) -> None:
    with a_factory(tmp_path, database_url) as factory:
        asked: list[object] = []
        job = ready(factory, b"hello")
        counting = as_store(Counting(factory.objects, asked))

        at_once([lambda: remove(factory, job, counting)] * 8)

        assert len(asked) == 1
        assert factory.keys() == set()


@pytest.mark.parametrize(
    ("layout", "methods"),
    [(None, ["POST"]), (BARE, ["POST", "HEAD", "DELETE"])],
    ids=["by id", "bare"],
)
def test_to_remove_a_file_costs_two_requests_more_where_its_key_is_used_again(
    far: Factory, sky: Weather, layout: Layout | None, methods: list[str]
) -> None:
    job = far.run(far.received(a_png(200, 100), "photo.png", layout=layout))
    assert job.state is JobState.SUCCEEDED
    sky.calls.clear()

    remove(far, job)

    assert [call.method for call, _ in sky.calls] == methods
    assert (far.keys(), far.query("SELECT * FROM objects")) == (set(), [])


def ready(factory: Factory, content: bytes) -> Job:
    job = factory.run(factory.received(content, layout=BARE))
    assert job.state is JobState.SUCCEEDED, job.error
    return job


def file_of(factory: Factory, job: Job) -> File:
    file = factory.file(job)
    assert file is not None
    return file


def remove(factory: Factory, job: Job, objects: ObjectStore | None = None) -> None:
    """Remove the job's file for good, unless somebody was quicker."""
    files = replace(factory.services.files, objects=objects or factory.objects)
    with suppress(NotFound):
        files.delete(ALICE, job.upload_id, hard=True)


def patient(factory: Factory) -> SweepService:
    """The sweeps, with a grace of a day."""
    sweeper = factory.services.sweeps.sweeper
    return SweepService(replace(sweeper, rules=replace(sweeper.rules, grace=DAY)))
