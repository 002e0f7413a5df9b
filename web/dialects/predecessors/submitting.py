"""A file in one request, answered when its job has ended: what the predecessors did at once."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from flask import request

from shared.model.file import File
from shared.model.upload import NewUpload
from web.auth import caller
from web.errors import Refusal, Refused
from web.forms import FileForm, Received
from web.limits import holds_slot
from web.outcomes import refused
from web.requests import idempotency_key
from web.services import services

LONGEST_WAIT_SECONDS: Final = 60


def submitted(new: Callable[[Received], NewUpload]) -> File:
    """Take the form's file as `new` says and wait for it.

    Raises what `FileForm` and `UploadService.submit` raise; `Refused` when the job ends without a
    file, with 504 when it has not ended in time: it goes on.
    """
    who = caller()
    with FileForm(services().uploads, who) as form:
        received = form.read(request)
        key = idempotency_key(request)
        uploads = services().uploads
        job = uploads.submit(who, new(received), received.intake, idempotency_key=key)
    return file_of(job.id)


def file_of(job_id: str) -> File:
    """Wait for a job, at most a minute; return its file, or raise why there is none."""
    seconds = LONGEST_WAIT_SECONDS if holds_slot() else 0
    status = services().jobs.wait(caller(), job_id, seconds)
    if status.visible_file is not None:
        return status.visible_file
    if status.job.is_final:
        raise refused(status.job)
    detail = "The file is here and still being processed; its job goes on."
    raise Refused(Refusal(HTTPStatus.GATEWAY_TIMEOUT, "not_in_time", detail, {"job_id": job_id}))
