"""Streams as a service takes them, of uploads that are known by their id."""

from typing import Protocol

from shared.model.caller import Caller
from shared.model.upload import Receipt
from shared.ports import Body
from shared.services.chunks import ChunkService
from shared.services.streams import StreamService
from shared.services.uploads import UploadService


class Receiving(Protocol):
    @property
    def uploads(self) -> UploadService: ...

    @property
    def chunks(self) -> ChunkService: ...


def append(where: Receiving, caller: Caller, upload_id: str, offset: int, body: Body) -> Receipt:
    """Go on with a stream as it is now."""
    upload = where.uploads.find(caller, upload_id)
    return StreamService(where.chunks).append(upload, offset, body)
