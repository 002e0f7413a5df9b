"""Conditions and ranges of requests, in the order that RFC 9110 gives them (section 13.2.2)."""

import re
from datetime import datetime
from http import HTTPStatus
from typing import Final

from flask import Request, Response
from werkzeug.exceptions import PreconditionFailed, RequestedRangeNotSatisfiable
from werkzeug.http import parse_date

# One range of bytes: from-to, from-, or -length. Whatever else `Range` says is ignored.
_RANGE: Final = re.compile(r"bytes=[ \t]*(?:([0-9]+)-([0-9]*)|-([0-9]+))[ \t]*", re.IGNORECASE)
_LONGEST_NUMBER: Final = 18  # digits: no file has more bytes, and int() refuses 4,301


def not_modified(asked: Request, response: Response) -> bool:
    """Turn `response` into a 304, and say so, when the client has already what it shows.

    Raises `PreconditionFailed` for `If-Match` and `If-Unmodified-Since`.
    """
    _refuse_the_unexpected(asked, response)
    if "If-None-Match" in asked.headers:
        known = asked.if_none_match.contains_weak(response.get_etag()[0] or "")
    else:
        since, modified_at = _date(asked, "If-Modified-Since"), response.last_modified
        known = since is not None and modified_at is not None and modified_at <= since
    if known:
        response.status_code = HTTPStatus.NOT_MODIFIED
    return known


def asked_range(asked: Request, response: Response, size: int) -> tuple[int, int] | None:
    """Return the range `[start, stop)` to answer with, None for the whole.

    Of several ranges none is answered. Raises `RequestedRangeNotSatisfiable` beyond the end.
    """
    match = _RANGE.fullmatch(asked.headers.get("Range", ""))
    if asked.method != "GET" or match is None or not _is_for_this(asked, response):
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        start, stop = max(0, size - _number(suffix)), size
        if size == 0 < _number(suffix):
            return None  # the last bytes of nothing are nothing, and no 206 can say so
    else:
        start, stop = _number(first), min(size, _number(last) + 1 if last else size)
        if last and _number(last) < _number(first):
            return None
    if start >= size:
        raise RequestedRangeNotSatisfiable(size, description="The range lies outside the file.")
    return start, stop


def _refuse_the_unexpected(asked: Request, response: Response) -> None:
    if "If-Match" in asked.headers:
        expected = asked.if_match
        failed = not (expected.star_tag or expected.is_strong(response.get_etag()[0] or ""))
    else:
        since, modified_at = _date(asked, "If-Unmodified-Since"), response.last_modified
        failed = since is not None and modified_at is not None and modified_at > since
    if failed:
        raise PreconditionFailed("It is not what If-Match or If-Unmodified-Since expects.")


def _is_for_this(asked: Request, response: Response) -> bool:
    """Say whether the range is wanted of what `response` shows: `If-Range` compares strongly."""
    said = asked.headers.get("If-Range")
    if said is None or said.strip() == response.headers.get("ETag"):
        return True
    date = _date(asked, "If-Range")
    return date is not None and date == response.last_modified


def _date(asked: Request, name: str) -> datetime | None:
    """Return the time a header says, None for what is no date (RFC 9110, 13.1.3: ignore it)."""
    try:
        return parse_date(asked.headers.get(name))
    except (ValueError, OverflowError):
        return None


def _number(digits: str) -> int:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else 10**_LONGEST_NUMBER
