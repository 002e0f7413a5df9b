"""Multipart forms whose file streams straight into staging, while its fields are kept.

Werkzeug's parser does the parsing; fields may stand before or after the file.
"""

from contextlib import ExitStack
from types import TracebackType
from typing import Any, BinaryIO, Final, Self, cast

from flask import Flask, Request
from pydantic import ValidationError
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import MultiPartParser

from shared.errors import BodyCut, Invalid, TooLarge, Unprocessable
from shared.model.caller import Caller
from shared.model.upload import NewUpload
from shared.services.intake import Intake
from shared.services.uploads import UploadService
from web.requests import RequestBody, StrictJson, whole_number
from web.rest.inputs import FileFields

MOST_FIELDS_BYTES: Final = 64 * 1024
_MOST_PARTS: Final = 32
# Less than the fields may have: the parser counts what it has read but not yet taken apart.
_BUFFER_BYTES: Final = 32 * 1024
_JSON: Final = StrictJson(Flask(__name__))


class FileForm:
    """A form on its way in: the file goes to staging as it comes, the fields are kept.

    Leaving the block drops what was not submitted.
    """

    def __init__(self, uploads: UploadService, who: Caller) -> None:
        self._uploads = uploads
        self._who = who
        self._stack = ExitStack()
        self._intake: Intake | None = None
        self._filename = ""
        self._content_type: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def read(self, request: Request) -> tuple[Intake, NewUpload]:
        """Read the whole form: the file is durable when this returns.

        Raises `BodyCut`, `Invalid`, `Unprocessable`, `TooLarge`, `Unsupported`.
        """
        fields, files = self._parse(request)
        if self._intake is None or "file" not in files:
            raise Unprocessable("There is no file in the field `file`.", pointer="/file")
        self._intake.finish()
        return self._intake, _said(fields).of(self._filename, self._content_type)

    def _parse(self, request: Request) -> tuple[MultiDict[str, str], MultiDict[str, FileStorage]]:
        body = RequestBody(request)
        parser = MultiPartParser(
            self._sink,
            MOST_FIELDS_BYTES,
            buffer_size=_BUFFER_BYTES,
            max_form_parts=_MOST_PARTS,
        )
        boundary = request.mimetype_params.get("boundary", "").encode("latin-1", "replace")
        if not boundary:
            raise Invalid("The Content-Type names no boundary.")
        try:
            fields, files = parser.parse(cast("BinaryIO", body), boundary, body.length)
        except RequestEntityTooLarge as error:
            raise TooLarge("The form has too many or too large fields.") from error
        except ValueError as error:
            if body.is_cut or "end" in str(error).lower():
                raise BodyCut("The form ends before its closing boundary.") from error
            raise Invalid("The body is not a valid form.") from error
        return fields, files

    def _sink(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None,
        content_length: int | None = None,
    ) -> BinaryIO:
        del total_content_length, content_length
        if self._intake is not None:
            raise Invalid("Send one file at a time.", pointer="/file")
        if not filename:
            raise Unprocessable("The file needs a name.", pointer="/file")
        self._filename, self._content_type = filename, content_type
        begun = self._uploads.begin_submission(self._who, filename)
        self._intake = self._stack.enter_context(begun)
        return cast("BinaryIO", _Sink(begun))


class _Sink:
    """What the parser writes a file to."""

    def __init__(self, intake: Intake) -> None:
        self.write = intake.write

    def seek(self, position: int) -> None:
        """The parser rewinds what it wrote; nothing here is read again."""

    def close(self) -> None:
        """Closed with its intake."""


def _said(fields: MultiDict[str, str]) -> FileFields:
    said: dict[str, Any] = dict(fields.items())
    for name in ("metadata", "tags", "is_public", "expires_in"):
        if said.get(name) == "":
            del said[name]
    try:
        if "metadata" in said:
            said["metadata"] = _parsed("metadata", said["metadata"])
        if "tags" in said:
            said["tags"] = _tags(said["tags"])
        if "is_public" in said:
            said["is_public"] = _flag(said["is_public"])
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
