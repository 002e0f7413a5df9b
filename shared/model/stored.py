"""What object stores say of what they hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

UPLOAD_ID: Final = "upload-id"  # of an object's metadata


@dataclass(frozen=True, slots=True)
class Part:
    """S3's numbered part, from 1; `offset` and `length` are its place in the object, in bytes.

    `is_copied` when the store took the bytes from another object by itself.
    """

    number: int
    offset: int
    length: int
    etag: str
    crc64: int
    is_copied: bool = False


@dataclass(frozen=True, slots=True)
class PartSeen:
    """A part as the store tells of it, whoever sent it; `number` from 1, `length` in bytes."""

    number: int
    length: int
    etag: str


@dataclass(frozen=True, slots=True)
class Copied:
    """Bytes that the store copied by itself; `etag` is what they have in the place they come from."""

    length: int
    crc64: int
    etag: str


Written = bytes | Sequence[Part] | Copied


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What the store says of an object; `metadata` only where one object was asked for."""

    key: str
    size: int
    etag: str
    content_type: str
    modified_at: datetime
    metadata: dict[str, str]

    @property
    def upload_id(self) -> str | None:
        """The upload that the object says it is of: no other object is ours."""
        return self.metadata.get(UPLOAD_ID)


@dataclass(frozen=True, slots=True)
class OpenMultipart:
    key: str
    multipart_id: str
    started_at: datetime
