"""Multipart forms whose file streams straight into staging, while its fields are kept.

Werkzeug's parser does the parsing; fields may stand before or after the file.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Final, Self, cast

from flask import Request
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import MultiPartParser

from shared.errors import BodyCut, Invalid, TooLarge, Unprocessable
from shared.model.caller import Caller
from shared.services.intake import Intake
from shared.services.uploads import UploadService
from web.requests import RequestBody

MOST_FIELDS_BYTES: Final = 64 * 1024
MOST_PARTS: Final = 32
_MOST_HEADS_BYTES: Final = 256 * 1024  # of all parts, and what stands between them
# Less than the fields may have: the parser counts what it has read but not yet taken apart.
BUFFER_BYTES: Final = 32 * 1024


@dataclass(frozen=True, slots=True)
class Received:
    """A form that is here as a whole: its file, what that is called, and the other fields."""

    intake: Intake
    filename: str
    content_type: str | None
    fields: MultiDict[str, str]


class FileForm:
    """A form on its way in: the file goes to staging as it comes, the fields are kept.

    `profile` is the file's where that is known before the form has said it.
    Leaving the block drops what was not submitted.
    """

    def __init__(self, uploads: UploadService, who: Caller, *, profile: str | None = None) -> None:
        self._uploads = uploads
        self._profile = profile
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

    def read(self, request: Request) -> Received:
        """Read the whole form: the file is durable when this returns.

        Raises `BodyCut`, `Invalid`, `Unprocessable`, `TooLarge`, `Unsupported`.
        """
        boundary = boundary_of(request, "file", self._uploads.screening.largest_of(self._profile))
        fields, files = self._parse(request, boundary)
        if self._intake is None or "file" not in files:
            raise Unprocessable("There is no file in the field `file`.", pointer="/file")
        self._intake.finish()
        return Received(self._intake, self._filename, self._content_type, fields)

    def _parse(
        self, request: Request, boundary: bytes
    ) -> tuple[MultiDict[str, str], MultiDict[str, FileStorage]]:
        body = RequestBody(request)
        parser = MultiPartParser(
            self._sink,
            MOST_FIELDS_BYTES,
            buffer_size=BUFFER_BYTES,
            max_form_parts=MOST_PARTS,
        )
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
        begun = self._uploads.begin_submission(
            self._who, filename, declared=content_type, profile=self._profile
        )
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


def boundary_of(request: Request, field: str, largest: int) -> bytes:
    """Return what parts the form, before it is read. Raises `Invalid`, `TooLarge`."""
    if request.mimetype != "multipart/form-data":
        raise Invalid(f"Send the file as multipart/form-data, in the field `{field}`.")
    room = largest + MOST_FIELDS_BYTES + _MOST_HEADS_BYTES
    if request.content_length is not None and request.content_length > room:
        raise TooLarge(f"At most {largest} bytes are allowed.", limit=largest)
    boundary = request.mimetype_params.get("boundary", "").encode("latin-1", "replace")
    if not boundary:
        raise Invalid("The Content-Type names no boundary.")
    return boundary
