"""What needs no token: public files, and the signed links of the local store."""

from typing import Protocol, cast

from apiflask import APIBlueprint
from flask import Response

from shared.errors import NotFound
from web.auth import public
from web.disposition import served_type
from web.downloads import PRIVATE, SHARED, SHARED_AND_ASKED_FOR, file_response, stream
from web.rest.documented import answers
from web.services import services

bp = APIBlueprint("public", __name__, tag="Public")


@bp.get("/public/<file_id>/<filename>")
@answers(
    {200: "application/octet-stream", 206: "application/octet-stream", 304: None},
    problems=(404, 412, 416, 502, 503),
    open_to_all=True,
)
@public
def public_file(file_id: str, filename: str) -> Response:
    """Stream a public file; its name in the path is for people."""
    del filename
    return file_response(services().files.public(file_id), attached=None, cache=SHARED)


@bp.get("/public/<path:key>")
@bp.doc(hide=True)
@public
def public_file_by_key(key: str) -> Response:
    """Stream a public file of the storage service's, whichever has this key now."""
    files = services().files
    try:
        return file_response(files.public(key), attached=None, cache=SHARED_AND_ASKED_FOR)
    except NotFound:  # it may have been replaced since we looked
        return file_response(files.public(key), attached=None, cache=SHARED_AND_ASKED_FOR)


class _Linked(Protocol):
    def opened(self, token: str) -> tuple[str, str, str]: ...


@bp.get("/objects/<token>")
@answers(
    {200: "application/octet-stream", 206: "application/octet-stream", 304: None},
    problems=(404, 412, 416, 502, 503),
    open_to_all=True,
)
@public
def linked_object(token: str) -> Response:
    """Follow a presigned link of `STORAGE_BACKEND=local`."""
    if services().settings.storage_backend != "local":
        raise NotFound("link")
    key, disposition, content_type = cast("_Linked", services().objects).opened(token)
    found = services().objects.find(key)
    if found is None:
        raise NotFound("link")
    return stream(
        key,
        size=found.size,
        etag=found.etag,
        modified_at=found.modified_at,
        content_type=served_type(content_type),
        content_disposition=disposition,
        cache=PRIVATE,
    )
