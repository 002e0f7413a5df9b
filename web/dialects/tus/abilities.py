"""What this server can do of tus 1.0: one table, told to clients and held against their requests."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from flask import Request, current_app

from shared.config import BadSettings, Settings
from shared.errors import Invalid
from shared.model.digest import ALGORITHMS
from web.dialects.tus.headers import BODY_TYPE, follows
from web.errors import Refusal, Refused
from web.requests import is_chunked, trailers

_WITHOUT: Final = "SLUICE_TUS_WITHOUT"


class Extension(StrEnum):
    CREATION = "creation"
    WITH_UPLOAD = "creation-with-upload"
    DEFERRED_LENGTH = "creation-defer-length"
    EXPIRATION = "expiration"
    CHECKSUM = "checksum"
    CHECKSUM_TRAILER = "checksum-trailer"
    TERMINATION = "termination"
    CONCATENATION = "concatenation"
    UNFINISHED = "concatenation-unfinished"


# Whether a request wants an extension that may not be there. Whether parts that are to be joined are
# complete is seen when that is done.
_WANTED: Final[Mapping[Extension, Callable[[Request], bool]]] = {
    Extension.WITH_UPLOAD: lambda said: said.method == "POST" and _announces_bytes(said),
    Extension.DEFERRED_LENGTH: lambda said: "Upload-Defer-Length" in said.headers,
    Extension.CHECKSUM: lambda said: "Upload-Checksum" in said.headers,
    Extension.CHECKSUM_TRAILER: lambda said: follows(said, "Upload-Checksum"),
    Extension.TERMINATION: lambda said: said.method == "DELETE",
    Extension.CONCATENATION: lambda said: "Upload-Concat" in said.headers,
    Extension.UNFINISHED: lambda _: False,
}
_PARTS_OF: Final = {
    Extension.CHECKSUM_TRAILER: Extension.CHECKSUM,
    Extension.UNFINISHED: Extension.CONCATENATION,
}


def _announces_bytes(request: Request) -> bool:
    is_long = is_chunked(request) or bool(request.content_length)
    return request.mimetype == BODY_TYPE and is_long


def read(settings: Settings) -> Mapping[str, object]:
    """Return the configuration of the app: what is switched off. Raises `BadSettings`."""
    unknown = set(settings.tus_without) - set(_WANTED)
    if unknown:
        raise BadSettings(f"TUS_WITHOUT: only {', '.join(_WANTED)} can be left out")
    return {_WITHOUT: frozenset(map(Extension, settings.tus_without))}


def offered(request: Request) -> list[Extension]:
    """Return what is there; trailers are where the server hands them on."""
    without: frozenset[Extension] = current_app.config[_WITHOUT]
    if trailers(request) is None:
        without |= {Extension.CHECKSUM_TRAILER}
    return [each for each in Extension if not {each, _PARTS_OF.get(each)} & without]


def told(request: Request) -> dict[str, str]:
    """Return the headers that tell of it."""
    there = offered(request)
    headers = {"Tus-Extension": ",".join(there)}
    if Extension.CHECKSUM in there:
        headers["Tus-Checksum-Algorithm"] = ",".join(ALGORITHMS)
    return headers


def refuse_others(request: Request) -> None:
    """Refuse a request for what is not told of: 405 for a method, `Invalid` for a header."""
    there = offered(request)
    for extension, is_wanted in _WANTED.items():
        if extension in there or not is_wanted(request):
            continue
        detail = f"This server does without {extension}."
        if extension is Extension.TERMINATION:
            status, headers = HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "HEAD, OPTIONS, PATCH"}
            raise Refused(Refusal(status, "method_not_allowed", detail, headers=headers))
        raise Invalid(detail)
