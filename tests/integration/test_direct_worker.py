"""How a worker makes a file of what its client has sent to the store, on good days and bad ones."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
import requests

from shared.adapters.objects_s3 import S3Objects
from shared.model.job import Job
from shared.model.lifecycle import Event, JobState
from tests.integration.test_direct import FIVE, TEXT, opened, sealed, sent
from tests.support.factory import Factory, a_factory
from tests.support.waiting import eventually
from tests.support.weather import Answer, Call, Weather, an_error, cut_short
from tests.support.workshop import ALICE

CONTENT: Final = b"0123456789abcde\n" * (FIVE // 8) + TEXT


@pytest.fixture
def piecemeal(sky: Weather, tmp_path: Path, sqlite_url: str) -> Iterator[Factory]:
    """A factory whose store copies 5 MiB at once."""
    with a_factory(tmp_path, sqlite_url, objects=S3Objects(sky.place, copied_at_once=FIVE)) as made:
        yield made
        sky.clears()


def queued(far: Factory) -> Job:
    """Queue a job for a file of three parts."""
    upload = opened(far, size=len(CONTENT), chunk_size=FIVE)
    sent(far, upload, CONTENT)
    return sealed(far, upload)


def reads_all(call: Call) -> bool:
    """Pick what reads to the end of the file, not its head."""
    said = {name.lower(): value for name, value in call.headers.items()}
    return call.method == "GET" and said.get("range", "").endswith(f"-{len(CONTENT) - 1}")


def copies_a_part(call: Call) -> bool:
    said = {name.lower() for name in call.headers}
    return "partNumber" in call.path and "x-amz-copy-source" in said


def aborts(call: Call) -> bool:
    return call.method == "DELETE" and "uploadId" in call.path


def test_an_answer_that_breaks_off_is_gone_on_with_from_there(far: Factory, sky: Weather) -> None:
    job = queued(far)
    sky.brings(cut_short, to=reads_all, times=2)
    before = len(sky.calls)

    ended = far.run(job)

    assert (ended.state, ended.outages) == (JobState.SUCCEEDED, 0)
    read = [call.headers["Range"] for call, _ in sky.calls[before:] if reads_all(call)]
    starts = [int(said.removeprefix("bytes=").split("-")[0]) for said in read]
    assert starts[0] == 0
    assert 0 < starts[1] < starts[2]
    file = far.file(job)
    assert file is not None
    assert far.content(file.key) == CONTENT


def test_answers_that_all_break_off_cost_the_job_no_attempt(far: Factory, sky: Weather) -> None:
    job = queued(far)
    sky.brings(cut_short, to=reads_all, times=None)

    waiting = far.run(job)

    assert (waiting.state, waiting.attempts, waiting.outages) == (JobState.QUEUED, 0, 1)


def test_nothing_is_made_of_an_upload_that_was_sealed_by_who_did_not_look(far: Factory) -> None:
    upload = opened(far)
    sent(far, upload)
    with far.records.begin() as rows:  # as a web of an older release does
        rows.uploads.advance(upload.id, Event.SEAL)
        rows.uploads.settle(upload.id, size=0)
        job = far.services.jobs.queue(rows, upload, 0)

    ended = far.run(job)

    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error["code"] == "storage_corrupt"
    assert far.file(job) is None
    assert far.keys() == {f".staging/direct/{upload.id}"}


def test_a_worker_that_is_to_stop_copies_no_further(piecemeal: Factory, sky: Weather) -> None:
    job = queued(piecemeal)
    hung = threading.Event()

    def hangs(call: Call) -> None:
        hung.set()
        call.over.wait(20)

    sky.brings(hangs, to=copies_a_part, times=None)
    began = time.monotonic()

    waiting = piecemeal.run(job, is_stopping=hung.is_set)

    took = time.monotonic() - began
    sky.over.set()
    assert (waiting.state, waiting.attempts) == (JobState.QUEUED, 0)
    assert took < 10
    assert eventually(lambda: not piecemeal.multiparts())
    sky.clears()
    assert piecemeal.run(job).state is JobState.SUCCEEDED


def test_a_copy_whose_source_changes_half_way_leaves_no_parts_behind(
    piecemeal: Factory, sky: Weather
) -> None:
    upload = opened(piecemeal)
    (target,) = piecemeal.services.targets.sign(ALICE, upload.id).targets
    requests.put(target.url, data=CONTENT, timeout=10).raise_for_status()
    job = sealed(piecemeal, upload)

    def swapped(call: Call) -> Answer:
        requests.put(target.url, data=TEXT, timeout=10).raise_for_status()
        return call.forward()

    sky.brings(swapped, to=lambda call: copies_a_part(call) and "partNumber=2" in call.path)
    sky.brings(an_error(403, "AccessDenied"), to=aborts, times=None)
    ended = piecemeal.run(job)
    sky.clears()
    assert (ended.state, len(piecemeal.multiparts())) == (JobState.REJECTED, 1)

    piecemeal.shift("objects", "updated_at", -timedelta(days=2), upload_id=upload.id)
    piecemeal.services.sweeps.run("object-orphans")

    assert piecemeal.multiparts() == []
