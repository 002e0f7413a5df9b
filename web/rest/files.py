"""Files: listed, read, linked to, removed."""

import base64
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final

from apiflask import APIBlueprint
from flask import Response, json
from pydantic import Field, TypeAdapter

from shared.errors import Invalid
from shared.model.file import FileQuery
from shared.services.describing import when
from shared.services.finding import is_id
from web.auth import caller
from web.disposition import disposition
from web.downloads import file_response, thumbnail_response
from web.limits import hold_slot
from web.rest.documented import answers
from web.rest.inputs import DeleteQuery, DownloadQuery, FilesQuery, LinkQuery, Text
from web.rest.outputs import FileOut, FilesOut, LinkOut, MetadataOut
from web.services import services

_CURSORS: Final[dict[str, TypeAdapter[tuple[str, Any, str]]]] = {
    "created_at": TypeAdapter(tuple[str, datetime, str]),
    "filename": TypeAdapter(tuple[str, Text, str]),
    "size": TypeAdapter(tuple[str, Annotated[int, Field(ge=0, lt=2**63)], str]),
}

bp = APIBlueprint("files", __name__, url_prefix="/api/v1/files", tag="Files")


@bp.get("")
@bp.input(FilesQuery, location="query", arg_name="query")
@answers({200: FilesOut})
def list_files(query: FilesQuery) -> Any:
    """List files, newest first unless sorted otherwise; `offset` counts, `cursor` goes on."""
    counted = query.offset is not None
    page = services().files.page(caller(), _asked(query), counted=counted)
    body: dict[str, Any] = {
        "items": [services().describing.file(file) for file in page.files],
        "next_cursor": None if page.after is None else _cursor(query.sort, page.after),
    }
    if counted:
        body |= {"total": page.total, "limit": query.limit, "offset": query.offset}
    return body


@bp.get("/<file_id>")
@answers({200: FileOut}, problems=(404,))
def show_file(file_id: str) -> Any:
    """Show a file."""
    return services().describing.file(services().files.find(caller(), file_id))


@bp.get("/<file_id>/metadata")
@answers({200: MetadataOut}, problems=(404, 502, 503))
def show_metadata(file_id: str) -> Any:
    """Show a file, and what the store itself says of its object."""
    hold_slot()  # a store that does not answer must not have all threads
    file, stored = services().files.stored(caller(), file_id)
    said = {"file_size": stored.size, "last_modified": when(stored.modified_at)}
    return services().describing.file(file) | said | {"etag": stored.etag}


@bp.get("/<file_id>/download")
@bp.input(DownloadQuery, location="query", arg_name="query")
@answers(
    {200: "application/octet-stream", 206: "application/octet-stream", 304: None},
    problems=(404, 412, 416, 502, 503),
)
def download_file(file_id: str, query: DownloadQuery) -> Response:
    """Stream the file; honours `Range`, `If-Range` and `If-None-Match`."""
    file = services().files.find(caller(), file_id)
    return file_response(file, attached=query.as_attachment)


@bp.get("/<file_id>/presigned-url")
@bp.input(LinkQuery, location="query", arg_name="query")
@answers({200: LinkOut}, problems=(404,))
def link_file(file_id: str, query: LinkQuery) -> Any:
    """Return a link that works without a token until it expires."""
    settings = services().settings
    forced, usual = settings.download_url_expiry, settings.presigned_url_expiry
    seconds = query.expiry or (forced if query.force_download else usual)
    file = services().files.find(caller(), file_id)
    said = disposition(file, attached=query.force_download or None)
    url, ends_at = services().files.link(caller(), file_id, timedelta(seconds=seconds), said)
    return {"url": url, "expires_at": when(ends_at)}, {"Cache-Control": "no-store"}


@bp.get("/<file_id>/thumbnails/<name>")
@answers({200: "image/webp", 206: "image/webp", 304: None}, problems=(404, 412, 416, 502, 503))
def show_thumbnail(file_id: str, name: str) -> Response:
    """Stream a thumbnail; a 404 names those there are."""
    return thumbnail_response(*services().files.thumbnail(caller(), file_id, name))


@bp.delete("/<file_id>")
@bp.input(DeleteQuery, location="query", arg_name="query")
@answers({204: None}, problems=(404, 409, 503))
def delete_file(file_id: str, query: DeleteQuery) -> Any:
    """Hide a file, or with `hard_delete` remove it for good."""
    if query.hard_delete or services().objects.gives_away:
        hold_slot()  # the store may take its time
    services().files.delete(caller(), file_id, hard=query.hard_delete)
    return "", HTTPStatus.NO_CONTENT


def _asked(query: FilesQuery) -> FileQuery:
    who = caller()
    return FileQuery(
        tenant=who.tenant,
        owner=who.subject,
        category=query.category,
        content_type=query.content_type,
        tag=query.tag,
        folder=query.folder,
        text=query.q,
        reference=query.reference,
        deleted=query.state == "deleted",
        created_after=_aware(query.created_after),
        created_before=_aware(query.created_before),
        sort=query.sort.removeprefix("-"),
        descending=query.sort.startswith("-"),
        limit=query.limit,
        offset=query.offset or 0,
        after=None if query.cursor is None else _position(query.sort, query.cursor),
    )


def _aware(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


def _cursor(sort: str, after: tuple[Any, str]) -> str:
    value = when(after[0]) if isinstance(after[0], datetime) else after[0]
    said = json.dumps([sort, value, after[1]])
    return base64.urlsafe_b64encode(said.encode()).decode().rstrip("=")


def _position(sort: str, cursor: str) -> tuple[Any, str]:
    try:
        padded = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        said, value, file_id = _CURSORS[sort.removeprefix("-")].validate_json(padded)
    except ValueError as error:
        raise Invalid("This cursor is none of ours.", pointer="/cursor") from error
    if not is_id(file_id):
        raise Invalid("This cursor is none of ours.", pointer="/cursor")
    if said != sort:
        raise Invalid("This cursor is of a list that is sorted otherwise.", pointer="/cursor")
    return _aware(value) if isinstance(value, datetime) else value, file_id
