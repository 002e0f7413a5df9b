"""What requests may say. Bodies refuse unknown fields; queries ignore them."""

import json
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from shared.model.layout import Layout
from shared.model.upload import NewUpload, Transfer
from shared.services.copies import NewCopy

_MOST_METADATA: Final = 16 * 1024
_DEEPEST_METADATA: Final = 64
_MOST_TAGS: Final = 32
_SEVEN_DAYS: Final = 7 * 24 * 3600
_TEN_YEARS: Final = 10 * 365 * 24 * 3600
_TIMES: Final = TypeAdapter(datetime)
_UNSAID: Final[Any] = Field(default_factory=lambda: None)  # no default that a document would show


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("a NUL character is not text")
    return text


def keepable(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return what can be kept and shown again. Raises `ValueError`."""
    if _is_deeper(metadata, _DEEPEST_METADATA):
        raise ValueError(f"metadata is deeper than {_DEEPEST_METADATA} levels")
    if "\\u0000" in json.dumps(metadata):
        raise ValueError("a NUL character is not text")
    return metadata


def _small(metadata: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(keepable(metadata))) > _MOST_METADATA:
        raise ValueError(f"metadata is larger than {_MOST_METADATA} bytes")
    return metadata


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inside = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in inside)


def _a_time(said: Any) -> Any:
    """JSON has no times: RFC 3339 in a string is one, a number is not."""
    return _TIMES.validate_python(said) if isinstance(said, str) else said


Text = Annotated[str, AfterValidator(_without_nul)]
Tag = Annotated[Text, Field(min_length=1, max_length=64)]
Tags = Annotated[list[Tag], Field(max_length=_MOST_TAGS)]
Folder = Annotated[Text, Field(max_length=512)]
Description = Annotated[Text, Field(max_length=2000)]
Metadata = Annotated[dict[str, Any], AfterValidator(_small)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="64 hexadecimal digits.")]


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class FileFields(Input):
    """What a client may say of a file beside its bytes."""

    folder: Folder | None = None
    description: Description | None = None
    metadata: Metadata = {}
    tags: Tags = []
    is_public: bool = False
    expires_in: Annotated[int, Field(ge=1, le=_TEN_YEARS, description="Seconds.")] | None = None
    reference: Annotated[Text, Field(max_length=255)] | None = None
    profile: Annotated[Text, Field(max_length=64)] = "default"
    replace: Annotated[bool, Field(description="A file of yours that has the bare name.")] = False

    def of(
        self, filename: str, content_type: str | None, layout: Layout | None = None
    ) -> NewUpload:
        return NewUpload(
            filename=filename, content_type=content_type, layout=layout, **self.model_dump()
        )


class UploadIn(FileFields):
    filename: Annotated[Text, Field(min_length=1, max_length=1024)]
    size: Annotated[int, Field(ge=0, le=2**53, description="Bytes.")] | None = None
    content_type: Annotated[Text, Field(max_length=255)] | None = None
    chunk_size: Annotated[int, Field(ge=1, le=2**30, description="Bytes.")] | None = None
    sha256: Sha256 | None = None
    transfer: Literal["chunked", "direct"] = "chunked"

    def new(self, *, replace: bool = False) -> NewUpload:
        said = {"transfer": Transfer(self.transfer), "replace": replace or self.replace}
        return NewUpload(**self.model_dump() | said)


class GrantIn(Input):
    expires_in: Annotated[int, Field(ge=1, le=_SEVEN_DAYS, description="Seconds.")] | None = None


class FileChangesIn(Input):
    """What may be said of a file later. Null takes away what need not be there."""

    filename: Annotated[Text, Field(min_length=1, max_length=1024)] = _UNSAID
    description: Description | None = _UNSAID
    metadata: Metadata = _UNSAID
    tags: Tags = _UNSAID
    is_public: bool = _UNSAID
    expires_at: Annotated[datetime, BeforeValidator(_a_time)] | None = _UNSAID

    def said(self) -> dict[str, Any]:
        return self.model_dump(include=self.model_fields_set)


class CopyIn(Input):
    new_folder: Folder | None = None
    new_filename: Annotated[Text, Field(min_length=1, max_length=1024)] | None = None
    new_metadata: Metadata | None = None

    def new(self) -> NewCopy:
        return NewCopy(self.new_folder, self.new_filename, self.new_metadata)


class DeleteIn(Input):
    ids: Annotated[list[Text], Field(min_length=1, max_length=100)]
    hard_delete: bool = False


class CompleteIn(Input):
    total_chunks: Annotated[int, Field(ge=0, le=10_000)] | None = None
    sha256: Sha256 | None = None


def _ids(text: Any) -> Any:
    return [part for part in text.split(",") if part] if isinstance(text, str) else text


def _numbers(text: Any) -> Any:
    parts = text.split(",") if isinstance(text, str) else text
    return [int(part) if part.isascii() and part.isdecimal() else part for part in parts if part]


def _of_query(text: Any) -> Any:
    """A query is text; strict models want what it stands for."""
    return {"true": True, "1": True, "false": False, "0": False}.get(str(text).lower(), text)


Flag = Annotated[bool, BeforeValidator(_of_query)]


class Query(BaseModel):
    model_config = ConfigDict(extra="ignore")


class TargetsQuery(Query):
    numbers: (
        Annotated[
            list[Annotated[int, Field(ge=0, lt=10_000)]],
            BeforeValidator(_numbers),
            Field(min_length=1, max_length=100),
        ]
        | None
    ) = None


class JobsQuery(Query):
    ids: Annotated[list[str], BeforeValidator(_ids), Field(min_length=1, max_length=100)]


class ReplaceQuery(Query):
    replace: Flag = False


class WaitQuery(Query):
    wait: Annotated[float, Field(ge=0, le=30, description="Seconds.")] = 0


class FilesQuery(Query):
    category: Literal["image", "video", "audio", "document"] | None = None
    content_type: Text | None = None
    tag: Text | None = None
    folder: Text | None = None
    q: Annotated[Text, Field(max_length=200, description="In name or description.")] | None = None
    reference: Text | None = None
    state: Literal["ready", "deleted"] = "ready"
    created_after: datetime | None = None
    created_before: datetime | None = None
    sort: Annotated[str, Field(pattern="^-?(created_at|filename|size)$")] = "-created_at"
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    cursor: Text | None = None
    offset: Annotated[int, Field(ge=0, le=2**31)] | None = None


class LinkQuery(Query):
    expiry: Annotated[int, Field(ge=1, le=_SEVEN_DAYS, description="Seconds.")] | None = None
    force_download: Flag = False


class DownloadQuery(Query):
    as_attachment: Flag | None = None


class DeleteQuery(Query):
    hard_delete: Flag = False
