"""The fields of a canonical form, which are all text: read as what they stand for."""

from typing import Any, Final

from flask import Flask
from pydantic import ValidationError
from werkzeug.datastructures import MultiDict

from shared.errors import Unprocessable
from web.requests import StrictJson, whole_number
from web.rest.inputs import FileFields

_JSON: Final = StrictJson(Flask(__name__))


def file_fields(fields: MultiDict[str, str]) -> FileFields:
    """Return what the form says of its file. Raises `Unprocessable` with pointers."""
    said: dict[str, Any] = dict(fields.items())
    for name in ("metadata", "tags", "is_public", "expires_in", "replace"):
        if said.get(name) == "":
            del said[name]
    try:
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
        return FileFields.model_validate(said)
    except ValidationError as error:
        errors = [
            {"pointer": "/" + "/".join(str(part) for part in each["loc"]), "detail": each["msg"]}
            for each in error.errors()
        ]
        raise Unprocessable("Some fields are wrong; see errors.", errors=errors) from error


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
