"""What the server answers itself, to what never becomes a request: a problem document (RFC 9457).

No word of the client's is said again, in the answer or in the log.
"""

import json
import logging
from http import HTTPStatus
from typing import Final

from gunicorn.http import errors
from uuid_utils.compat import uuid7

from shared import logs

log = logging.getLogger(__name__)

_Refusal = tuple[HTTPStatus, str, str]

_FAULT: Final[_Refusal] = (
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "internal_error",
    "Something went wrong on our side; the request id helps to find it.",
)
_MALFORMED: Final[_Refusal] = (
    HTTPStatus.BAD_REQUEST,
    "invalid_request",
    "This is not an HTTP/1.1 request as RFC 9112 has it.",
)
_FUTURE: Final[_Refusal] = (
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED,
    "http_version_unsupported",
    "Speak HTTP/1.1.",
)
# The first that fits; gunicorn's other errors of a request are malformed ones.
_REFUSALS: Final[tuple[tuple[type[Exception], _Refusal], ...]] = (
    (errors.InvalidResponseHeader, _FAULT),
    (errors.InvalidResponseHeaderName, _FAULT),
    (errors.ConfigurationProblem, _FAULT),
    (
        errors.LimitRequestLine,
        (HTTPStatus.REQUEST_URI_TOO_LONG, "uri_too_long", "The request line is too long."),
    ),
    (
        errors.ExpectationFailed,
        (
            HTTPStatus.EXPECTATION_FAILED,
            "expectation_failed",
            "Expect nothing but 100-continue.",
        ),
    ),
    (
        errors.LimitRequestHeaders,
        (
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            "headers_too_large",
            "The headers are too many, or too large.",
        ),
    ),
    (
        errors.UnsupportedTransferCoding,
        (
            HTTPStatus.NOT_IMPLEMENTED,
            "transfer_coding_unsupported",
            "Use no Transfer-Encoding but chunked.",
        ),
    ),
    (errors.ParseException, _MALFORMED),
)


def refusal(error: Exception) -> bytes:
    """Log the error, and return the answer to it, which ends the connection."""
    status, code, detail = _refusal_of(error)
    request_id = uuid7().hex
    logs.unbind()  # the request that this thread had before
    facts = {"status": status.value, "code": code, "request_id": request_id}
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request_failed", exc_info=error, extra=facts)
    else:
        log.warning("request_refused", extra={**facts, "error": type(error).__name__})
    problem = {
        "type": code,
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "request_id": request_id,
    }
    body = f"{json.dumps(problem, separators=(',', ':'))}\n"
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Connection: close",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        f"X-Request-ID: {request_id}",
        "X-Content-Type-Options: nosniff",
        "Referrer-Policy: no-referrer",
    )
    return "\r\n".join((*head, "", body)).encode("ascii")


def _refusal_of(error: Exception) -> _Refusal:
    # What is no version at all stays text.
    if isinstance(error, errors.InvalidHTTPVersion) and isinstance(error.version, tuple):
        return _FUTURE
    return next((said for kind, said in _REFUSALS if isinstance(error, kind)), _FAULT)
