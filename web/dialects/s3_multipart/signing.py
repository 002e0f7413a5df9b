"""`signRequest` of Uppy's S3 plugin, version 6: where each request that it would send to S3 goes.

The bytes go to the store. What opens, lists, ends and aborts comes back here, and is answered as S3
would, in XML: so that a finished upload is sealed at once, and nobody has to find it.
"""

from http import HTTPStatus
from typing import Any, Final, cast
from xml.sax.saxutils import escape

from apiflask import APIBlueprint
from flask import Response, g, request

from shared.errors import Invalid
from shared.model.direct import PartJoined
from shared.model.stored import PartSeen
from web.addresses import root
from web.auth import caller
from web.dialects.s3_multipart.inputs import SignIn, etags_in
from web.dialects.s3_multipart.views import MOST_BODY, completed, found, holder
from web.errors import Refusal
from web.limits import hold_slot, hold_slot_for_staging
from web.requests import SluiceRequest
from web.services import services

bp = APIBlueprint("s3_signing", __name__, enable_openapi=False)

_QUOTE: Final = {'"': "&quot;"}


@bp.post("/sign")
@bp.input(SignIn, arg_name="said")
def sign(said: SignIn) -> Any:
    """Say where the request goes, and for which key it is."""
    url, key = _opened(said) if said.upload_id is None else _continued(said, said.upload_id)
    return {"url": url, "key": key}, {"Cache-Control": "no-store"}


@bp.post("/uploads/<upload_id>")
def begin(upload_id: str) -> Response:
    """Tell of an upload that was opened when this was signed, as CreateMultipartUpload."""
    opened = found(upload_id)
    return _xml("InitiateMultipartUploadResult", _names(opened.key) + _tags(UploadId=upload_id))


@bp.get("/uploads/<upload_id>")
def list_parts(upload_id: str) -> Response:
    """List the parts that the store has, as ListParts; all at once."""
    hold_slot()
    opened = found(upload_id)
    parts = "".join(f"<Part>{_listed(part)}</Part>" for part in services().unsized.parts(opened))
    return _xml("ListPartsResult", _names(opened.key) + parts + _tags(UploadId=upload_id))


@bp.post("/uploads/<upload_id>/complete")
def complete(upload_id: str) -> Response:
    """Join the parts and queue the job, as CompleteMultipartUpload."""
    hold_slot()
    said_whole = cast("SluiceRequest", request).whole_body(MOST_BODY)
    etags = etags_in(said_whole.decode("utf-8", "replace"))
    opened = found(upload_id)
    said = completed(opened, services().unsized.complete(holder(), opened, etags))
    names = _tags(Location=said["location"], ETag=f'"{upload_id}"')
    return _xml("CompleteMultipartUploadResult", _names(opened.key) + names)


@bp.delete("/uploads/<upload_id>")
def abort(upload_id: str) -> Response:
    """Cancel the upload, as AbortMultipartUpload; a repeat is success."""
    hold_slot_for_staging()
    services().uploads.cancel(caller(), found(upload_id).upload.id)
    return Response(status=204)


def refusal(refused: Refusal, status: HTTPStatus) -> Response:
    """Present a refusal of what the plugin takes for S3; it shows `Code` to people."""
    facts = {"Code": refused.code, "Message": refused.detail}
    return _xml("Error", _tags(**facts, RequestId=g.get("request_id", "")), status)


def _opened(said: SignIn) -> tuple[str, str]:
    hold_slot()
    unsized, new = services().unsized, said.new()
    if said.method == "PUT":
        opened, signed = unsized.open_put(holder(), new)
        return signed.targets[0].url, opened.key
    if said.method == "POST":
        opened = unsized.open_parts(holder(), new)
        return _address(opened.upload.id), opened.key
    raise Invalid("Uploads are opened by PUT or by POST.")


def _continued(said: SignIn, upload_id: str) -> tuple[str, str]:
    opened = found(upload_id, said.key)
    if said.method == "PUT":
        if said.part_number is None:
            raise Invalid("A partNumber is wanted.")
        signed = services().unsized.sign_parts(holder(), opened, [said.part_number])
        return signed.targets[0].url, opened.key
    ending = "/complete" if said.method == "POST" else ""
    return f"{_address(upload_id)}{ending}", opened.key


def _address(upload_id: str) -> str:
    return f"{root()}/s3/{g.granted}/uploads/{upload_id}"


def _listed(part: PartSeen | PartJoined) -> str:
    said = _tags(PartNumber=str(part.number), ETag=f'"{part.etag}"')
    return said + _tags(Size=str(part.length)) if isinstance(part, PartSeen) else said


def _names(key: str) -> str:
    return _tags(Bucket=services().settings.s3_bucket_name, Key=key)


def _tags(**named: str) -> str:
    return "".join(f"<{name}>{escape(text, _QUOTE)}</{name}>" for name, text in named.items())


def _xml(name: str, inside: str, status: int = HTTPStatus.OK) -> Response:
    # The plugin looks for this very type before it reads a refusal.
    headers = {"Cache-Control": "no-store", "Content-Type": "application/xml"}
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}>{inside}</{name}>'
    return Response(body, status, headers)
