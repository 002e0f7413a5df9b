"""`/api/files`: files under integer ids, with links of one hour to a week.

Times are UTC without a `Z`. A file of another user is 403, and deleting is for good.
"""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from apiflask import APIBlueprint
from flask import Response, json
from pydantic import AfterValidator, Field

from shared.model.file import File, FileQuery
from shared.model.layout import Layout
from shared.model.upload import NewUpload
from web.auth import caller
from web.dialects.predecessors.inputs import Asked, Body, Whole
from web.dialects.predecessors.submitting import DENIED, STORE_FAULTS, submitted
from web.disposition import disposition
from web.errors import Refusal
from web.limits import hold_slot
from web.rates import counted_as
from web.services import services

PREFIX: Final = "/api/files"
PROFILE: Final = "numbered"
LAYOUT: Final = Layout("uploads/{owner}/{timestamp}_{name}")
_LONGEST_HOURS: Final = 168
_MOST_LISTED: Final = 100  # a client that asks for more gets as many
_ID: Final = "<int:number>"
# What the document's table says, and clients may show.
_WORDS: Final = {
    "too_large": "File size exceeds limit",
    "type_not_allowed": "File type not allowed",
    "file_empty": "File is empty",
    "limited": "Too many requests",
    "forbidden": "Not authorized",
    "file_not_found": "File not found",
    "job_failed": "S3 error",
    "objects_unavailable": "S3 error",
    "objects_denied": "S3 error",
    "object_lost": "S3 error",
}
_STATUS: Final = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNPROCESSABLE_ENTITY: HTTPStatus.BAD_REQUEST,
    HTTPStatus.BAD_GATEWAY: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class ListQuery(Asked):
    category: Literal["image", "video", "document"] | None = None
    limit: Annotated[int, Field(ge=1), AfterValidator(lambda said: min(said, _MOST_LISTED))] = 50
    offset: Annotated[int, Field(ge=0, le=2**31)] = 0


class LinkIn(Body):
    file_id: Annotated[Whole, Field(ge=1, lt=2**63)]
    expiration_hours: Annotated[Whole, Field(ge=1, le=_LONGEST_HOURS)] = 24


bp = APIBlueprint("numbered", __name__, url_prefix=PREFIX, tag="Predecessors: numbered files")


@bp.post("/upload")
@bp.doc(hide=True)
@counted_as("numbered_upload")
def upload_numbered() -> Any:
    file = submitted(
        lambda received: NewUpload(
            received.filename, content_type=received.content_type, profile=PROFILE, layout=LAYOUT
        ),
        profile=PROFILE,
        hopeless={DENIED},
    )
    said = _described(file)
    kept = ("cdn_url", "file_key", "category", "content_type", "original_filename")
    body = {name: said[name] for name in kept}
    body |= {"file_id": file.number, "url": said["s3_url"], "size": file.size}
    return (
        body,
        HTTPStatus.CREATED,
        {"Location": f"{services().settings.public_url}{PREFIX}/{file.number}"},
    )


@bp.get("")
@bp.doc(hide=True)
@bp.input(ListQuery, location="query", arg_name="query")
@counted_as("numbered_list")
def list_numbered(query: ListQuery) -> Any:
    who = caller()
    asked = FileQuery(
        who.tenant, who.subject, category=query.category, limit=query.limit, offset=query.offset
    )
    page = services().files.page(who, asked, counted=True)
    files = [_described(file) for file in page.files]
    return {"total": page.total, "limit": query.limit, "offset": query.offset, "files": files}


@bp.get(f"/{_ID}")
@bp.doc(hide=True)
def show_numbered(number: int) -> Any:
    return _described(services().files.numbered(caller(), number))


@bp.post("/presigned-url")
@bp.doc(hide=True)
@bp.input(LinkIn, arg_name="said")
def link_numbered(said: LinkIn) -> Any:
    files, who = services().files, caller()
    file = files.numbered(who, said.file_id)
    lifetime = timedelta(hours=said.expiration_hours)
    url, ends_at = files.link(who, file.id, lifetime, disposition(file, attached=None))
    body = {"presigned_url": url, "expires_at": _when(ends_at), "file_key": file.key}
    return body, {"Cache-Control": "no-store"}


@bp.delete(f"/{_ID}")
@bp.doc(hide=True)
@counted_as("numbered_delete")
def delete_numbered(number: int) -> Any:
    files, who = services().files, caller()
    hold_slot()  # the store may take its time
    files.delete(who, files.numbered(who, number).id, hard=True)
    return {"message": "File deleted"}


def refusal(refusal: Refusal) -> Response:
    status = _STATUS.get(refusal.status, refusal.status)
    if refusal.code in STORE_FAULTS:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
    words = _WORDS.get(refusal.code, refusal.detail)
    body = {"error": words, "code": refusal.code, "detail": refusal.detail, **refusal.facts}
    return Response(f"{json.dumps(body)}\n", status, mimetype="application/json")


def _described(file: File) -> dict[str, Any]:
    said = services().describing.file(file)
    return {
        "id": file.number,
        "file_key": file.key,
        "original_filename": file.filename,
        "file_size": file.size,
        "content_type": file.content_type,
        "category": file.category,
        "s3_url": said["url"],
        "cdn_url": said["cdn_url"],
        "uploaded_at": _when(file.created_at),
        "expires_at": _when(file.expires_at),
    }


def _when(time: datetime | None) -> str | None:
    return None if time is None else f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"
