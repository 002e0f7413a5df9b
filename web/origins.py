"""From which pages a tenant's users may ask: browsers say so with each request to another origin."""

from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from flask import Flask, g, request

from shared.config import Settings
from shared.errors import Forbidden
from shared.setting_kinds import origin_of
from web.addresses import root
from web.auth import caller

_ANY: Final = "*"


def register(app: Flask, settings: Settings) -> None:
    """Refuse callers from pages that are not their tenant's: register it after what finds out who asks."""
    if settings.tenant_origins:
        app.before_request(lambda: _refuse_elsewhere(settings))


def _refuse_elsewhere(settings: Settings) -> None:
    origin = request.headers.get("Origin")
    if origin is None or "caller" not in g:
        return
    theirs, everybodys = settings.tenant_origins.get(caller().tenant), settings.cors_origins
    if theirs is None:  # CORS has judged, but for what others are allowed
        is_welcome = {_ANY, origin} & set(everybodys) or origin not in settings.browser_origins
    else:
        is_welcome = origin in {*theirs, _own()}
    if not is_welcome:
        raise Forbidden("This tenant is not served to pages of this origin.")


def _own() -> str | None:
    parts = urlsplit(root())
    with suppress(ValueError):  # a Host header is the client's to say
        return origin_of(f"{parts.scheme}://{parts.netloc}")
    return None
