"""What a request that waited for its job is told when there is no file at its end."""

from http import HTTPStatus
from typing import Final

from shared.errors import DigestMismatch, NameTaken, Rejected, TooLarge, Unsupported
from shared.model.job import Job
from shared.services.outcomes import without_file
from web.errors import STATUS, Refusal, Refused

# What a job is rejected for and a request could be refused for has one status; the rest is 422.
_REJECTED: Final = {
    refusal.code: STATUS[refusal.kind]
    for refusal in (DigestMismatch, NameTaken, TooLarge, Unsupported)
}


def refused(job: Job) -> Exception:
    """Return the error that says why this final job has no file to show."""
    why = without_file(job)
    if not isinstance(why, Rejected):
        return why
    status = _REJECTED.get(why.code, HTTPStatus.UNPROCESSABLE_ENTITY)
    return Refused(Refusal(status, why.code, str(why), why.facts))
