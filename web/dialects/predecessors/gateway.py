"""`/api/v1/upload`: files whose ids are their keys, as a FastAPI service spoke of them.

A key has slashes, which clients send as they are or percent-encoded. Deleting is for good.
"""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final

from apiflask import APIBlueprint
from flask import Response, request
from pydantic import Field

from shared.errors import NotFound
from shared.model.caller import Scope
from shared.model.file import File, FileQuery
from shared.model.layout import Layout
from shared.model.predecessors import GATEWAY
from shared.model.upload import NewUpload, Transfer
from web.auth import caller, open_to_guests, public
from web.dialects.predecessors.gateway_refusals import NOT_ENABLED, not_enabled
from web.dialects.predecessors.inputs import Asked, Body, Whole
from web.dialects.predecessors.submitting import DENIED, file_of, submitted
from web.disposition import disposition
from web.downloads import file_response
from web.limits import hold_slot
from web.requests import idempotency_key
from web.rest.inputs import Text
from web.services import services

PREFIX: Final = "/api/v1/upload"
LAYOUT: Final = Layout("uploads/{year}/{month}/{day}/{id}-{name}")
_SEVEN_DAYS: Final = 7 * 24 * 3600
_MARGIN: Final = 60  # seconds that an upload is open longer than its link works
_MOST_LISTED: Final = 1000  # as many as S3 lists
_LINK: Final = "/url"
_ID: Final = "<path:file_id>"
# Slashes of a key are the key's, at its end and in a row too.
_AS_IT_STANDS: Final = {"merge_slashes": False, "strict_slashes": True}


class PresignedIn(Body):
    filename: Annotated[Text, Field(min_length=1, max_length=1024)]
    content_type: Annotated[Text, Field(max_length=255)] | None = None
    expires_in: Annotated[Whole, Field(ge=1, le=_SEVEN_DAYS)] | None = None


class LinkQuery(Asked):
    expires_in: Annotated[int, Field(ge=1, le=_SEVEN_DAYS)] | None = None


class ListQuery(Asked):
    prefix: Text = ""
    limit: Annotated[int, Field(ge=1, le=_MOST_LISTED)] = 100
    start_after: Text | None = None


bp = APIBlueprint(GATEWAY, __name__, url_prefix=PREFIX, tag="Predecessors: gateway")


@bp.before_request
def _refuse_unless_enabled() -> None:
    if not _is_enabled() and request.endpoint != f"{GATEWAY}.{check_gateway.__name__}":
        raise not_enabled()


@bp.post("/direct")
@bp.doc(hide=True)
@open_to_guests
def upload_direct() -> Any:
    file = submitted(
        lambda received: NewUpload(
            received.filename, content_type=received.content_type, profile=GATEWAY, layout=LAYOUT
        ),
        profile=GATEWAY,
        hopeless={DENIED},
    )
    return _described(file)


@bp.post("/presigned")
@bp.doc(hide=True)
@bp.input(PresignedIn, arg_name="said")
@open_to_guests
def sign_upload(said: PresignedIn) -> Any:
    who, serving = caller(), services()
    seconds = said.expires_in or serving.settings.presigned_url_expiry
    new = NewUpload(
        said.filename,
        content_type=said.content_type,
        profile=GATEWAY,
        layout=LAYOUT,
        transfer=Transfer.DIRECT,
        open_for=seconds + _MARGIN,
    )
    key = idempotency_key(request)
    upload = serving.uploads.open(who, new, idempotency_key=key)
    handed = serving.targets.sign_first(
        who, upload.id, is_kept=key is not None, lifetime=timedelta(seconds=seconds)
    )
    body = {
        "upload_url": handed.targets[0].url,
        "file_url": serving.objects.url(upload.key),
        "file_id": upload.key,
        "filename": upload.filename,
        "expires_in": seconds,
        "expires_at": _when(handed.expires_at),
    }
    return body, {"Cache-Control": "no-store"}


