"""From a queued job to its end, with a real database, staging and store."""

import hashlib
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from shared.adapters.client_s3 import S3Place
from shared.adapters.clock_system import SystemClock
from shared.adapters.objects_s3 import S3Objects
from shared.adapters.records_sql import SqlRecords
from shared.errors import Unavailable
from shared.model.caller import Caller, Scope
from shared.model.job import Job
from shared.model.lifecycle import Event, JobState, UploadState
from shared.ports import ObjectStore
from shared.services.claims import OUTAGE_PAUSES
from tests.support import weather
from tests.support.cable import a_cable
from tests.support.factory import Factory, a_factory
from tests.support.pictures import a_png
from tests.support.samples import picture
from tests.support.weather import Weather, impatient, weather_before
from tests.support.workshop import ALICE
from worker.pieces import SMALL_BYTES, part_length
from worker.processing import Processing

ADMIN = Caller("root", scopes=frozenset({Scope.ADMIN}))
MIB = 1024**2
STEPS = ["inspect", "assemble", "thumbnail", "publish", "record"]
SIZES = ["small", "medium", "large"]
# Where it matters what kind of file it is that a worker is interrupted at.
MOMENTS = [
    ("inspect", "large"),
    ("assemble", "large"),
    ("thumbnail", "image"),
    ("thumbnail", "large"),
    ("publish", "image"),
    ("publish", "large"),
    ("record", "image"),
    ("record", "large"),
]


@pytest.fixture
def factory(database_url: str, tmp_path: Path) -> Iterator[Factory]:
    """On each database, with objects on disk."""
    with a_factory(tmp_path, database_url) as made:
        yield made


@pytest.fixture(params=["disk", "seaweedfs"])
def stored(request: pytest.FixtureRequest, sqlite_url: str, tmp_path: Path) -> Iterator[Factory]:
    """On each store, with SQLite."""
    objects: ObjectStore | None = None
    if request.param == "seaweedfs":
        objects = S3Objects(request.getfixturevalue("a_bucket"))
    with a_factory(tmp_path, sqlite_url, objects=objects) as made:
        yield made
        emptied(made)


@pytest.fixture
def sky(a_bucket: S3Place) -> Iterator[Weather]:
    with weather_before(a_bucket) as proxy:
        yield proxy


@pytest.fixture
def stormy(sky: Weather, sqlite_url: str, tmp_path: Path) -> Iterator[Factory]:
    """With SeaweedFS behind bad weather."""
    with a_factory(tmp_path, sqlite_url, objects=impatient(sky.place, seconds=5)) as made:
        yield made
        sky.clears()
        emptied(made)


def test_a_text_becomes_a_file(stored: Factory) -> None:
    stored.listen()
    content = text(100_000)
    said: dict[str, Any] = {
        "tags": ["b", "a"],
        "metadata": {"x": 1},
        "reference": "r-1",
        "folder": "a/b",
    }
    job = stored.received(content, content_type="text/plain", **said)

    ended = stored.run(job)

    file = stored.file(job)
    assert file is not None
    assert (ended.state, ended.attempts, ended.done, ended.total) == (
        JobState.SUCCEEDED,
        1,
        100_000,
        100_000,
    )
    upload = stored.upload(job)
    assert (upload.state, upload.reserved) == (UploadState.READY, 0)
    assert (file.id, file.size, file.sha256) == (job.upload_id, 100_000, sha256(content))
    assert (file.content_type, file.declared_type) == ("text/plain", "text/plain")
    assert (file.tags, file.attributes, file.reference, file.folder) == (
        ["a", "b"],
        {"x": 1},
        "r-1",
        "a/b",
    )
    assert (stored.content(file.key), stored.keys()) == (content, {file.key})
    found = stored.objects.find(file.key)
    assert found is not None
    assert (found.etag, found.content_type) == (file.etag, "text/plain")
    assert found.metadata == {"upload-id": file.id}
    assert (stored.staged(), stored.multiparts(), stored.quota()) == ([], [], (100_000, 0))
    assert stored.events() == ["file.ready"]
    assert stored.board.steps() == STEPS


