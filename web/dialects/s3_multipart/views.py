"""The calls of Companion's S3 contract, each one verb of the services.

An upload's `uploadId` is its id; its `key` is where it waits in the store, which no file ever has.
"""

from datetime import datetime
from typing import Any, Final, cast

from apiflask import APIBlueprint
from flask import g, request
from werkzeug.exceptions import MethodNotAllowed

from shared.errors import Unprocessable
from shared.model.direct import MOST_PARTS, PartJoined
from shared.model.grant import Holder
from shared.model.job import Job
from shared.model.stored import PartSeen
from shared.services.unsized import Opened
from web.auth import caller
from web.dialects.s3_multipart.inputs import BatchQuery, CompleteIn, KeyQuery, ParamsQuery, UploadIn
from web.limits import hold_slot, hold_slot_for_staging
from web.rates import counted_as
from web.requests import SluiceRequest
from web.services import services

bp = APIBlueprint("s3_multipart", __name__, enable_openapi=False)

# Ten thousand parts, each with an ETag and blanks around it.
MOST_BODY: Final = 2 * 1024 * 1024

_FRESH: Final = {"Cache-Control": "no-store"}


def holder() -> Holder:
    return Holder(caller(), g.get("grant_id"))


def found(upload_id: str, key: str | None = None) -> Opened:
    return services().unsized.find(holder(), upload_id, key)


def completed(opened: Opened, job: Job) -> dict[str, str]:
    """Say what a finished upload is: `location` is that of its job."""
    return {
        "location": services().describing.job_url(job.id),
        "key": opened.key,
        "bucket": services().settings.s3_bucket_name,
        "upload_id": opened.upload.id,
        "job_id": job.id,
    }


@bp.before_request
def take_long_lists() -> None:
    cast("SluiceRequest", request).most_json = MOST_BODY


@bp.get("/params")
@bp.input(ParamsQuery, location="query", arg_name="query")
@counted_as("write")  # whatever its method: it opens an upload
def sign_form(query: ParamsQuery) -> Any:
    """Open an upload that comes whole, and sign a form for it."""
    if request.method == "HEAD":  # the answer would be lost, and the upload stay open
        raise MethodNotAllowed(["GET"])
    hold_slot()
    signed = services().unsized.open_form(holder(), query.new(request.args))
    said = {"method": "POST", "url": signed.form.url, "fields": dict(signed.form.fields)}
    return said | {"expires": _seconds(signed.expires_at)}, _FRESH


@bp.post("/multipart")
@bp.input(UploadIn, arg_name="said")
def open_parts(said: UploadIn) -> Any:
    """Open an upload that comes in parts."""
    hold_slot()
    opened = services().unsized.open_parts(holder(), said.new())
    bucket = services().settings.s3_bucket_name
    return {"key": opened.key, "uploadId": opened.upload.id, "bucket": bucket}, _FRESH


@bp.get("/multipart/<upload_id>")
@bp.input(KeyQuery, location="query", arg_name="query")
def list_parts(upload_id: str, query: KeyQuery) -> Any:
    """List the parts that the store has."""
    hold_slot()
    return [_listed(part) for part in services().unsized.parts(found(upload_id, query.key))], _FRESH


@bp.get("/multipart/<upload_id>/<int:number>")
@bp.input(KeyQuery, location="query", arg_name="query")
def sign_part(upload_id: str, number: int, query: KeyQuery) -> Any:
    """Sign a request for one part."""
    if not 1 <= number <= MOST_PARTS:
        raise Unprocessable(f"Parts are numbered from 1 to {MOST_PARTS}.")
    signed = services().unsized.sign_parts(holder(), found(upload_id, query.key), [number])
    return {"url": signed.targets[0].url, "expires": _seconds(signed.expires_at)}, _FRESH


@bp.get("/multipart/<upload_id>/batch")
@bp.input(BatchQuery, location="query", arg_name="query")
def sign_batch(upload_id: str, query: BatchQuery) -> Any:
    """Sign requests for many parts."""
    hold_slot()
    opened = found(upload_id, query.key)
    signed = services().unsized.sign_parts(holder(), opened, query.part_numbers)
    urls = {str(each.number + 1): each.url for each in signed.targets}
    return {"presignedUrls": urls, "expires": _seconds(signed.expires_at)}, _FRESH


@bp.post("/multipart/<upload_id>/complete")
@bp.input(KeyQuery, location="query", arg_name="query")
@bp.input(CompleteIn, arg_name="said")
def complete(upload_id: str, query: KeyQuery, said: CompleteIn) -> Any:
    """Join the parts and queue the job; a repeat answers the same."""
    hold_slot()
    opened = found(upload_id, query.key)
    job = services().unsized.complete(holder(), opened, said.etags())
    return completed(opened, job), _FRESH


@bp.delete("/multipart/<upload_id>")
@bp.input(KeyQuery, location="query", arg_name="query")
def abort(upload_id: str, query: KeyQuery) -> Any:
    """Cancel the upload; a repeat is success."""
    hold_slot_for_staging()
    opened = found(upload_id, query.key)
    services().uploads.cancel(caller(), opened.upload.id)
    return {}, _FRESH


def _listed(part: PartSeen | PartJoined) -> dict[str, Any]:
    said: dict[str, Any] = {"PartNumber": part.number, "ETag": f'"{part.etag}"'}
    return said | {"Size": part.length} if isinstance(part, PartSeen) else said


def _seconds(expires_at: datetime) -> int:
    """Return in how many seconds that is."""
    return max(1, round((expires_at - services().clock.now()).total_seconds()))
