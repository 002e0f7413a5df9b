"""Refusals as `application/problem+json` (RFC 9457), or in the shape of the dialect that was asked.

`type` is the stable code of the error, `detail` says what to do, facts are extra members. What a
dialect's shape gets is the same for all, so that no error escapes it: unknown routes included.
"""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from apiflask.exceptions import HTTPError
from flask import Flask, Response, current_app, g, json, request
from werkzeug.exceptions import HTTPException

from shared.errors import AppError, BodyCut, Unavailable, UnsupportedCoding
from shared.logs import masked
from web.server.stopping import stopping

log = logging.getLogger(__name__)

STATUS: Final = {
    "invalid": HTTPStatus.BAD_REQUEST,
    "unprocessable": HTTPStatus.UNPROCESSABLE_ENTITY,
    "unauthenticated": HTTPStatus.UNAUTHORIZED,
    "forbidden": HTTPStatus.FORBIDDEN,
    "not_found": HTTPStatus.NOT_FOUND,
    "conflict": HTTPStatus.CONFLICT,
    "gone": HTTPStatus.GONE,
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "unsupported": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "limited": HTTPStatus.TOO_MANY_REQUESTS,
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "no_space": HTTPStatus.INSUFFICIENT_STORAGE,
    "rejected": HTTPStatus.UNPROCESSABLE_ENTITY,
    "lost": HTTPStatus.BAD_GATEWAY,
    "damaged": HTTPStatus.BAD_GATEWAY,
    "interrupted": HTTPStatus.SERVICE_UNAVAILABLE,
    "late": HTTPStatus.GATEWAY_TIMEOUT,
}
_SHAPES: Final = "refusals"
_LINK: Final = re.compile("(?<=/objects/).+", re.IGNORECASE | re.DOTALL)
_RETRY_SECONDS: Final = {"limited": "5", "unavailable": "5", "no_space": "60", "interrupted": "5"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is said of a request that is not done, before a dialect puts it in its own shape."""

    status: HTTPStatus
    code: str
    detail: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):  # as all our errors
    """Ends a view with a refusal that no error of the services stands for."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


Shape = Callable[[Refusal], Response]


def register(app: Flask, shapes: Mapping[str, Shape] | None = None) -> None:
    """Answer every error; below the paths of `shapes` in theirs, elsewhere in problem documents."""
    app.extensions[_SHAPES] = shapes or {}
    app.register_error_handler(AppError, present)
    app.register_error_handler(Refused, lambda refused: _shaped(refused.refusal))
    app.register_error_handler(HTTPError, lambda error: _shaped(_of_apiflask(error)))
    app.register_error_handler(HTTPException, lambda error: _shaped(_of_werkzeug(error)))
    app.register_error_handler(Exception, _present_bug)


def present(error: AppError) -> Response:
    """Return the answer to one of our own errors."""
    if isinstance(error, BodyCut) and stopping.has_begun():  # by us, or nobody hears the answer
        error = Unavailable("web", "This server is being stopped; send it again.")
    if error.kind in {"unavailable", "no_space"}:
        log.warning("part_unavailable", extra={"code": error.code}, exc_info=error.__cause__)
    status = STATUS.get(error.kind, HTTPStatus.INTERNAL_SERVER_ERROR)
    headers = {}
    if error.kind == "unauthenticated":
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, UnsupportedCoding):
        headers["Accept-Encoding"] = "identity"  # RFC 9110, 15.5.16
    if (again := error.facts.get("retry_after", _RETRY_SECONDS.get(error.kind))) is not None:
        headers["Retry-After"] = str(again)
    return _shaped(Refusal(status, error.code, str(error), error.facts, headers))


def tellable(path: str) -> str:
    """Return a path as logs and problems may have it: without what opens what it names."""
    return masked(_LINK.sub("…", path))


def problem(refusal: Refusal, status: tuple[int, str] | None = None) -> Response:
    """Return the refusal as a problem document; `status` where HTTP knows none for it."""
    code, title = status or (refusal.status.value, refusal.status.phrase)
    body = {
        "type": refusal.code,
        "title": title,
        "status": code,
        "detail": refusal.detail,
        "instance": tellable(request.path),
        "request_id": g.get("request_id"),
        **refusal.facts,
    }
    text = f"{json.dumps(body)}\n"
    return Response(text, f"{code} {title}", mimetype="application/problem+json")


def _shaped(refusal: Refusal) -> Response:
    path, shapes = request.path, current_app.extensions.get(_SHAPES, {})
    ours = (shape for prefix, shape in shapes.items() if f"{path}/".startswith(f"{prefix}/"))
    response: Response = next(ours, problem)(refusal)
    response.headers.update(refusal.headers)
    return response


def _of_apiflask(error: HTTPError) -> Refusal:
    """Validation by models: `{location: {dotted.path: [messages]}}` becomes pointers."""
    status = HTTPStatus(error.status_code)
    if not isinstance(error.detail, dict) or not error.detail:
        return Refusal(status, _code(status), error.message or status.phrase)
    errors = [
        {"pointer": _pointer(path), "detail": message}
        for fields in error.detail.values()
        for path, messages in fields.items()
        for message in messages
    ]
    detail = "Some fields are wrong; see errors."
    return Refusal(status, "invalid_request", detail, {"errors": errors})


def _of_werkzeug(error: HTTPException) -> Refusal:
    status = HTTPStatus(error.code or 500)
    kept = {"Allow", "Retry-After", "Content-Range", "Location"}
    headers = {name: value for name, value in error.get_headers() if name in kept}
    return Refusal(status, _code(status), error.description or status.phrase, headers=headers)


def _present_bug(error: Exception) -> Response:
    log.error("request_failed", exc_info=error)
    detail = "Something went wrong on our side; the request id helps to find it."
    return _shaped(Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", detail))


def _code(status: HTTPStatus) -> str:
    known = {
        HTTPStatus.BAD_REQUEST: "invalid_request",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large",
    }
    return known.get(status, status.name.lower())


def _pointer(path: str) -> str:
    escaped = path.replace("~", "~0").replace("/", "~1")  # RFC 6901
    return "" if path == "_schema" else "/" + escaped.replace(".", "/")