def test_an_image_becomes_a_file_with_thumbnails(stored: Factory) -> None:
    content = a_png(640, 480)
    job = stored.received(content, "photo.png")

    ended = stored.run(job)

    file = stored.file(job)
    assert ended.state is JobState.SUCCEEDED
    assert file is not None
    assert (file.content_type, file.width, file.height) == ("image/png", 640, 480)
    assert [each.name for each in file.thumbnails] == SIZES
    assert [max(each.width, each.height) for each in file.thumbnails] == [150, 400, 640]
    assert stored.keys() == {file.key, *(each.key for each in file.thumbnails)}
    for small in file.thumbnails:
        body = stored.content(small.key)
        assert len(body) == small.size
        assert body[8:12] == b"WEBP"
    assert stored.quota() == (len(content), 0)


def test_a_large_file_is_sent_in_parts(stored: Factory) -> None:
    content = text(20 * MIB + 12_345)
    job = stored.received(content, cut=3 * MIB + 1)

    ended = stored.run(job)

    file = stored.file(job)
    assert ended.state is JobState.SUCCEEDED
    assert file is not None
    assert (file.size, file.sha256) == (len(content), sha256(content))
    assert sha256(stored.content(file.key)) == sha256(content)
    length = part_length(len(content))
    assert length == SMALL_BYTES
    assert file.etag.endswith(f"-{-(-len(content) // length)}")
    assert (stored.multiparts(), stored.staged()) == ([], [])


@pytest.mark.parametrize("size", [0, 1, SMALL_BYTES, SMALL_BYTES + 1, 2 * SMALL_BYTES])
def test_sizes_at_the_borders_of_parts_come_through(
    sqlite_url: str, tmp_path: Path, size: int
) -> None:
    with a_factory(tmp_path, sqlite_url) as factory:
        content = text(size)
        said = {"size": 0} if size == 0 else {}
        job = factory.received(content, "notes.txt", **said)

        ended = factory.run(job)

        assert ended.state is JobState.SUCCEEDED, ended.error
        assert factory.content(factory.upload(job).key) == content
        assert factory.quota() == (size, 0)


@pytest.mark.parametrize("size", [1000, 9 * MIB])
def test_a_second_worker_finds_nothing_to_do(factory: Factory, size: int) -> None:
    factory.listen()
    job = factory.received(text(size))
    factory.run(job)
    before = factory.snapshot()

    factory.run(job)

    assert factory.claims.claim(job.id, "third") is None
    assert without_due(factory.snapshot()) == without_due(before)
    assert factory.events() == ["file.ready"]


@pytest.mark.parametrize(
    ("database_url", "step", "kind"),
    [("sqlite", *moment) for moment in MOMENTS] + [("postgresql", step, "text") for step in STEPS],
    indirect=["database_url"],
)
def test_a_worker_that_was_taken_over_changes_nothing_any_more(
    factory: Factory, step: str, kind: str
) -> None:
    factory.listen()
    content, filename = sample(kind)
    job = factory.received(content, filename, cut=5 * MIB)
    seen: list[Any] = []

    def take_over() -> None:
        factory.take_over(job)
        seen.append(factory.snapshot())

    factory.board.before[step] = take_over
    factory.run(job)

    assert factory.snapshot() == seen[0]
    assert (factory.job(job).worker or "").startswith("another/")
    factory.lose(job)
    ended = factory.run(job, worker="third")
    file = factory.file(job)
    assert (ended.state, ended.fence) == (JobState.SUCCEEDED, 3)
    assert file is not None
    assert sha256(factory.content(file.key)) == file.sha256 == sha256(content)
    assert factory.keys() == {file.key, *(each.key for each in file.thumbnails)}
    assert (factory.multiparts(), factory.quota()) == ([], (len(content), 0))
    assert factory.events() == ["file.ready"]


