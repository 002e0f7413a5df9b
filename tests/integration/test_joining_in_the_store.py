"""Long chunks that lie in the bucket are joined by the store; what is short is sent."""

import hashlib
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from shared.adapters.staging_s3 import S3Staging
from shared.model.job import Job
from shared.model.lifecycle import JobState
from shared.model.upload import NewUpload
from tests.integration.test_joining import job_of, joined, part, send
from tests.support import weather
from tests.support.factory import Factory, a_factory
from tests.support.weather import Call, Weather, impatient
from tests.support.workshop import ALICE, Bytes

MIB: Final = 1024**2


@pytest.fixture
def factory(sky: Weather, tmp_path: Path, sqlite_url: str) -> Iterator[Factory]:
    """A factory whose store and staging are one bucket, behind the weather."""
    store = impatient(sky.place, seconds=5)
    with a_factory(
        tmp_path, sqlite_url, objects=store, staging=S3Staging(store, ".staging/")
    ) as made:
        yield made
        sky.clears()
        store.delete(sorted(made.keys()))


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size // 2 + 1).hex().encode()[:size]  # noqa: S311  # no secret


def received(factory: Factory, content: bytes, *lengths: int, **said: Any) -> Job:
    """Receive `content` in chunks of these lengths."""
    services = factory.services
    upload = services.uploads.open(ALICE, NewUpload("notes.txt", chunk_size=64 * MIB, **said))
    start = 0
    for number, length in enumerate(lengths):
        body = Bytes(content[start : start + length])
        services.chunks.put(ALICE, upload.id, number, body, None)
        start += length
    assert start == len(content)
    return services.uploads.complete(ALICE, upload.id)


def copies(sky: Weather) -> list[str]:
    """Return which bytes of a chunk the store was told to copy, for each such part."""
    return [said.get("x-amz-copy-source-range", "all") for said in heads(sky) if is_copy(said)]


def sends(sky: Weather) -> list[int]:
    """Return the lengths of the parts that were sent."""
    return [int(said["content-length"]) for said in heads(sky) if not is_copy(said)]


def heads(sky: Weather) -> list[dict[str, str]]:
    return [
        {name.lower(): value for name, value in call.headers.items()}
        for call, status in sky.calls
        if weather.parts(call) and status == 200
    ]


def is_copy(said: dict[str, str]) -> bool:
    return "x-amz-copy-source" in said


def copies_a_part(call: Call) -> bool:
    return weather.parts(call) and any(name.lower() == "x-amz-copy-source" for name in call.headers)


def lists(call: Call) -> bool:
    return call.method == "GET" and "list-type" in call.path


def assert_whole(factory: Factory, job: Job, content: bytes) -> None:
    ended, file = factory.job(job), factory.file(job)
    assert (ended.state, ended.error) == (JobState.SUCCEEDED, None)
    assert file is not None
    assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert (file.size, factory.content(file.key) == content) == (len(content), True)
    assert factory.multiparts() == []
    assert not any(key.startswith(".staging/chunks/") for key in sorted(factory.keys()))


def test_long_chunks_are_copied_and_short_ones_sent(factory: Factory, sky: Weather) -> None:
    content = noise(26 * MIB + 17)
    job = received(factory, content, 8 * MIB, 6 * MIB, 3 * MIB, 8 * MIB, MIB + 17)

    factory.run(job)

    assert_whole(factory, job, content)
    # S3 takes a range only of what has more than 5 MiB.
    assert sorted(copies(sky)) == ["all", "all", f"bytes={2 * MIB}-{8 * MIB - 1}"]
    assert sorted(sends(sky)) == [MIB + 17, 5 * MIB]


def test_each_byte_is_read_once(factory: Factory, sky: Weather) -> None:
    content = noise(16 * MIB)
    job = received(factory, content, 16 * MIB)
    before = len(sky.calls)

    factory.run(job)

    asked = [call for call, _ in sky.calls[before:] if call.method == "GET"]
    read = [call.headers["Range"] for call in asked if "/chunks/" in call.path.partition("?")[0]]
    whole = f"bytes=0-{8 * MIB - 1}"
    assert read == [f"bytes=0-{64 * 1024 - 1}", whole, whole]  # the head is looked at before
    assert sends(sky) == []
    assert_whole(factory, job, content)


