"""A digest that comes after the upload was sealed: it counts, or is refused, and is never ignored."""

import hashlib
from collections.abc import Callable

import pytest

from shared.errors import Conflict, DigestMismatch, Unprocessable
from shared.model.job import Job
from shared.model.lifecycle import JobState
from tests.integration.test_direct import ADMIN, TEXT, opened, sent
from tests.support.factory import Factory
from tests.support.workshop import ALICE

RIGHT = hashlib.sha256(TEXT).hexdigest()
WRONG = "0" * 64


def adopted(far: Factory) -> Job:
    upload = opened(far)
    sent(far, upload)
    job = far.services.uploads.direct.adopt(upload)
    assert job is not None
    return job


def chunked(far: Factory) -> Job:
    return far.received(TEXT)


@pytest.fixture(params=[adopted, chunked])
def job(far: Factory, request: pytest.FixtureRequest) -> Job:
    sealed: Callable[[Factory], Job] = request.param
    return sealed(far)


def said(far: Factory, job: Job, sha256: str) -> Job:
    return far.services.uploads.complete(ALICE, job.upload_id, sha256=sha256)


def test_before_the_job_runs_it_is_the_jobs_to_compare(far: Factory, job: Job) -> None:
    assert said(far, job, WRONG).id == job.id
    assert said(far, job, WRONG).id == job.id
    with pytest.raises(Unprocessable):
        said(far, job, RIGHT)

    ended = far.run(job)

    assert (ended.state, (ended.error or {})["code"]) == (JobState.REJECTED, "digest_mismatch")


def test_while_the_job_runs_nobody_can_say(far: Factory, job: Job) -> None:
    far.claim(job)

    with pytest.raises(Conflict):
        said(far, job, RIGHT)


def test_after_the_job_the_file_is_compared(far: Factory, job: Job) -> None:
    assert far.run(job).state is JobState.SUCCEEDED

    assert said(far, job, RIGHT).state is JobState.SUCCEEDED
    with pytest.raises(DigestMismatch):
        said(far, job, WRONG)
    with pytest.raises(Unprocessable):
        said(far, job, "nonsense")


def test_what_failed_is_compared_when_it_is_tried_again(far: Factory, job: Job) -> None:
    far.claims.give_up(far.claim(job), {"code": "attempts_exhausted", "detail": "Enough."})
    said(far, job, WRONG)

    again = far.run(far.services.jobs.retry(ADMIN, job.id))

    assert (again.state, (again.error or {})["code"]) == (JobState.REJECTED, "digest_mismatch")