@pytest.mark.parametrize(("step", "kind"), MOMENTS)
def test_a_job_that_is_cancelled_stops_at_its_next_step(
    stored: Factory, step: str, kind: str
) -> None:
    stored.listen()
    content, filename = sample(kind)
    job = stored.received(content, filename, cut=5 * MIB)
    stored.board.before[step] = lambda: stored.services.uploads.cancel(ALICE, job.upload_id)

    ended = stored.run(job)

    upload = stored.upload(job)
    assert (ended.state, upload.state) == (JobState.CANCELLED, UploadState.CANCELLED)
    assert upload.reserved == 0
    assert stored.file(job) is None
    assert (stored.multiparts(), stored.staged(), stored.quota()) == ([], [], (0, 0))
    assert stored.events() == []
    with stored.records.read() as rows:
        intended = {each.key for each in rows.objects.of_upload(job.upload_id)}
    if step not in {"publish", "record"}:  # the steps after which the object is there
        assert stored.keys() == set()
    assert stored.keys() <= intended
    stored.services.sweeps.run("object-orphans")
    assert stored.keys() == set()


def test_a_file_that_is_cancelled_while_its_parts_are_sent_leaves_none(
    stormy: Factory, sky: Weather
) -> None:
    job = stormy.received(text(30 * MIB))

    def cancel(call: weather.Call) -> weather.Answer:
        stormy.services.uploads.cancel(ALICE, job.upload_id)
        return call.forward()

    sky.brings(cancel, to=weather.parts)

    ended = stormy.run(job)

    assert ended.state is JobState.CANCELLED
    assert (stormy.keys(), stormy.multiparts(), stormy.quota()) == (set(), [], (0, 0))


def test_bytes_that_are_not_what_they_seemed_are_rejected(stored: Factory) -> None:
    stored.listen()
    job = stored.received(b"\x7fELF\x02\x01\x01" + bytes(1000), "holiday.jpg")

    ended = stored.run(job)

    assert ended.state is JobState.REJECTED
    assert ended.error is not None
    assert ended.error["code"] == "type_not_allowed"
    assert stored.upload(job).state is UploadState.REJECTED
    assert (stored.keys(), stored.staged(), stored.quota()) == (set(), [], (0, 0))
    assert stored.events() == ["file.rejected"]


@pytest.mark.parametrize("size", [1000, 9 * MIB])
def test_a_sha256_that_does_not_match_is_rejected_and_nothing_published(
    stored: Factory, size: int
) -> None:
    stored.listen()
    job = stored.received(text(size), sha256="0" * 64)

    ended = stored.run(job)

    assert ended.state is JobState.REJECTED
    assert ended.error is not None
    assert (ended.error["code"], ended.error["actual"]) == ("digest_mismatch", sha256(text(size)))
    assert (stored.keys(), stored.multiparts(), stored.staged()) == (set(), [], [])
    assert (stored.quota(), stored.events()) == ((0, 0), ["file.rejected"])


def test_a_sha256_that_matches_is_no_hindrance(factory: Factory) -> None:
    content = text(1000)

    ended = factory.run(factory.received(content, sha256=sha256(content)))

    assert ended.state is JobState.SUCCEEDED


