"""`POST /api/v1/storage/upload`: chat attachments, in an envelope.

Files are public, of the documented extensions, and lie at `{customer}/assets/chat/1/…`.
"""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any, Final

from apiflask import APIBlueprint
from flask import Response, json, request
from pydantic import TypeAdapter, ValidationError
from werkzeug.datastructures import MultiDict

from shared.errors import Forbidden, Invalid
from shared.model.file import File
from shared.model.predecessors import STORAGE
from shared.model.upload import NewUpload
from shared.services.assets import CHAT, layout_at
from web.auth import caller
from web.dialects.predecessors.submitting import DENIED, STORE_FAULTS, submitted
from web.errors import Refusal
from web.forms import Received
from web.requests import whole_number
from web.rest.fields import file_fields
from web.rest.inputs import keepable
from web.services import services

PREFIX: Final = "/api/v1/storage"
_LABELS: Final = ("category", "action")
_FIELDS: Final = ("userInput", "userSettings", "assetInput")
_FLAG: Final = TypeAdapter(bool)
_BAD: Final = {HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.UNPROCESSABLE_ENTITY}

bp = APIBlueprint("storage", __name__, url_prefix=PREFIX, tag="Predecessors: storage")


@bp.post("/upload")
@bp.doc(hide=True)
def upload_attachment() -> Response:
    labels: dict[str, str] = {}

    def new(received: Received) -> NewUpload:
        labels.update(_labels(received.fields))
        return _new(received, labels)

    file = submitted(new, profile=STORAGE, hopeless={DENIED})
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
    customer = whole_number(fields["customerId"].strip())
    if customer is None:
        raise Invalid("The customerId is not a whole number.", pointer="/customerId")
    if str(customer) != caller().tenant:
        raise Forbidden("This customerId is not the one of your token.")
    return {name: fields[name] for name in _LABELS}


def _new(received: Received, labels: Mapping[str, str]) -> NewUpload:
    said = {name: value for name in _FIELDS if (value := _value(received.fields, name))}
    forced = _is_forced(said.get("userInput"))
    asked = received.fields.get("replace") or request.args.get("replace", "")
    fields = MultiDict({"is_public": "true", "profile": STORAGE, "replace": asked})
    layout = layout_at(CHAT, forced=forced)
    new = file_fields(fields).of(received.filename, received.content_type, layout)
    # Not by the canonical form, whose bound of metadata is another: here it is that of the form.
    return replace(new, metadata=_kept({**labels, **said}))


def _value(fields: MultiDict[str, str], name: str) -> Any:
    """Return what a field says in JSON, of whatever kind; None where it stands empty."""
    text = fields.get(name, "").strip()
    try:
        return json.loads(text) if text else None
    except ValueError as error:
        raise Invalid(f"{name} is not valid JSON.", pointer=f"/{name}") from error


def _is_forced(said: Any) -> bool:
    asked = said.get("force_filename") if isinstance(said, dict) else None
    try:
        return _FLAG.validate_python(asked or False)
    except ValidationError as error:
        told = "force_filename is true or false."
        raise Invalid(told, pointer="/userInput/force_filename") from error


def _kept(metadata: dict[str, Any]) -> dict[str, Any]:
    try:
        return keepable(metadata)
    except ValueError as error:
        raise Invalid(f"This can't be kept: {error}.") from error


def _extension(file: File) -> str:
    return PurePosixPath(file.filename).suffix.lstrip(".").lower()


def _envelope(
    status: HTTPStatus, message: str, data: Mapping[str, Any] | None, meta: Mapping[str, Any]
) -> Response:
    is_good = status < HTTPStatus.BAD_REQUEST
    body = {"code": status, "success": is_good, "message": message, "data": data, "meta": meta}
    return Response(f"{json.dumps(body)}\n", status, mimetype="application/json")