def test_partial_uploads_are_joined_from_where_they_lie(factory: Factory, sky: Weather) -> None:
    content = noise(14 * MIB)
    halves = (content[: 6 * MIB], content[6 * MIB :])
    parts = [part(factory, len(half)) for half in halves]
    for each, half in zip(parts, halves, strict=True):
        send(factory, each, half)
    job = job_of(factory, joined(factory, parts))

    factory.run(job)

    assert (copies(sky), sends(sky)) == (["all", "all"], [])
    assert_whole(factory, job, content)


def test_a_store_without_conditions_joins_as_well(factory: Factory, sky: Weather) -> None:
    sky.brings(weather.no_conditions, times=None)
    content = noise(17 * MIB)
    job = received(factory, content, 8 * MIB, 8 * MIB, MIB)

    ended = factory.run(job)

    assert ended.attempts == 1
    assert copies(sky) == ["all", "all"]
    assert_whole(factory, job, content)


def test_a_copy_whose_answer_is_lost_is_made_again(factory: Factory, sky: Weather) -> None:
    content = noise(16 * MIB)
    job = received(factory, content, 16 * MIB)
    sky.brings(weather.the_answer_is_lost, to=copies_a_part)

    factory.run(job)

    assert_whole(factory, job, content)


def test_a_store_that_fails_to_copy_leaves_no_parts_and_the_job_waits(
    factory: Factory, sky: Weather
) -> None:
    content = noise(16 * MIB)
    job = received(factory, content, 16 * MIB)
    sky.brings(weather.an_error(500, "InternalError"), to=copies_a_part, times=None)

    waiting = factory.run(job)
    open_ones = factory.multiparts()
    sky.clears()
    factory.run(job)

    assert (waiting.state, waiting.attempts) == (JobState.QUEUED, 0)
    assert open_ones == []
    assert_whole(factory, job, content)


def test_bytes_that_the_store_copied_wrongly_are_sent(factory: Factory, sky: Weather) -> None:
    content = noise(16 * MIB)
    job = received(factory, content, 16 * MIB)

    def other(call: Call) -> weather.Answer:
        answer = call.forward()
        said = re.sub(rb"(?<=<ChecksumCRC64NVME>)[^<]+", b"AAAAAAAAAAA=", answer.body)
        assert said != answer.body
        headers = [each for each in answer.headers if each[0].lower() != "content-length"]
        return replace(answer, body=said, headers=headers)

    sky.brings(other, to=copies_a_part)

    ended = factory.run(job)

    assert ended.attempts == 1
    assert len(copies(sky)) >= 1
    assert sorted(sends(sky)) == [8 * MIB, 8 * MIB]
    assert_whole(factory, job, content)


def test_a_chunk_that_goes_before_it_is_copied_makes_no_file(
    factory: Factory, sky: Weather
) -> None:
    content = noise(16 * MIB)
    job = received(factory, content, 16 * MIB)

    def gone(call: Call) -> weather.Answer | None:
        factory.staging.clear(job.upload_id)
        return call.forward()

    sky.brings(gone, to=copies_a_part)

    waiting = factory.run(job)
    ended = factory.run(job)

    assert waiting.state is JobState.QUEUED
    assert ended.state is JobState.FAILED
    assert factory.file(job) is None
    assert factory.multiparts() == []


def test_a_file_is_told_of_before_its_chunks_are_cleared(factory: Factory, sky: Weather) -> None:
    job = received(factory, noise(16 * MIB), 16 * MIB)
    factory.listen(owner=None)
    told: list[tuple[object, ...]] = []

    def hangs_up(call: Call) -> None:
        del call
        shown = [each.job.state for each in factory.board.shown]
        told.append((shown[-1], len(factory.bell.delivered)))

    sky.brings(hangs_up, to=lists, times=None)

    ended = factory.run(job)

    assert ended.state is JobState.SUCCEEDED
    assert told == [(JobState.SUCCEEDED, 1)] * 2  # as often as one request is tried
    sky.clears()
    factory.staging.clear(job.upload_id)


def test_a_digest_that_is_not_the_files_is_found_before_anything_is_joined(
    factory: Factory,
) -> None:
    services, content = factory.services, noise(16 * MIB)
    upload = services.uploads.open(
        ALICE, NewUpload("notes.txt", chunk_size=64 * MIB, sha256="0" * 64)
    )
    services.chunks.put(ALICE, upload.id, 0, Bytes(content), None)
    job = services.uploads.complete(ALICE, upload.id)

    ended = factory.run(job)

    assert ended.state is JobState.REJECTED
    assert factory.file(job) is None
    assert factory.multiparts() == []
    assert factory.keys() == set()
