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
from shared.services.forgetting import forget
from shared.services.sweeping import SweepService
from tests.support import weather
from tests.support.factory import Factory, a_factory
from tests.support.late import Counting, Frozen, as_store
from tests.support.pictures import a_png
from tests.support.races import at_once
from tests.support.weather import Call, Weather, impatient
from tests.support.workshop import ALICE

BARE = Layout("{name}")
DAY = timedelta(days=1)


@pytest.fixture(params=["disk", "s3"])
def factory(request: pytest.FixtureRequest, tmp_path: Path, sqlite_url: str) -> Iterator[Factory]:
    place = request.getfixturevalue("a_bucket") if request.param == "s3" else None
    store = None if place is None else impatient(place, seconds=5)
    with a_factory(tmp_path, sqlite_url, objects=store) as made:
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
        factory.lose(job)
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


def test_what_an_outage_kept_is_gone_minutes_after_it_and_its_name_is_held(
    far: Factory, sky: Weather
) -> None:
    first, other = ready(far, b"the first"), ready(far, b"another", "other.txt")
    sky.brings(weather.nothing_is_done, times=None)

    remove(far, first)
    remove(far, other)
    early = patient(far).run("deletions")
    minutes_pass(far)
    silent = patient(far).run("deletions")
    sky.clears()
    there = far.keys()
    minutes_pass(far)
    late = patient(far).run("deletions")

    assert (early["seen"], silent["seen"], silent["failed"]) == (0, 1, 1)
    assert (there, late["removed"], far.keys()) == ({"notes.txt", "other.txt"}, 2, set())
    with pytest.raises(NameTaken):
        far.services.uploads.open(ALICE, NewUpload("notes.txt", layout=BARE))
    far.shift("objects", "updated_at", -2 * DAY, upload_id=first.upload_id)
    patient(far).run("object-orphans")
    assert ready(far, b"the second").state is JobState.SUCCEEDED


def test_of_a_file_whose_key_is_its_own_nothing_is_left_minutes_after_an_outage(
    far: Factory, sky: Weather
) -> None:
    job = far.run(far.received(a_png(200, 100), "photo.png"))
    sky.brings(weather.nothing_is_done, times=None)
    remove(far, job)
    sky.clears()
    there = len(far.keys())
    minutes_pass(far)

    done = patient(far).run("deletions")

    assert (there, done["removed"], done["failed"]) == (4, 4, 0)
    assert (far.keys(), far.query("SELECT * FROM objects")) == (set(), [])


def test_a_deletion_that_is_tried_again_takes_nothing_from_the_next_of_that_name(
    factory: Factory,
) -> None:
    first = ready(factory, b"the first")
    with factory.records.begin() as rows:
        forget(rows, [file_of(factory, first)])
    minutes_pass(factory)
    frozen = Frozen(factory.objects)
    frosty = SweepService(replace(factory.services.sweeps.sweeper, objects=as_store(frozen)))
    jobs: list[Job] = []

    def others() -> None:
        factory.services.sweeps.run("object-orphans")
        jobs.append(ready(factory, b"the second"))

    frozen.meanwhile(lambda: frosty.run("deletions"), others)
    minutes_pass(factory)
    factory.services.sweeps.run("deletions")

    assert factory.content(file_of(factory, jobs[0]).key) == b"the second"
    (row,) = factory.query("SELECT upload_id, state FROM objects")
    assert dict(row) == {"upload_id": jobs[0].upload_id, "state": "linked"}


def test_what_the_store_refuses_to_delete_is_tried_each_minute_and_after_an_hour_each_hour(
    far: Factory, sky: Weather
) -> None:
    first = ready(far, b"the first")
    sky.brings(weather.an_error(403, "AccessDenied"), to=deletes, times=None)
    remove(far, first)

    def tried() -> int:
        return int(patient(far).run("deletions")["failed"])

    minutes_pass(far)
    soon = [tried(), tried()]
    minutes_pass(far)
    soon.append(tried())
    far.shift("sightings", "first_seen_at", -timedelta(hours=2), kind="deletion")
    minutes_pass(far)
    late = [tried()]
    far.shift("objects", "updated_at", -timedelta(hours=1), upload_id=first.upload_id)
    late.append(tried())

    assert (soon, late) == ([1, 0, 1], [0, 1])
    assert far.keys() == {"notes.txt"}


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


def ready(factory: Factory, content: bytes, filename: str = "notes.txt") -> Job:
    job = factory.run(factory.received(content, filename, layout=BARE))
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


def minutes_pass(factory: Factory) -> None:
    """Let the rows of what is deleting be of two minutes ago."""
    factory.shift("objects", "updated_at", -timedelta(minutes=2), state="deleting")


def deletes(call: Call) -> bool:
    return call.method == "DELETE"


def patient(factory: Factory) -> SweepService:
    """The sweeps, with a grace of a day."""
    sweeper = factory.services.sweeps.sweeper
    return SweepService(replace(sweeper, rules=replace(sweeper.rules, grace=DAY)))
