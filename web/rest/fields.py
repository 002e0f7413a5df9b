"""The fields of a canonical form, which are all text: read as what they stand for."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from flask import Flask
from pydantic import ValidationError

from shared.errors import Unprocessable
from shared.model.upload import NewUpload, Transfer
from web.requests import StrictJson, whole_number
from web.rest.inputs import FileFields, UploadIn

Read = TypeVar("Read")

_NAMELESS: Final = "upload"
# What clients call the fields of a file; the first that says something counts.
_FILENAME: Final = ("filename", "name")
_TYPE: Final = ("content_type", "filetype", "type")
_FIELDS: Final = frozenset(
    {
        *("folder", "description", "metadata", "tags", "is_public", "expires_in", "reference"),
        *("profile", "replace"),
    }
)
_JSON: Final = StrictJson(Flask(__name__))


def file_fields(fields: Mapping[str, str]) -> FileFields:
    """Return what the form says of its file. Raises `Unprocessable` with pointers."""
    said: dict[str, Any] = dict(fields.items())
    for name in ("metadata", "tags", "is_public", "expires_in", "replace"):
        if said.get(name) == "":
            del said[name]
    if "metadata" in said:
        said["metadata"] = _parsed("metadata", said["metadata"])
    if "tags" in said:
        said["tags"] = _tags(said["tags"])
    for name in ("is_public", "replace"):
        if name in said:
            said[name] = _flag(said[name])
    if "expires_in" in said:
        seconds = whole_number(said["expires_in"])
        said["expires_in"] = said["expires_in"] if seconds is None else seconds
    return _read(FileFields.model_validate, said)


def described(said: Mapping[str, str], size: int | None, transfer: Transfer) -> NewUpload:
    """Return the upload that metadata describe; keys that are no field are its own metadata.

    Raises `Unprocessable` with pointers.
    """
    fields = file_fields({key: said[key] for key in said if key in _FIELDS})
    known = _FIELDS | {*_FILENAME, *_TYPE, "sha256"}
    others = {key: text for key, text in said.items() if key not in known}
    whole = fields.model_dump() | {
        "filename": _first(said, _FILENAME) or _NAMELESS,
        "content_type": _first(said, _TYPE),
        "sha256": said.get("sha256") or None,
        "metadata": {**others, **fields.metadata},
    }
    read = _read(UploadIn.model_validate, whole)
    return read.new().with_bytes(size, read.sha256, transfer)


def _read(model: Callable[[Any], Read], said: Any) -> Read:
    try:
        return model(said)
    except ValidationError as error:
        errors = [
            {"pointer": "/" + "/".join(str(part) for part in each["loc"]), "detail": each["msg"]}
            for each in error.errors()
        ]
        raise Unprocessable("Some fields are wrong; see errors.", errors=errors) from error


def _first(said: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((said[name] for name in names if said.get(name)), None)


def _parsed(name: str, text: str) -> Any:
    try:
        return _JSON.loads(text)
    except ValueError as error:
        raise Unprocessable("This is not valid JSON.", pointer=f"/{name}") from error


def _tags(text: str) -> Any:
    if text.lstrip().startswith("["):
        return _parsed("tags", text)
    return [tag.strip() for tag in text.split(",") if tag.strip()]


def _flag(text: str) -> bool | str:
    known = {"true": True, "1": True, "yes": True, "on": True}
    known |= {"false": False, "0": False, "no": False, "off": False}
    return known.get(text.strip().lower(), text)
