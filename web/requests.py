"""Requests, read strictly: JSON bodies, raw bodies, and the headers that steer an upload."""

import json
import math
import re
from binascii import Error as BadBase64
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import http_sf
from flask import Request
from flask.json.provider import DefaultJSONProvider
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import BadRequest
from werkzeug.http import parse_dict_header

from shared.errors import BodyCut, Invalid, UnsupportedCoding
from web.limits import hold_slot_for_staging
from web.server.body import TRAILERS

_MOST_WAIT_SECONDS: Final = 60
_LONGEST_KEY: Final = 255
_LONGEST_NUMBER: Final = 15  # digits: more is no number of ours, and int() refuses 4,301
_HALF_CHARACTER: Final = re.compile(r"\\ud[89a-f]|[\ud800-\udfff]", re.IGNORECASE)


class StrictJson(DefaultJSONProvider):
    """JSON as RFC 8259 has it, in UTF-8 alone.

    No number that is none (NaN, 1e999), no name twice, no half a character, no bottomless nesting.
    """

    sort_keys = False

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return super().dumps(obj, **{"separators": (",", ":"), **kwargs})

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        said = s if isinstance(s, str) else str(s, "utf-8")
        try:
            found = json.loads(
                said,
                parse_constant=_refuse_constant,
                parse_float=_finite,
                object_pairs_hook=_refuse_twins,
                **kwargs,
            )
            if _HALF_CHARACTER.search(said):
                json.dumps(found, ensure_ascii=False).encode()  # a half alone is no UTF-8
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
        return found


class SluiceRequest(Request):
    """A request whose JSON body is bounded, and may be absent where nothing in it is required."""

    most_json = 1024 * 1024  # bytes

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        if not self.whole_body(self.most_json):
            return None
        return super().get_json(force=force, silent=silent, cache=cache)

    def whole_body(self, most: int) -> bytes:
        """Return a body of `most` bytes at most. Raises `BodyCut`, `Invalid`."""
        self.max_content_length = most
        try:
            said = self.get_data(cache=True)
        except ParseException as error:
            raise Invalid("The body does not come in pieces as RFC 9112 has them.") from error
        if len(said) < (self.content_length or 0):  # RFC 9112, 8: what came may look whole
            raise BodyCut("The body was cut.", expected=self.content_length, received=len(said))
        return said

    def on_json_loading_failed(self, e: ValueError | None) -> Any:
        raise Invalid("The body is not valid JSON.", pointer="") from e


class RequestBody:
    """A raw body as it arrives. One that is cut, by whomever, just ends: see `Body`.

    Raises `UnsupportedCoding` at once.
    """

    def __init__(self, request: Request) -> None:
        _refuse_coding(request)
        self._stream = request.stream
        self.length = None if is_chunked(request) else request.content_length or 0
        self.is_cut = False
        self._ahead = b""
        self._arrived = 0

    def is_empty(self) -> bool:
        """Say whether it has no byte; one of unknown length is asked for its first."""
        if self.length is not None:
            return self.length == 0
        self._ahead = self._ahead or self.read(1)
        return not self._ahead and not self.is_cut

    def read(self, size: int, /) -> bytes:
        hold_slot_for_staging()  # a body that came with its head needs none otherwise
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            return ahead
        try:
            block = self._stream.read(size)
        except (OSError, BadRequest, ParseException):
            block, self.is_cut = b"", True
        self._arrived += len(block)
        if not block and self._arrived < (self.length or 0):
            self.is_cut = True
        return block


def trailers(request: Request) -> Sequence[tuple[str, str]] | None:
    """Return the fields behind a body that was read, names in capitals; None where none are handed on."""
    found: Callable[[], Sequence[tuple[str, str]]] | None = request.environ.get(TRAILERS)
    return None if found is None else found()


def content_sha256(request: Request) -> bytes | None:
    """Return the SHA-256 of `Content-Digest` (RFC 9530), None when none was sent."""
    header = request.headers.get("Content-Digest")
    if header is None:
        return None
    try:
        digests = cast(
            "dict[str, tuple[Any, Any]]",
            http_sf.parse(header.encode("latin-1"), tltype="dictionary"),
        )
        digest = digests.get("sha-256", (None, None))[0]
    except (http_sf.StructuredFieldError, BadBase64, ValueError) as error:
        raise Invalid("Content-Digest is not like sha-256=:…:.") from error
    if digest is not None and not isinstance(digest, bytes):
        raise Invalid("Content-Digest is not like sha-256=:…:.")
    return digest


def preferred_wait(request: Request) -> int:
    """Return the seconds that `Prefer` (RFC 7240) wants to wait: 0 for `respond-async`."""
    preferences = parse_dict_header(request.headers.get("Prefer", ""))
    if "wait" in preferences:
        said = (preferences["wait"] or "").partition(";")[0]
        seconds = whole_number(said)
        return _MOST_WAIT_SECONDS if seconds is None else min(seconds, _MOST_WAIT_SECONDS)
    return 0 if "respond-async" in preferences else _MOST_WAIT_SECONDS


def whole_number(text: str) -> int | None:
    """Return the number that these ASCII digits say, None for anything else."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER
    return int(text) if is_number else None


def idempotency_key(request: Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= _LONGEST_KEY and key.isprintable()):
        raise Invalid(f"An Idempotency-Key has 1 to {_LONGEST_KEY} printable characters.")
    return key


def is_chunked(request: Request) -> bool:
    return "chunked" in request.headers.get("Transfer-Encoding", "").lower()


def _refuse_coding(request: Request) -> None:
    codings = request.headers.get("Content-Encoding", "").lower().split(",")
    if {coding.strip() for coding in codings} - {"", "identity"}:
        raise UnsupportedCoding("Send the file as it is, without a Content-Encoding.")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large a number")
    return number


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found
