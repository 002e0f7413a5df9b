"""Uploads in one request: a multipart form, its file streamed straight into staging.

Fields may stand before or after the file; nothing has a row until all of it has arrived.
"""

from http import HTTPStatus
from typing import Any, Final

from apiflask import APIBlueprint
from flask import request

from shared.errors import Conflict, DigestMismatch, Gone, Invalid, TooLarge, Unsupported
from shared.model.caller import Caller
from shared.model.job import Job, JobStatus
from shared.model.lifecycle import JobState
from web.auth import caller
from web.errors import STATUS, problem
from web.forms import MOST_FIELDS_BYTES, FileForm
from web.limits import holds_slot
from web.requests import idempotency_key, preferred_wait
from web.rest.documented import answers
from web.rest.outputs import FileOut, JobOut
from web.services import services

bp = APIBlueprint("submissions", __name__, url_prefix="/api/v1/files", tag="Uploads in one request")

_BUFFER_BYTES: Final = 256 * 1024
# What a job is rejected for and a request could be refused for has one status; the rest is 422.
_REJECTED: Final = {
    refusal.code: STATUS[refusal.kind] for refusal in (DigestMismatch, TooLarge, Unsupported)
}
_FORM: Final = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "folder": {"type": "string"},
        "description": {"type": "string"},
        "metadata": {"type": "string", "description": "A JSON object."},
        "tags": {"type": "string", "description": "A JSON list, or names with commas between."},
        "is_public": {"type": "boolean"},
        "expires_in": {"type": "integer", "description": "Seconds."},
        "reference": {"type": "string"},
        "profile": {"type": "string"},
    },
}


@bp.post("/upload")
@answers({201: FileOut, 202: JobOut}, problems=(404, 409, 410, 413, 415, 502, 504, 507), form=_FORM)
def upload_file() -> Any:
    """Take a whole file; answers with it once its job has ended, or with the job.

    `Prefer: wait=N` waits up to N seconds (60 when nothing is said), `respond-async` not at all.
    """
    _refuse_before_reading()
    key, seconds = idempotency_key(request), preferred_wait(request)
    job = _received(caller(), key)
    status = services().jobs.wait(caller(), job.id, seconds if holds_slot() else 0)
    return _answer(status)


def _refuse_before_reading() -> None:
    if request.mimetype != "multipart/form-data":
        raise Invalid("Send the file as multipart/form-data, in the field `file`.")
    largest = services().screening.largest_anywhere
    room = largest + MOST_FIELDS_BYTES + _BUFFER_BYTES
    if request.content_length is not None and request.content_length > room:
        raise TooLarge(f"At most {largest} bytes are allowed.", limit=largest)


def _received(who: Caller, key: str | None) -> Job:
    with FileForm(services().uploads, who) as form:
        intake, new = form.read(request)
        return services().uploads.submit(who, new, intake, idempotency_key=key)


def _answer(status: JobStatus) -> Any:
    job, describing = status.job, services().describing
    if status.visible_file is not None:
        location = {"Location": describing.file_url(status.visible_file.id)}
        return describing.file(status.visible_file), HTTPStatus.CREATED, location
    if not job.is_final:
        location = {"Location": describing.job_url(job.id)}
        return describing.job(status), HTTPStatus.ACCEPTED, location
    if job.state is JobState.SUCCEEDED:
        raise Gone("This file was stored, and deleted since.", job_id=job.id)
    if job.state is JobState.CANCELLED:
        raise Conflict("This upload was cancelled.", job_id=job.id)
    if job.state is JobState.REJECTED and job.error is not None:
        facts = {name: value for name, value in job.error.items() if name not in {"code", "detail"}}
        code = _REJECTED.get(job.error["code"], HTTPStatus.UNPROCESSABLE_ENTITY)
        return problem(code, job.error["code"], job.error["detail"], job_id=job.id, **facts)
    detail = "The file could not be processed; the job says why."
    return problem(HTTPStatus.BAD_GATEWAY, "job_failed", detail, job_id=job.id)
