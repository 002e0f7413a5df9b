"""`signRequest` of Uppy's S3 plugin, version 6: where each request that it would send to S3 goes.

The bytes go to the store. What opens, lists, ends and aborts comes back here, and is answered as S3
would, in XML: so that a finished upload is sealed at once, and nobody has to find it.
"""

from typing import Any, Final, cast
from xml.sax.saxutils import escape

from apiflask import APIBlueprint
from flask import Response, g, request

from shared.errors import Invalid
from web.addresses import root
from web.auth import caller
from web.dialects.s3_multipart.inputs import SignIn, etags_in
from web.dialects.s3_multipart.views import completed, found, holder
from web.limits import hold_slot
from web.requests import SluiceRequest
from web.services import services

bp = APIBlueprint("s3_signing", __name__, enable_openapi=False)

_MOST_BODY: Final = 1024 * 1024


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
    return _xml("InitiateMultipartUploadResult", _names(opened.key), UploadId=upload_id)


@bp.get("/uploads/<upload_id>")
def list_parts(upload_id: str) -> Response:
    """List the parts that the store has, as ListParts; all at once."""
    hold_slot()
    opened = found(upload_id)
    parts = "".join(
        f"<Part><PartNumber>{part.number}</PartNumber><ETag>&quot;{escape(part.etag)}&quot;</ETag>"
        f"<Size>{part.length}</Size></Part>"
        for part in services().unsized.parts(opened)
    )
    return _xml("ListPartsResult", _names(opened.key) + parts, UploadId=upload_id)


@bp.post("/uploads/<upload_id>/complete")
def complete(upload_id: str) -> Response:
    """Join the parts and queue the job, as CompleteMultipartUpload."""
    hold_slot()
    said_whole = cast("SluiceRequest", request).whole_body(_MOST_BODY)
    etags = etags_in(said_whole.decode("utf-8", "replace"))
    opened = found(upload_id)
    said = completed(opened, services().unsized.complete(holder(), opened, etags))
    names = {"Location": said["location"], "ETag": f"&quot;{upload_id}&quot;"}
    return _xml("CompleteMultipartUploadResult", _names(opened.key), **names)


@bp.delete("/uploads/<upload_id>")
def abort(upload_id: str) -> Response:
    """Cancel the upload, as AbortMultipartUpload; a repeat is success."""
    services().uploads.cancel(caller(), found(upload_id).upload.id)
    return Response(status=204)


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


def _names(key: str) -> str:
    bucket = services().settings.s3_bucket_name
    return f"<Bucket>{escape(bucket)}</Bucket><Key>{escape(key)}</Key>"


def _xml(name: str, inside: str, **more: str) -> Response:
    also = "".join(f"<{each}>{text}</{each}>" for each, text in more.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}>{inside}{also}</{name}>'
    return Response(body, mimetype="application/xml", headers={"Cache-Control": "no-store"})
