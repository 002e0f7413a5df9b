"""An upload: a file on its way in, its chunks, and what has arrived of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.model.layout import Layout
from shared.model.lifecycle import UploadState


class Transfer(StrEnum):
    """Which way the bytes come: in numbered chunks, straight to the object store, or as a stream.

    A stream goes on at its offset. That of a part waits to be joined with others; what is joined has
    no stream of its own.
    """

    CHUNKED = "chunked"
    DIRECT = "direct"
    STREAM = "stream"
    PART = "part"
    JOINED = "joined"


@dataclass(frozen=True, slots=True)
class NewUpload:
    """What a client says when it opens an upload. Sizes in bytes; `expires_in` in seconds.

    `layout` is how its dialect names objects, None for the way of the settings; `open_for` is how
    many seconds the upload stays open at least. With `restarts` an upload of the same caller, name
    and key that is still receiving gives way to this one; with `replace`, a file of the caller's
    that has the bare name already. `grant_id` is what it is opened by, straight to the store.
    """

    filename: str
    size: int | None = None
    content_type: str | None = None
    chunk_size: int | None = None
    sha256: str | None = None
    folder: str | None = None
    description: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: Sequence[str] = ()
    is_public: bool = False
    expires_in: int | None = None
    reference: str | None = None
    profile: str = "default"
    layout: Layout | None = None
    transfer: Transfer = Transfer.CHUNKED
    open_for: int = 0
    restarts: bool = False
    replace: bool = False
    grant_id: str | None = None

    def with_bytes(self, size: int | None, sha256: str | None, transfer: Transfer) -> "NewUpload":
        """Return it with what is said of its bytes and of their way."""
        return replace(self, size=size, sha256=sha256, transfer=transfer)


@dataclass(frozen=True, slots=True)
class Upload:
    """One row of `uploads`.

    `size` is None until it is declared or the upload is sealed; `received` counts the bytes of
    committed chunks; `reserved` is what it holds of its tenant's quota; `key` is the final object's
    key, decided when the upload opens. The file it becomes has the same id. `replaces` is the file
    that had the key when the upload opened, and gives way to this one when that is published.
    """

    id: str
    tenant: str
    owner: str
    state: UploadState
    filename: str
    folder: str | None
    description: str | None
    size: int | None
    chunk_size: int
    declared_type: str | None
    sha256: str | None
    attributes: Mapping[str, Any]
    tags: Sequence[str]
    is_public: bool
    expires_in: int | None
    reference: str | None
    profile: str
    key: str
    received: int
    reserved: int
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    transfer: Transfer = Transfer.CHUNKED
    replaces: str | None = None

    @property
    def is_part(self) -> bool:
        return self.transfer is Transfer.PART

    @property
    def is_stream(self) -> bool:
        return self.transfer in {Transfer.STREAM, Transfer.PART, Transfer.JOINED}

    @property
    def is_direct(self) -> bool:
        return self.transfer is Transfer.DIRECT

    @property
    def is_receiving_directly(self) -> bool:
        return self.is_direct and self.state is UploadState.RECEIVING


@dataclass(frozen=True, slots=True)
class Chunk:
    """An immutable run of bytes in staging.

    `offset` counts inside `number`: a stream is number 0 at growing offsets; a numbered chunk
    larger than the upload's chunk size is rolled over into several rows of one number. `crc64` is
    CRC-64/NVME; `name` is what staging calls the bytes. They lie with the upload that they came with:
    `home`, where that is not the one that has them now.
    """

    upload_id: str
    number: int
    offset: int
    length: int
    crc64: int
    name: str
    home: str | None = None

    @property
    def place(self) -> str:
        """The upload whose folder in staging it lies in."""
        return self.home or self.upload_id


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the service answers for a chunk: all of it is on durable storage and committed."""

    upload: Upload
    number: int
    offset: int
    length: int
    repeated: bool = False
