"""Uploads in one request: a multipart form, its file streamed straight into staging.

Fields may stand before or after the file; nothing has a row until all of it has arrived.
"""

from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from apiflask import APIBlueprint
from flask import request

from shared.model.caller import Caller
from shared.model.job import Job, JobStatus
from web.auth import caller
from web.forms import FileForm
from web.limits import holds_slot
from web.outcomes import refused
from web.requests import idempotency_key, preferred_wait
from web.rest.documented import answers
from web.rest.fields import file_fields
from web.rest.inputs import ReplaceQuery
from web.rest.outputs import FileOut, JobOut
from web.server.stopping import stopping
from web.services import services

bp = APIBlueprint("submissions", __name__, url_prefix="/api/v1/files", tag="Uploads in one request")

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
        "replace": {"type": "boolean", "description": "A file of yours that has the bare name."},
    },
}


@bp.post("/upload")
@bp.input(ReplaceQuery, location="query", arg_name="query")
@answers({201: FileOut, 202: JobOut}, problems=(404, 409, 410, 413, 415, 502, 504, 507), form=_FORM)
def upload_file(query: ReplaceQuery) -> Any:
    """Take a whole file; answers with it once its job has ended, or with the job.

    `Prefer: wait=N` waits up to N seconds (60 when nothing is said), `respond-async` not at all.
    """
    key, seconds = idempotency_key(request), preferred_wait(request)
    job = _received(caller(), key, replacing=query.replace)
    seconds = seconds if holds_slot() else 0
    status = services().jobs.begun(caller(), job)
    status = services().jobs.wait(caller(), status, seconds, is_over=stopping.has_begun)
    return _answer(status)


def _received(who: Caller, key: str | None, *, replacing: bool) -> Job:
    with FileForm(services().uploads, who) as form:
        received = form.read(request)
        new = file_fields(received.fields).of(received.filename, received.content_type)
        new = replace(new, replace=new.replace or replacing)
        return services().uploads.submit(who, new, received.intake, idempotency_key=key)


def _answer(status: JobStatus) -> Any:
    describing = services().describing
    if status.visible_file is not None:
        location = {"Location": describing.file_url(status.visible_file.id)}
        return describing.file(status.visible_file), HTTPStatus.CREATED, location
    if not status.job.is_final:
        location = {"Location": describing.job_url(status.job.id)}
        return describing.job(status), HTTPStatus.ACCEPTED, location
    raise refused(status.job)
