"""Bytes out of the store: ranges, conditions, and headers that make them safe to serve."""

from datetime import datetime
from http import HTTPStatus
from typing import Final

from flask import Response, request
from werkzeug.datastructures import ContentRange

from shared.model.file import File, Thumbnail
from web.conditions import asked_range, not_modified
from web.disposition import disposition, served_type
from web.limits import hold_slot
from web.services import services

# What may be kept by whom, as `Cache-Control` says it.
PRIVATE: Final = "private, no-cache"
SHARED: Final = "public, max-age=300"
SHARED_AND_ASKED_FOR: Final = "public, no-cache"  # another file may come into its place


def file_response(file: File, *, attached: bool | None, cache: str = PRIVATE) -> Response:
    """Stream a file, whole or the range that was asked for."""
    return stream(
        file.key,
        size=file.size,
        etag=file.etag,
        modified_at=file.created_at,
        content_type=served_type(file.content_type),
        content_disposition=disposition(file, attached=attached),
        cache=cache,
        file_id=file.id,
    )


def thumbnail_response(file: File, small: Thumbnail) -> Response:
    return stream(
        small.key,
        size=small.size,
        etag=f"{file.etag}-{small.name}",
        modified_at=file.created_at,
        content_type=small.content_type,
        content_disposition="inline",
        cache=PRIVATE,
        is_own_etag=False,
    )


def stream(
    key: str,
    *,
    size: int,
    etag: str,
    modified_at: datetime,
    content_type: str,
    content_disposition: str,
    cache: str,
    file_id: str | None = None,
    is_own_etag: bool = True,
) -> Response:
    """Answer GET and HEAD for an object, with the conditions and ranges of RFC 9110.

    `is_own_etag` where the store knows the object by it: then nothing else is read.
    """
    response = Response(content_type=content_type)
    response.set_etag(etag)
    response.last_modified = modified_at
    response.headers["Content-Disposition"] = content_disposition
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["Cache-Control"] = cache
    response.headers["Accept-Ranges"] = "bytes"
    response.content_length = size
    if not_modified(request, response) or request.method == "HEAD":
        return response
    start, stop = 0, size
    if (part := asked_range(request, response, size)) is not None:
        start, stop = part
        response.status_code = HTTPStatus.PARTIAL_CONTENT
        response.content_range = ContentRange("bytes", start, stop, size)
    hold_slot()  # a store that does not answer must not have all threads
    known = etag if is_own_etag else None
    response.response = (
        services().files.read(key, start, stop, etag=known, file_id=file_id) if stop > start else ()
    )
    response.content_length = stop - start
    return response