@bp.get(f"/download/{_ID}", **_AS_IT_STANDS)
@bp.doc(hide=True)
@open_to_guests
def download_keyed(file_id: str) -> Response:
    return file_response(_found(file_id), attached=None)


@bp.get(f"/download/{_ID}{_LINK}", **_AS_IT_STANDS)
@bp.doc(hide=True)
@bp.input(LinkQuery, location="query", arg_name="query")
@open_to_guests
def link_keyed(file_id: str, query: LinkQuery) -> Any:
    files, who = services().files, caller()
    try:
        file = _found(file_id)
    except NotFound:
        return download_keyed(file_id + _LINK)  # a key may end like this
    seconds = query.expires_in or services().settings.presigned_url_expiry
    said = disposition(file, attached=None)
    url, _ = files.link(who, file.id, timedelta(seconds=seconds), said)
    body = {"download_url": url, "file_id": file.key, "expires_in": seconds}
    return body, {"Cache-Control": "no-store"}


@bp.get(f"/metadata/{_ID}", **_AS_IT_STANDS)
@bp.doc(hide=True)
@open_to_guests
def show_keyed(file_id: str) -> Any:
    hold_slot()  # a store that does not answer must not have all threads
    files, who = services().files, caller()
    file, stored = files.stored(who, _found(file_id).id)
    said = {"file_size": stored.size, "etag": stored.etag, "metadata": dict(file.attributes)}
    return _described(file) | said | {"last_modified": _when(stored.modified_at)}


@bp.get("/list")
@bp.doc(hide=True)
@bp.input(ListQuery, location="query", arg_name="query")
@open_to_guests
def list_keyed(query: ListQuery) -> Any:
    who = caller()
    asked = FileQuery(
        who.tenant,
        who.subject,
        prefix=query.prefix,
        key_after=query.start_after,
        sort="key",
        descending=False,
        limit=query.limit,
    )
    page = services().files.page(who, asked, counted=False)
    return {
        "files": [_described(file) for file in page.files],
        "count": len(page.files),
        "next_start_after": None if page.after is None else page.files[-1].key,
    }


@bp.delete(f"/{_ID}", **_AS_IT_STANDS)
@bp.doc(hide=True)
@open_to_guests
def delete_keyed(file_id: str) -> Any:
    files, who = services().files, caller()
    file = _found(file_id, to=Scope.FILES_DELETE)
    hold_slot()  # the store may take its time
    files.delete(who, file.id, hard=True)
    return {"message": "File deleted successfully", "file_id": file_id}


@bp.get("/health")
@bp.doc(hide=True)
@public
def check_gateway() -> Any:
    why = services().health.why_not("s3") if _is_enabled() else NOT_ENABLED
    said = {"status": "healthy" if why is None else "unhealthy", "s3_enabled": _is_enabled()}
    if why is None:
        return said, {"Cache-Control": "no-store"}
    headers = {"Cache-Control": "no-store", "Retry-After": "5"}
    return said | {"detail": why.rstrip(".")}, HTTPStatus.SERVICE_UNAVAILABLE, headers


def _is_enabled() -> bool:
    settings = services().settings
    return settings.s3_enabled and settings.storage_backend == "s3"


def _found(key: str, *, to: Scope = Scope.FILES_READ) -> File:
    """Return the file of a key; one that has just come by a presigned upload is waited for."""
    who = caller()
    try:
        return services().files.keyed(who, key, to=to)
    except NotFound:
        hold_slot()  # the store may be asked what has come
        job = services().uploads.direct.arrived(who, key)
        if job is None:
            raise
    return file_of(job, {DENIED})


def _described(file: File) -> dict[str, Any]:
    return {
        "file_id": file.key,
        "filename": file.filename,
        "file_url": services().describing.file(file)["url"],
        "file_size": file.size,
        "content_type": file.content_type,
        "upload_timestamp": _when(file.created_at),
        "etag": file.etag,
    }


def _when(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
