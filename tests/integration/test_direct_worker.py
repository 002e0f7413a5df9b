"""How a worker makes a file of what its client has sent to the store, on good days and bad ones."""

from typing import Final

from shared.model.job import Job
from shared.model.lifecycle import Event, JobState
from tests.integration.test_direct import FIVE, TEXT, opened, sealed, sent
from tests.support.factory import Factory
from tests.support.weather import Call, Weather, cut_short

CONTENT: Final = b"0123456789abcde\n" * (FIVE // 8) + TEXT


def queued(far: Factory) -> Job:
    """Queue a job for a file of three parts."""
    upload = opened(far, size=len(CONTENT), chunk_size=FIVE)
    sent(far, upload, CONTENT)
    return sealed(far, upload)


def reads_all(call: Call) -> bool:
    """Pick what reads to the end of the file, not its head."""
    said = {name.lower(): value for name, value in call.headers.items()}
    return call.method == "GET" and said.get("range", "").endswith(f"-{len(CONTENT) - 1}")


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
