"""`POST /api/v1/storage/upload`: chat attachments, in an envelope.

Files are public, of the documented extensions, and lie at `{customer}/assets/chat/1/…`.
"""

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any, Final

from apiflask import APIBlueprint
from flask import Response, json, request
from werkzeug.datastructures import MultiDict

from shared.errors import Forbidden, Invalid
from shared.model.file import File
from shared.model.upload import NewUpload
from shared.services.assets import CHAT, PROFILE, layout_at
from web.auth import caller
from web.dialects.predecessors.submitting import DENIED, STORE_FAULTS, submitted
from web.errors import Refusal
from web.forms import Received
from web.requests import whole_number
from web.rest.fields import file_fields
from web.services import services

PREFIX: Final = "/api/v1/storage"
_LABELS: Final = ("category", "action")
_OBJECTS: Final = ("userInput", "userSettings", "assetInput")
_BAD: Final = {HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.UNPROCESSABLE_ENTITY}

bp = APIBlueprint("storage", __name__, url_prefix=PREFIX, tag="Predecessors: storage")


@bp.post("/upload")
@bp.doc(hide=True)
def upload_attachment() -> Response:
    labels: dict[str, str] = {}

    def new(received: Received) -> NewUpload:
        labels.update(_labels(received.fields))
        return _new(received, labels)

    file = submitted(new, profile=PROFILE, hopeless={DENIED})
    url = services().describing.file(file)["url"]
    data = {"url": url, "result": url, "filename": PurePosixPath(file.key).name}
    meta = labels | {"extension": _extension(file), "content_type": file.content_type}
    return _envelope(HTTPStatus.OK, "File uploaded successfully", data, meta)


def refusal(refusal: Refusal) -> Response:
    status = HTTPStatus.BAD_REQUEST if refusal.status in _BAD else refusal.status
    if refusal.code in STORE_FAULTS:
        status = HTTPStatus.BAD_GATEWAY
    meta = {"error": refusal.code, **refusal.facts}
    return _envelope(status, refusal.detail, None, meta)


def _labels(fields: MultiDict[str, str]) -> dict[str, str]:
    """Return category and action. Raises `Invalid`, and `Forbidden` for another's customer id."""
    for name in (*_LABELS, "customerId"):
        if not fields.get(name, "").strip():
            raise Invalid(f"The field {name} is required.", pointer=f"/{name}")
    customer = whole_number(fields["customerId"])
    if customer is None:
        raise Invalid("The customerId is not a whole number.", pointer="/customerId")
    if str(customer) != caller().tenant:
        raise Forbidden("This customerId is not the one of your token.")
    return {name: fields[name] for name in _LABELS}


def _new(received: Received, labels: Mapping[str, str]) -> NewUpload:
    said = {name: _object(received.fields, name) for name in _OBJECTS}
    forced = said["userInput"].get("force_filename", False)
    if not isinstance(forced, bool):
        raise Invalid("force_filename is true or false.", pointer="/userInput/force_filename")
    metadata = {**labels, **{name: value for name, value in said.items() if value}}
    asked = received.fields.get("replace") or request.args.get("replace", "")
    fields = MultiDict(
        {
            "metadata": json.dumps(metadata),
            "is_public": "true",
            "profile": PROFILE,
            "replace": asked,
        }
    )
    layout = layout_at(CHAT, forced=forced)
    return file_fields(fields).of(received.filename, received.content_type, layout)


def _object(fields: MultiDict[str, str], name: str) -> dict[str, Any]:
    text = fields.get(name, "").strip()
    try:
        value = json.loads(text) if text else {}
    except ValueError as error:
        raise Invalid(f"{name} is not valid JSON.", pointer=f"/{name}") from error
    if not isinstance(value, dict):
        raise Invalid(f"{name} is not a JSON object.", pointer=f"/{name}")
    return value


def _extension(file: File) -> str:
    return PurePosixPath(file.filename).suffix.lstrip(".").lower()


def _envelope(
    status: HTTPStatus, message: str, data: Mapping[str, Any] | None, meta: Mapping[str, Any]
) -> Response:
    is_good = status < HTTPStatus.BAD_REQUEST
    body = {"code": status, "success": is_good, "message": message, "data": data, "meta": meta}
    return Response(f"{json.dumps(body)}\n", status, mimetype="application/json")
