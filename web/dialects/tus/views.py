"""The requests of tus 1.0, each one verb of the services."""

from http import HTTPStatus
from typing import Any, Final

from apiflask import APIBlueprint
from flask import g, request
from werkzeug.http import http_date

from shared.errors import Invalid, Unsupported
from shared.model.lifecycle import UploadState
from shared.model.resumable import Capability
from shared.model.upload import Transfer, Upload
from shared.services.joining import Parts
from shared.services.resumption import Resumption
from web.addresses import root
from web.auth import caller, public
from web.dialects.tus import abilities
from web.dialects.tus.headers import (
    BODY_TYPE,
    PARTIAL,
    PREFIX,
    VERSION,
    announced,
    bytes_said,
    is_deferred,
    metadata_of,
    parts_named,
)
from web.limits import hold_slot, hold_slot_for_staging
from web.requests import RequestBody
from web.rest.fields import described
from web.services import services

bp = APIBlueprint("tus", __name__, url_prefix=PREFIX, enable_openapi=False)

_PROFILE: Final = "default"


@bp.route("/", methods=["OPTIONS"], provide_automatic_options=False)
@bp.route("/<address>", methods=["OPTIONS"], provide_automatic_options=False)
@public
def show_abilities(address: str = "") -> Any:
    """Say what this server can do."""
    del address
    return (
        "",
        HTTPStatus.NO_CONTENT,
        {
            "Tus-Version": VERSION,
            "Tus-Max-Size": str(services().screening.largest(_PROFILE)),
            **abilities.told(request),
        },
    )


@bp.post("/")
def create() -> Any:
    """Open an upload, maybe with its first bytes; or join partial ones."""
    said, concat = request.headers.get("Upload-Metadata"), request.headers.get("Upload-Concat")
    size, deferred = bytes_said(request, "Upload-Length"), is_deferred(request)
    checksum, metadata = announced(request), metadata_of(said)
    body = RequestBody(request)
    if concat is None or concat == PARTIAL:
        if (size is None) is not deferred:
            raise Invalid("Send either Upload-Length or Upload-Defer-Length.")
        transfer = Transfer.STREAM if concat is None else Transfer.PART
        new = described(metadata, size, transfer)
        sent = _typed(body) if _has_bytes(body) else None
        opened = services().resuming.open(caller(), new, said or None, sent, checksum)
    else:
        if size is not None or deferred or not body.is_empty():
            raise Invalid("A final upload has the bytes and the length of its parts.")
        parts = [services().resuming.enter(each) for each in parts_named(concat)]
        new = described(metadata, None, Transfer.JOINED)
        is_whole = abilities.Extension.UNFINISHED not in abilities.offered(request)
        named = Parts([part.id for part in parts], concat, have_to_be_whole=is_whole)
        opened = services().resuming.join(caller(), new, said or None, named)
    location = {"Location": f"{root()}{PREFIX}/{opened.capability}"}
    return "", HTTPStatus.CREATED, location | _standing(opened.resumption, opened.capability)


@bp.route("/<address>", methods=["HEAD"])
@public
def show_offset(address: str) -> Any:
    """Say how far the upload has come."""
    del address
    status = services().resuming.status(caller(), g.capability)
    told = _standing(status, g.capability)
    if status.resumable.said is not None:
        told["Upload-Metadata"] = status.resumable.said
    return "", HTTPStatus.OK, told


@bp.patch("/<address>")
@public
def go_on(address: str) -> Any:
    """Store bytes at the offset; success means that they are on durable storage."""
    del address
    upload, offset = _upload(), bytes_said(request, "Upload-Offset")
    body = _typed(RequestBody(request))
    if offset is None:
        raise Invalid("Upload-Offset is wanted.")
    size, checksum = bytes_said(request, "Upload-Length"), announced(request)
    services().resuming.append(caller(), upload, offset, body, size=size, checksum=checksum)
    status = services().resuming.status(caller(), g.capability)
    return "", HTTPStatus.NO_CONTENT, _standing(status, g.capability)


@bp.delete("/<address>")
@public
def end(address: str) -> Any:
    """End the upload, and free what it has; its file for whoever may delete it."""
    del address
    upload = _upload()
    if upload.state is UploadState.READY:
        hold_slot()  # the store may take its time
    else:
        hold_slot_for_staging()
    services().resuming.end(caller(), upload)
    return "", HTTPStatus.NO_CONTENT


def _upload() -> Upload:
    upload: Upload = g.resumed
    return upload


def _typed(body: RequestBody) -> RequestBody:
    if request.mimetype != BODY_TYPE:
        raise Unsupported(f"The bytes of an upload are {BODY_TYPE}.")
    return body


def _has_bytes(body: RequestBody) -> bool:
    """Say whether a creation has some; what is typed as bytes is taken as such."""
    return body.length != 0 and (request.mimetype == BODY_TYPE or not body.is_empty())


def _standing(status: Resumption, capability: Capability) -> dict[str, str]:
    """Return the headers that say where an upload is."""
    told: dict[str, str] = {}
    if status.offset is not None:
        told["Upload-Offset"] = str(status.offset)
    if status.size is not None:
        told["Upload-Length"] = str(status.size)
    elif not status.resumable.parts:
        told["Upload-Defer-Length"] = "1"
    concat = status.resumable.named(capability)
    if concat is not None:
        told["Upload-Concat"] = concat
    if status.job is None:
        told["Upload-Expires"] = http_date(status.upload.expires_at)
    else:
        told["Upload-Job"] = f"{root()}/api/v1/jobs/{status.job.id}"
        told["Link"] = f'<{told["Upload-Job"]}>; rel="status"'
    return told
