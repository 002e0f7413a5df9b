"""What a request that waited for its job is told when there is no file at its end."""

from http import HTTPStatus
from typing import Final

from shared.errors import (
    Conflict,
    DigestMismatch,
    Gone,
    JobFailed,
    NameTaken,
    TooLarge,
    Unsupported,
)
from shared.model.job import Job
from shared.model.lifecycle import JobState
from web.errors import STATUS, Refusal, Refused

# What a job is rejected for and a request could be refused for has one status; the rest is 422.
_REJECTED: Final = {
    refusal.code: STATUS[refusal.kind]
    for refusal in (DigestMismatch, NameTaken, TooLarge, Unsupported)
}


def refused(job: Job) -> Exception:
    """Return the error that says why this final job has no file to show."""
    if job.state is JobState.SUCCEEDED:
        return Gone("This file was stored, and deleted since.", job_id=job.id)
    if job.state is JobState.CANCELLED:
        return Conflict("This upload was cancelled.", job_id=job.id)
    if job.state is JobState.REJECTED and job.error is not None:
        facts = {name: value for name, value in job.error.items() if name not in {"code", "detail"}}
        status = _REJECTED.get(job.error["code"], HTTPStatus.UNPROCESSABLE_ENTITY)
        facts = {"job_id": job.id, **facts}
        return Refused(Refusal(status, job.error["code"], job.error["detail"], facts))
    detail = "The file could not be processed; the job says why."
    return JobFailed(detail, job_id=job.id)
