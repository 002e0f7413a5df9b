"""What Uppy's S3 plugin says, leniently: what it adds some day is ignored."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal
from xml.sax.saxutils import unescape

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from shared.errors import Unprocessable
from shared.model.direct import MOST_PARTS
from shared.model.upload import NewUpload, Transfer
from web.rest.fields import described
from web.rest.inputs import Text

_METADATA: Final = re.compile(r"metadata\[(.+)\]")
# What Uppy puts into the metadata of every file, beside what it says anyway.
_OWN: Final = frozenset({"name", "type", "filename", "filetype", "content_type"})
_QUOTES: Final = {"&quot;": '"', "&#34;": '"'}
_UNSAID: Final = frozenset({"", "null", "undefined"})
_MOST_SIGNED: Final = 1000  # by one request
_PART: Final = re.compile(
    r"<Part>\s*<PartNumber>([0-9]{1,5})</PartNumber>\s*<ETag>([^<]{1,255})</ETag>\s*</Part>"
)


def _number(said: Any) -> Any:
    """Take text that says a number for it, and no truth."""
    if isinstance(said, bool):
        raise ValueError("true is no number")  # noqa: TRY004  # pydantic's word for a wrong value
    return said


class Said(BaseModel):
    model_config = ConfigDict(extra="ignore")


Number = Annotated[int, BeforeValidator(_number), Field(ge=1, le=MOST_PARTS)]
Filename = Annotated[Text, Field(max_length=1024)]


class UploadIn(Said):
    filename: Filename | None = None
    type: Annotated[Text, Field(max_length=255)] | None = None
    metadata: dict[str, Any] | None = None

    def new(self) -> NewUpload:
        return _described(self.filename, self.type, self.metadata or {})


class ParamsQuery(Said):
    filename: Filename | None = None
    type: Annotated[Text, Field(max_length=255)] | None = None

    def new(self, query: Mapping[str, str]) -> NewUpload:
        """Return the upload; its metadata are `metadata[name]` in the query."""
        named = {_METADATA.fullmatch(name): text for name, text in query.items()}
        metadata = {found[1]: text for found, text in named.items() if found}
        return _described(self.filename, self.type, metadata)


class KeyQuery(Said):
    key: Annotated[Text, Field(min_length=1, max_length=1024)]


def _numbers(text: Any) -> Any:
    """Take each number once, in the order in which they come."""
    if not isinstance(text, str):
        return text
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


class BatchQuery(KeyQuery):
    part_numbers: Annotated[
        list[Number],
        BeforeValidator(_numbers),
        Field(alias="partNumbers", min_length=1, max_length=_MOST_SIGNED),
    ]


class PartIn(Said):
    PartNumber: Number
    ETag: Annotated[Text, Field(min_length=1, max_length=255)]


class CompleteIn(Said):
    parts: Annotated[list[PartIn], Field(min_length=1, max_length=MOST_PARTS)]

    def etags(self) -> dict[int, str]:
        return _once([(part.PartNumber, part.ETag) for part in self.parts])


class SignIn(Said):
    """What `signRequest` is asked: a method, and what of an upload it is for."""

    method: Literal["PUT", "POST", "GET", "DELETE"]
    key: Annotated[Text, Field(min_length=1, max_length=1024)]
    upload_id: Annotated[Text | None, Field(alias="uploadId")] = None
    part_number: Annotated[Number | None, Field(alias="partNumber")] = None
    content_type: Annotated[Text | None, Field(alias="contentType", max_length=255)] = None
    metadata: dict[str, Any] | None = None

    def new(self) -> NewUpload:
        # The type is not signed, so that it need not be what the plugin sends with a PUT.
        kind = None if self.method == "PUT" else self.content_type
        return _described(self.key, kind, self.metadata or {})


def etags_in(body: str) -> dict[int, str]:
    """Return the parts that a `CompleteMultipartUpload` of S3 names. Raises `Unprocessable`."""
    found = [(int(number), unescape(etag, _QUOTES)) for number, etag in _PART.findall(body)]
    is_whole = body.rstrip().endswith("</CompleteMultipartUpload>")
    numbered = all(1 <= number <= MOST_PARTS for number, _ in found)
    if not found or not numbered or not is_whole or len(found) != body.count("<Part>"):
        raise Unprocessable("The body is no list of parts.", pointer="/parts")
    return _once(found)


def _once(parts: list[tuple[int, str]]) -> dict[int, str]:
    """Return ETags by number, without the quotes that some clients leave around them."""
    etags = {number: etag.strip().strip('"') for number, etag in parts}
    if len(etags) != len(parts):
        raise Unprocessable("A part is named twice.", pointer="/parts")
    return etags


def _described(filename: str | None, kind: str | None, metadata: Mapping[str, Any]) -> NewUpload:
    said = {name: _as_text(value) for name, value in metadata.items() if name not in _OWN}
    if said.get("relativePath", "") in _UNSAID:  # Uppy's own, of files that came in no folder
        said.pop("relativePath", None)
    named = {"filename": filename or "", "content_type": kind or ""}
    known = {name: text for name, text in said.items() if text is not None}
    return described(known | named, None, Transfer.DIRECT)


def _as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
