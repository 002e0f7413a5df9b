"""How the gateway says no: `{"detail": …}` as FastAPI does, with our code and facts beside it.

`detail` is the sentence of the document's troubleshooting where it has one; of fields that are wrong
it is FastAPI's list of `{type, loc, msg}`.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from flask import Response, json, request

from web.dialects.predecessors.submitting import DENIED
from web.errors import Refusal, Refused

NOT_ENABLED: Final = "S3 file storage is not enabled or not properly configured"
_WORDS: Final[Mapping[str, str]] = {
    "type_not_allowed": "File type not allowed",
    "file_not_found": "File not found",
    DENIED: "Access denied to S3 bucket",
}


def not_enabled() -> Refused:
    status, headers = HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "60"}
    return Refused(Refusal(status, "objects_unavailable", NOT_ENABLED, headers=headers))


def refusal(refusal: Refusal) -> Response:
    facts = {name: fact for name, fact in refusal.facts.items() if name != "errors"}
    body = {"detail": _detail(refusal), "code": refusal.code, **facts}
    return Response(f"{json.dumps(body)}\n", refusal.status, mimetype="application/json")


def _detail(refusal: Refusal) -> Any:
    if refusal.code == "too_large" and "limit" in refusal.facts:
        return f"File too large. Maximum size: {refusal.facts['limit']} bytes"
    if refusal.code == "invalid_request" and "errors" in refusal.facts:
        return [_fault(each) for each in refusal.facts["errors"]]
    return _WORDS.get(refusal.code, refusal.detail)


def _fault(error: Mapping[str, str]) -> dict[str, Any]:
    where = "query" if request.method in {"GET", "HEAD"} else "body"
    field = error["pointer"].strip("/").split("/")
    return {"type": "value_error", "loc": [where, *filter(None, field)], "msg": error["detail"]}
