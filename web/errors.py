"""Refusals as `application/problem+json` (RFC 9457).

`type` is the stable code of the error, `detail` says what to do, facts are extra members. Dialects
present the same errors in shapes of their own and share only `STATUS`.
"""

import logging
from http import HTTPStatus
from typing import Any, Final

from apiflask.exceptions import HTTPError
from flask import Flask, Response, g, json, request
from werkzeug.exceptions import HTTPException

from shared.errors import AppError, UnsupportedCoding

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
}
_RETRY_SECONDS: Final = {"limited": "5", "unavailable": "5", "no_space": "60"}


def register(app: Flask) -> None:
    app.register_error_handler(AppError, present)
    app.register_error_handler(HTTPError, _present_apiflask)
    app.register_error_handler(HTTPException, _present_werkzeug)
    app.register_error_handler(Exception, _present_bug)


def present(error: AppError) -> Response:
    """Return the problem document of one of our own errors."""
    if error.kind in {"unavailable", "no_space"}:
        log.warning("part_unavailable", extra={"code": error.code}, exc_info=error.__cause__)
    status = STATUS.get(error.kind, HTTPStatus.INTERNAL_SERVER_ERROR)
    response = problem(status, error.code, str(error), **error.facts)
    if error.kind == "unauthenticated":
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, UnsupportedCoding):
        response.headers["Accept-Encoding"] = "identity"  # RFC 9110, 15.5.16
    if error.kind in _RETRY_SECONDS:
        response.headers["Retry-After"] = _RETRY_SECONDS[error.kind]
    return response


def problem(status: HTTPStatus, code: str, detail: str, **facts: Any) -> Response:
    body = {
        "type": code,
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "instance": request.path,
        "request_id": g.get("request_id"),
        **facts,
    }
    return Response(f"{json.dumps(body)}\n", status, mimetype="application/problem+json")


def _present_apiflask(error: HTTPError) -> Response:
    """Validation by models: `{location: {dotted.path: [messages]}}` becomes pointers."""
    status = HTTPStatus(error.status_code)
    if not isinstance(error.detail, dict) or not error.detail:
        return problem(status, _code(status), error.message or status.phrase)
    errors = [
        {"pointer": _pointer(path), "detail": message}
        for fields in error.detail.values()
        for path, messages in fields.items()
        for message in messages
    ]
    detail = "Some fields are wrong; see errors."
    return problem(status, "invalid_request", detail, errors=errors)


def _present_werkzeug(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or 500)
    response = problem(status, _code(status), error.description or status.phrase)
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After", "Content-Range", "Location"}:
            response.headers[name] = value
    return response


def _present_bug(error: Exception) -> Response:
    log.error("request_failed", exc_info=error)
    detail = "Something went wrong on our side; the request id helps to find it."
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", detail)


def _code(status: HTTPStatus) -> str:
    known = {
        HTTPStatus.BAD_REQUEST: "invalid_request",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large",
    }
    return known.get(status, status.name.lower())


def _pointer(path: str) -> str:
    escaped = path.replace("~", "~0").replace("/", "~1")  # RFC 6901
    return "" if path == "_schema" else "/" + escaped.replace(".", "/")
