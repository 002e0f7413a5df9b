"""A file in one request, answered when its job has ended: what the predecessors did at once."""

from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Final

from flask import request

from shared.errors import NotInTime
from shared.model.file import File
from shared.model.job import Job, JobStatus
from shared.model.upload import NewUpload
from web.auth import caller
from web.errors import Refusal, Refused
from web.forms import FileForm, Received
from web.limits import holds_slot
from web.outcomes import refused
from web.requests import idempotency_key
from web.server.stopping import stopping
from web.services import services

LONGEST_WAIT_SECONDS: Final = 60
_LEAVE_SECONDS: Final = 5.0  # when the web is being stopped
DENIED: Final = "objects_denied"
STORE_FAULTS: Final = frozenset({"objects_unavailable", DENIED, "object_lost"})


def submitted(
    new: Callable[[Received], NewUpload],
    *,
    profile: str | None = None,
    hopeless: Collection[str] = (),
) -> File:
    """Take the form's file as `new` says and wait for it.

    With its `profile`, what is too large for that is refused before all of it is read; `hopeless`
    is as in `file_of`. Raises what `FileForm` and `UploadService.submit` raise; `Refused` when the
    job ends without a file, and `NotInTime` when it has not ended: it goes on.
    """
    who = caller()
    with FileForm(services().uploads, who, profile=profile) as form:
        received = form.read(request)
        key = idempotency_key(request)
        uploads = services().uploads
        job = uploads.submit(who, new(received), received.intake, idempotency_key=key)
    return file_of(job, hopeless)


def file_of(job: Job, hopeless: Collection[str] = ()) -> File:
    """Wait for a job, at most a minute; return its file, or raise why there is none.

    A job that was put off with one of the codes in `hopeless` is not waited for; of one that still
    waits for the store at the end it is said that the store is at fault.
    """
    status = _waited(job, hopeless)
    if status.visible_file is not None:
        return status.visible_file
    if status.job.is_final:
        raise refused(status.job)
    if (code := _put_off(status.job)) in {*hopeless, *STORE_FAULTS}:
        detail = "The file is here and can't be stored now; its job goes on."
        facts, headers = {"job_id": job.id}, {"Retry-After": "60"}
        unavailable = HTTPStatus.SERVICE_UNAVAILABLE
        raise Refused(Refusal(unavailable, str(code), detail, facts, headers))
    detail = "The file is here and still being processed; its job goes on."
    raise NotInTime(detail, job_id=job.id)


def _waited(job: Job, hopeless: Collection[str]) -> JobStatus:
    clock, jobs = services().clock, services().jobs
    until = clock.monotonic() + (LONGEST_WAIT_SECONDS if holds_slot() else 0)
    status = jobs.begun(caller(), job)
    while not status.job.is_final and _put_off(status.job) not in hopeless:
        left = until - clock.monotonic()
        if left <= 0 or _is_over():
            break
        status = jobs.wait(caller(), status, left, known=status.job.version, is_over=_is_over)
    return status


def _is_over() -> bool:
    # These clients know no answer but the file: most jobs end while the web takes its leave.
    return stopping.has_begun(_LEAVE_SECONDS)


def _put_off(job: Job) -> str | None:
    """Return the code of the outage that a waiting job was put off for."""
    return None if job.error is None or job.is_final else str(job.error["code"])
