"""The contract of Uppy's S3 plugin: it asks us for what it sends to the store by itself.

`/s3/…` is for clients that send a token (version 5), `/s3/{grant}/s3/…` the same for those that send
no headers (version 6): there the grant in the path says who asks. `/s3/{grant}/sign` and what lies
beside it is for its `signRequest`.
"""

import re
from http import HTTPStatus
from typing import Final

from flask import Flask, Response, g, json, request

from shared.model.resumable import Capability
from web.dialects.s3_multipart import signing, views
from web.errors import Refusal
from web.services import services

__all__ = ["PREFIX", "enter", "refusal", "register", "straightened"]

PREFIX: Final = "/s3"
_GRANTED: Final = f"{PREFIX}/<grant>"
_SLASHES: Final = re.compile("/{2,}")
_AS_S3: Final = re.compile(f"{PREFIX}/[^/]+/uploads/")


def straightened(path: str) -> str:
    """Return one of our paths without empty steps: the plugin puts its own behind any address.

    Where that ends in a slash browsers would not even ask, as their preflights are not redirected.
    """
    return _SLASHES.sub("/", path) if path.startswith(f"{PREFIX}/") else path


def enter(app: Flask) -> None:
    """Let grants say who asks: call it before `auth`, which finds out about all others."""
    app.before_request(_enter)


def register(app: Flask) -> None:
    app.register_blueprint(views.bp, url_prefix=PREFIX)
    app.register_blueprint(views.bp, url_prefix=f"{_GRANTED}{PREFIX}", name="s3_granted")
    app.register_blueprint(signing.bp, url_prefix=_GRANTED)


def refusal(refused: Refusal) -> Response:
    """Present a refusal as Companion does: `{error}`, with our code and facts beside it.

    Version 5 shows `message` to people. What is asked as of S3 is answered as by S3.
    """
    invalid = refused.status is HTTPStatus.UNPROCESSABLE_ENTITY
    status = HTTPStatus.BAD_REQUEST if invalid else refused.status
    if _AS_S3.match(request.path):
        return signing.refusal(refused, status)
    said = {"error": refused.detail, "message": refused.detail, "code": refused.code}
    body = {**refused.facts, **said, "requestId": g.get("request_id")}
    return Response(f"{json.dumps(body)}\n", status, mimetype="application/json")


def _enter() -> None:
    """Take the grant out of the path: views are the same with one and without."""
    said = (request.view_args or {}).pop("grant", None)
    if said is None or request.method == "OPTIONS":
        return
    grant = services().grants.enter(Capability.parsed(said))
    g.caller, g.grant_id, g.granted = grant.holder.caller, grant.id, said
