"""The headers of tus 1.0, read strictly: what is not as the protocol has it is refused, not guessed."""

import base64
import binascii
import re
from typing import Final
from urllib.parse import urlsplit

from flask import Request

from shared.errors import Invalid
from shared.model.digest import ALGORITHMS, Announced, Checksum, Following
from shared.model.resumable import Capability
from web.requests import is_chunked, trailers, whole_number

VERSION: Final = "1.0.0"
PREFIX: Final = "/tus"
BODY_TYPE: Final = "application/offset+octet-stream"
PARTIAL: Final = "partial"
_FINAL: Final = "final;"
_CHECKSUM: Final = "Upload-Checksum"
_KEY: Final = re.compile(r"[\x21-\x2b\x2d-\x7e]+")  # ASCII without space and comma


def bytes_said(request: Request, name: str) -> int | None:
    """Return the number of bytes in a header, None without it. Raises `Invalid` for anything else."""
    said = request.headers.get(name)
    if said is None:
        return None
    number = whole_number(said)  # two headers are joined by a comma, which is no digit
    if number is None:
        raise Invalid(f"{name} is one whole number of bytes.")
    return number


def is_deferred(request: Request) -> bool:
    """Say whether the length comes later. Raises `Invalid` for anything but 1."""
    said = request.headers.get("Upload-Defer-Length")
    if said not in {None, "1"}:
        raise Invalid("Upload-Defer-Length is 1, or not there.")
    return said is not None


def announced(request: Request) -> Checksum | None:
    """Return what `Upload-Checksum` says, before the body or behind it.

    Raises `Invalid` for an algorithm that we don't know; behind the body also when it is not there.
    """
    said = request.headers.get(_CHECKSUM)
    if not follows(request, _CHECKSUM):
        return None if said is None else _checksum(said)
    if said is not None or not is_chunked(request):
        raise Invalid(f"Say {_CHECKSUM} once: before the body, or behind one that is chunked.")
    return Following(lambda: _checksum(_trailing(request)))


def follows(request: Request, name: str) -> bool:
    """Say whether `Trailer` (RFC 9110, 6.6.2) announces this field behind the body."""
    names = request.headers.get("Trailer", "").lower().split(",")
    return name.lower() in {each.strip() for each in names}


def _trailing(request: Request) -> str:
    said = [value for name, value in trailers(request) or () if name == _CHECKSUM.upper()]
    if len(said) != 1:
        raise Invalid(f"{_CHECKSUM} was to come once, behind the body.")
    return said[0]


def _checksum(said: str) -> Announced:
    algorithm, _, value = said.partition(" ")
    if algorithm not in ALGORITHMS:
        raise Invalid(f"{_CHECKSUM} is by one of {', '.join(ALGORITHMS)}.")
    return Announced(algorithm, _decoded(value, _CHECKSUM))


def parts_named(said: str) -> list[Capability]:
    """Return the partial uploads in `final;URL URL`, whose URLs may be paths. Raises `Invalid`."""
    if not said.startswith(_FINAL):
        raise Invalid("Upload-Concat is partial, or final; and the URLs of partial uploads.")
    try:
        paths = [urlsplit(url).path for url in said.removeprefix(_FINAL).split()]
    except ValueError as error:
        raise Invalid("Upload-Concat has a URL that is none.") from error
    # Proxies may have put a prefix before ours.
    named = [path.rpartition(f"{PREFIX}/") for path in paths]
    if not named or any(not found for _, found, _ in named):
        raise Invalid("Upload-Concat names no upload of this server.")
    return [Capability.parsed(address) for _, _, address in named]


def metadata_of(said: str | None) -> dict[str, str]:
    """Return `Upload-Metadata` as text by key; empty where nothing was said. Raises `Invalid`."""
    found: dict[str, str] = {}
    for pair in said.split(",") if said else ():
        key, _, value = pair.strip().partition(" ")
        if not _KEY.fullmatch(key) or key in found:
            raise Invalid("Upload-Metadata has a key that is none, or one twice.")
        try:
            found[key] = _decoded(value.strip(), "Upload-Metadata").decode()
        except UnicodeDecodeError as error:
            raise Invalid("The values of Upload-Metadata are UTF-8 in Base64.") from error
    return found


def _decoded(value: str, name: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid(f"{name} is not Base64.") from error
