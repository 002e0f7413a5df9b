"""Bytes out of the store: ranges, conditions, and headers that make them safe to serve."""

from datetime import datetime
from typing import Any

from flask import Request, Response, request
from werkzeug.http import parse_range_header

from shared.model.file import File, Thumbnail
from web.disposition import disposition, served_type
from web.services import services


def file_response(file: File, *, attached: bool | None, shared_cache: bool = False) -> Response:
    """Stream a file, whole or the range that was asked for."""
    return stream(
        file.key,
        size=file.size,
        etag=file.etag,
        modified_at=file.created_at,
        content_type=served_type(file.content_type),
        content_disposition=disposition(file, attached=attached),
        shared_cache=shared_cache,
    )


def thumbnail_response(file: File, small: Thumbnail) -> Response:
    return stream(
        small.key,
        size=small.size,
        etag=f"{file.etag}-{small.name}",
        modified_at=file.created_at,
        content_type=small.content_type,
        content_disposition="inline",
        shared_cache=False,
    )


def stream(
    key: str,
    *,
    size: int,
    etag: str,
    modified_at: datetime,
    content_type: str,
    content_disposition: str,
    shared_cache: bool,
) -> Response:
    """Answer GET and HEAD for an object, with `Range`, `If-Range`, `If-None-Match` (RFC 9110)."""
    response = Response(content_type=content_type)
    response.set_etag(etag)
    response.last_modified = modified_at
    response.headers["Content-Disposition"] = content_disposition
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["Cache-Control"] = (
        "public, max-age=300" if shared_cache else "private, no-cache"
    )
    response.content_length = size
    response.make_conditional(_considered(request, size), accept_ranges=True, complete_length=size)
    if request.method == "HEAD" or response.status_code == 304:  # noqa: PLR2004  # not modified
        return response
    start, stop = 0, size
    if response.content_range.start is not None and response.content_range.stop is not None:
        start, stop = response.content_range.start, response.content_range.stop
    response.response = services().files.read(key, start, stop) if stop > start else ()
    response.content_length = stop - start
    return response


def _considered(asked: Request, size: int) -> dict[str, Any]:
    """Return the environment with the range that is to be answered, as RFC 9110 has it.

    Several ranges at once, and those under a weak `If-Range`, are answered with the whole.
    """
    environ = dict(asked.environ)
    parsed = parse_range_header(asked.headers.get("Range"))
    if parsed is None:
        return environ
    if len(parsed.ranges) > 1 or asked.headers.get("If-Range", "").startswith("W/"):
        del environ["HTTP_RANGE"]
    elif parsed.ranges[0][0] <= -size < 0:
        environ["HTTP_RANGE"] = "bytes=0-"  # the last so many bytes, of a file that has fewer
    return environ