def test_a_broken_image_is_rejected_and_nothing_published(stored: Factory) -> None:
    whole = picture("PNG", 200, 200)
    job = stored.received(whole[: len(whole) // 2], "photo.png")

    ended = stored.run(job)

    assert ended.state is JobState.REJECTED
    assert ended.error is not None
    assert ended.error["code"] == "image_broken"
    assert (stored.keys(), stored.multiparts(), stored.quota()) == (set(), [], (0, 0))


def flipped(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x80
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a bit at the start": lambda path: flipped(path, 0),
    "a bit at the end": lambda path: flipped(path, -1),
    "an end that is missing": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "a byte too many": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "no bytes at all": lambda path: path.write_bytes(b""),
    "a program in its place": lambda path: path.write_bytes(
        b"\x7fELF\x02\x01\x01".ljust(path.stat().st_size, b"\0")
    ),
    "no file": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize(("kind", "chunk"), [("text", 0), ("text", 1), ("image", 0), ("large", 1)])
def test_staging_that_is_not_what_was_acknowledged_fails_the_job_until_it_is_mended(
    sqlite_url: str, tmp_path: Path, kind: str, chunk: int, damage: Callable[[Path], object]
) -> None:
    content, filename = sample(kind)
    with a_factory(tmp_path, sqlite_url) as factory:
        factory.listen()
        job = factory.received(content, filename, cut=-(-len(content) // 2))
        path = factory.staged()[chunk]
        good = path.read_bytes()
        damage(path)

        ended = factory.run(job)

        assert ended.state is JobState.FAILED
        assert ended.error is not None
        assert ended.error["code"] == "storage_corrupt"
        assert (factory.keys(), factory.multiparts(), factory.file(job)) == (set(), [], None)
        assert (factory.quota(), factory.events()) == ((0, len(content)), ["file.failed"])
        path.write_bytes(good)
        factory.services.jobs.retry(ADMIN, job.id)
        assert factory.run(job).state is JobState.SUCCEEDED
        assert factory.quota() == (len(content), 0)


@pytest.mark.parametrize("size", [1000, 9 * MIB])
def test_somebody_elses_object_under_our_key_is_left_alone(stored: Factory, size: int) -> None:
    job = stored.received(text(size))
    key, foreign = stored.upload(job).key, text(size, seed=2)
    stored.objects.put(key, foreign, content_type="text/x-foreign", upload_id="somebody")
    before = stored.objects.find(key)

    ended = stored.run(job)

    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error["code"] == "conflict"
    assert (stored.content(key), stored.objects.find(key)) == (foreign, before)
    assert (stored.multiparts(), stored.file(job)) == ([], None)
    assert stored.quota() == (0, size)


def test_an_object_of_ours_with_other_bytes_is_written_over(stored: Factory) -> None:
    job = stored.received(text(1000))
    key = stored.upload(job).key
    stored.objects.put(key, text(1000, seed=2), content_type="text/plain", upload_id=job.upload_id)

    ended = stored.run(job)

    assert ended.state is JobState.SUCCEEDED, ended.error
    assert stored.content(key) == text(1000)


@pytest.mark.parametrize("kind", ["text", "image", "large"])
def test_what_an_earlier_attempt_published_is_ours(stored: Factory, kind: str) -> None:
    content, filename = sample(kind)
    job = stored.received(content, filename, cut=5 * MIB)
    stored.board.before["record"] = lambda: stored.take_over(job)
    stored.run(job)
    assert stored.file(job) is None
    stored.lose(job)

    ended = stored.run(job)

    file = stored.file(job)
    assert ended.state is JobState.SUCCEEDED, ended.error
    assert file is not None
    assert sha256(stored.content(file.key)) == sha256(content)
    assert stored.keys() == {file.key, *(each.key for each in file.thumbnails)}
    assert stored.multiparts() == []


@pytest.mark.parametrize("kind", ["text", "image", "large"])
def test_a_write_whose_answer_was_lost_is_recognised_as_ours(
    stormy: Factory, sky: Weather, kind: str
) -> None:
    content, filename = sample(kind)
    job = stormy.received(content, filename)
    for writes in (weather.puts, weather.completes):
        sky.brings(weather.the_answer_is_lost, to=weather.firsts(writes), times=None)

    ended = stormy.run(job)

    file = stormy.file(job)
    assert ended.state is JobState.SUCCEEDED, ended.error
    assert file is not None
    assert file.etag == stormy.objects.find(file.key).etag  # type: ignore[union-attr]  # or it fails
    assert sha256(stormy.content(file.key)) == sha256(content)
    assert stormy.multiparts() == []


def test_a_completion_that_finds_its_multipart_gone_but_the_object_there_is_ours(
    stormy: Factory, sky: Weather
) -> None:
    job = stormy.received(text(9 * MIB))
    sky.brings(weather.the_answer_is_lost, to=weather.completes)
    sky.brings(weather.an_error(404, "NoSuchUpload"), to=weather.completes)

    ended = stormy.run(job)

    assert ended.state is JobState.SUCCEEDED, ended.error


def test_a_multipart_that_somebody_aborted_is_begun_again(stormy: Factory, sky: Weather) -> None:
    job = stormy.received(text(9 * MIB))
    sky.brings(weather.an_error(404, "NoSuchUpload"), to=weather.completes)

    put_off = stormy.run(job)
    ended = stormy.run(job)

    assert (put_off.state, put_off.attempts) == (JobState.QUEUED, 0)
    assert ended.state is JobState.SUCCEEDED, ended.error


@pytest.mark.parametrize(
    ("fault", "to", "kind"),
    [
        (weather.an_error(503, "SlowDown"), weather.everything, "text"),
        (weather.nothing_is_done, weather.everything, "image"),
        (weather.an_error(500, "InternalError"), weather.parts, "large"),
        (weather.a_bit_flips, weather.parts, "large"),
        (weather.an_error(503, "SlowDown"), weather.completes, "large"),
        (weather.it_hangs, weather.completes, "large"),
    ],
    ids=["503", "reset", "parts fail", "parts flip", "completion fails", "completion hangs"],
)
def test_while_the_store_is_out_the_job_waits_and_loses_no_attempt(
    stormy: Factory, sky: Weather, fault: weather.Fault, to: weather.Choice, kind: str
) -> None:
    stormy.listen()
    content, filename = sample(kind)
    job = stormy.received(content, filename)
    sky.brings(fault, to=to, times=None)
    hurried = stormy.with_objects(impatient(sky.place, attempts=1))

    for outage in range(2 if kind == "text" else 1):
        waiting = hurried.run(job)

        assert (waiting.state, waiting.attempts, waiting.outages) == (
            JobState.QUEUED,
            0,
            outage + 1,
        )
        assert waiting.error is not None
        assert waiting.error["code"] == "objects_unavailable"
        assert waiting.due_at - waiting.updated_at >= OUTAGE_PAUSES[outage] / 2
        assert stormy.claims.claim(job.id, "early") is None
    sky.clears()
    ended = stormy.run(job)

    file = stormy.file(job)
    assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 1)
    assert file is not None
    assert sha256(stormy.content(file.key)) == sha256(content)
    for _ in range(2):
        stormy.services.sweeps.run("multiparts")
    assert (stormy.multiparts(), stormy.quota()) == ([], (len(content), 0))
    assert stormy.events() == ["file.ready"]


def test_an_outage_that_lasts_a_day_fails_the_job(sqlite_url: str, tmp_path: Path) -> None:
    with weather_before(S3Place("b", "r", "http://127.0.0.1:9", None, "a", "s")) as proxy:
        objects = impatient(proxy.place, attempts=1)
        proxy.brings(weather.nothing_is_done, times=None)
        with a_factory(tmp_path, sqlite_url, objects=objects) as factory:
            job = factory.received(text(1000))
            with factory.records.begin() as rows:
                claimed = rows.jobs.claim(job.id, "w", timedelta(seconds=30), 3)
                assert claimed is not None
                rows.jobs.advance(
                    job.id, Event.HAND_BACK, fence=claimed.fence, outages=300, attempts=0
                )

            ended = factory.run(job)

            assert ended.state is JobState.FAILED
            assert ended.error is not None
            assert ended.error["code"] == "objects_unavailable"
            assert len(factory.staged()) == 1


def test_an_unexplained_fault_uses_the_attempts_up(factory: Factory) -> None:
    factory.listen()
    broken = factory.with_settings(thumbnail_sizes="nonsense")
    job = factory.received(text(1000))

    states = [broken.run(job) for _ in range(3)]

    assert [(each.state, each.attempts) for each in states] == [
        (JobState.QUEUED, 1),
        (JobState.QUEUED, 2),
        (JobState.FAILED, 3),
    ]
    assert all(each.error and each.error["code"] == "internal_error" for each in states)
    assert (len(factory.staged()), factory.quota()) == (1, (0, 1000))
    assert factory.events() == ["file.failed"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_image_whose_decoder_the_host_kills_is_tried_again_and_its_bytes_are_kept(
    factory: Factory,
) -> None:
    factory.listen()
    job = factory.received(a_png(640, 480), "photo.png")

    put_back = [killed_while_decoding(factory, job) for _ in range(2)]
    ended = factory.run(job)

    assert [(each.state, each.attempts) for each in put_back] == [
        (JobState.QUEUED, 1),
        (JobState.QUEUED, 2),
    ]
    assert all(each.error and each.error["code"] == "decoder_interrupted" for each in put_back)
    assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 3)
    assert factory.events() == ["file.ready"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_image_whose_decoder_is_killed_each_time_fails_and_can_be_retried(
    factory: Factory,
) -> None:
    factory.listen()
    job = factory.received(a_png(640, 480), "photo.png")

    states = [killed_while_decoding(factory, job).state for _ in range(3)]
    staged = len(factory.staged())
    factory.services.jobs.retry(ADMIN, job.id)

    assert states == [JobState.QUEUED, JobState.QUEUED, JobState.FAILED]
    assert (staged, factory.events()) == (1, ["file.failed"])
    assert factory.run(job).state is JobState.SUCCEEDED


def test_a_failed_job_that_is_retried_starts_over(factory: Factory) -> None:
    job = factory.received(text(1000))
    for _ in range(3):
        factory.with_settings(thumbnail_sizes="nonsense").run(job)

    again = factory.services.jobs.retry(ADMIN, job.id)
    ended = factory.run(job)

    assert (again.state, again.attempts, again.error) == (JobState.QUEUED, 0, None)
    assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 1)
    assert factory.quota() == (1000, 0)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("step", STEPS)
def test_a_worker_that_is_stopped_hands_its_job_back_at_the_next_step(
    factory: Factory, step: str
) -> None:
    job = factory.received(text(9 * MIB), cut=5 * MIB)
    stopping: list[bool] = []
    factory.board.before[step] = lambda: stopping.append(True)

    back = factory.run(job, is_stopping=lambda: bool(stopping))

    if step == "record":  # the last step is not cut off
        assert back.state is JobState.SUCCEEDED
        return
    assert (back.state, back.attempts, back.outages) == (JobState.QUEUED, 0, 0)
    assert factory.upload(job).state is UploadState.SEALED
    assert factory.bell.processed == [job.id, job.id]
    assert (factory.multiparts(), factory.keys()) == ([], set())
    assert factory.run(job).state is JobState.SUCCEEDED


def test_a_commit_whose_answer_was_lost_is_no_second_file(
    postgres_rows: str, tmp_path: Path
) -> None:
    with a_cable(postgres_rows) as cable, a_factory(tmp_path, cable.url) as factory:
        factory.listen()
        job = factory.received(text(1000))
        factory.board.before["record"] = lambda: cable.loses_the_answer_to(b"COMMIT")

        ended = factory.run(job)

        assert cable.lost == 1
        assert ended.state is JobState.SUCCEEDED
        assert (factory.quota(), factory.events()) == ((1000, 0), ["file.ready"])


def test_a_database_that_goes_away_costs_no_attempt(postgres_rows: str, tmp_path: Path) -> None:
    with a_cable(postgres_rows) as cable, a_factory(tmp_path, cable.url) as factory:
        content = text(9 * MIB)
        job = factory.received(content)
        factory.board.before["publish"] = cable.cut
        later = threading.Timer(2, cable.mend)
        later.start()
        put_off = factory.run(job)
        later.join()

        ended = factory.run(job)

        assert put_off.error is not None
        assert (put_off.state, put_off.attempts) == (JobState.QUEUED, 0)
        assert put_off.error["code"] == "records_unavailable"
        assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 1)
        assert sha256(factory.content(factory.upload(job).key)) == sha256(content)
        assert (factory.multiparts(), len(factory.keys())) == ([], 1)


def test_however_long_the_database_is_away_the_attempt_is_given_back(
    sqlite_url: str, tmp_path: Path
) -> None:
    with a_factory(tmp_path, sqlite_url) as factory:
        job = factory.received(text(1000))
        records, clock = Leaving(factory.records), HandClock(until=3600)
        clock.then = records.comes_back
        services = replace(
            factory.services, clock=clock, claims=replace(factory.claims, records=records)
        )
        factory.board.before["publish"] = records.leaves

        Processing(services, "w", lambda: False).process(job.id)

        put_off = factory.job(job)
        assert (put_off.state, put_off.attempts, put_off.outages) == (JobState.QUEUED, 0, 1)
        assert sorted(clock.waits) == clock.waits
        assert (clock.waits[0], clock.waits[-1]) == (1, 5)
        assert factory.run(job).state is JobState.SUCCEEDED


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_can_not_be_undone_does_not_say_how_a_job_ends(factory: Factory) -> None:
    job = factory.received(text(9 * MIB), sha256="0" * 64)

    ended = factory.with_objects(Clumsy(factory.objects)).run(job)

    assert ended.state is JobState.REJECTED
    assert ended.error is not None
    assert ended.error["code"] == "digest_mismatch"


@dataclass
class Clumsy:
    """A store that can't abort."""

    inner: ObjectStore

    def __getattr__(self, verb: str) -> Any:
        return getattr(self.inner, verb)

    def abort_multipart(self, key: str, multipart_id: str) -> None:
        raise RuntimeError(key, multipart_id)


@dataclass
class Leaving:
    """Records that may be away."""

    inner: SqlRecords
    is_away: bool = False

    def __getattr__(self, verb: str) -> Any:
        if self.is_away:
            raise Unavailable("records", "The database does not answer.")
        return getattr(self.inner, verb)

    def leaves(self) -> None:
        self.is_away = True

    def comes_back(self) -> None:
        self.is_away = False


@dataclass
class HandClock(SystemClock):
    """Waits for nothing; does `then` once it was to wait for `until` seconds in all."""

    until: float
    then: Callable[[], object] = lambda: None
    waits: list[float] = field(default_factory=list)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        if sum(self.waits) >= self.until:
            self.then()


def killed_while_decoding(factory: Factory, job: Job) -> Job:
    """Run a job while whatever child it starts is killed, as the kernel does for memory."""
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.005):
            for each in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    if "decoder.py" in " ".join(each.cmdline()):
                        each.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        return factory.run(job)
    finally:
        over.set()
        killer.join()


def text(size: int, seed: int = 1) -> bytes:
    block = bytes(random.Random(seed).choices(b"abcdefgh \n", k=min(size, 100_003)))  # noqa: S311  # test bytes
    return (block * (size // len(block) + 1))[:size] if block else b""


def sample(kind: str) -> tuple[bytes, str]:
    if kind == "image":
        return a_png(300, 200), "photo.png"
    return text(1000 if kind == "text" else 9 * MIB), "notes.txt"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def without_due(snapshot: Any) -> Any:
    return {name: rows for name, rows in snapshot.items() if name != "jobs"}


def emptied(factory: Factory) -> None:
    factory.objects.delete(sorted(factory.keys()))
    for each in factory.objects.open_multiparts():
        factory.objects.abort_multipart(each.key, each.multipart_id)
