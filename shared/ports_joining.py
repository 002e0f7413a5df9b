"""The seam of staging that lies in the object store: the store takes bytes from there by itself."""

from typing import Protocol, runtime_checkable

from shared.model.stored import Part
from shared.model.upload import Chunk


@runtime_checkable
class Joiner(Protocol):
    """What staging can do beside what `ports.Staging` says, if it can."""

    @property
    def joins(self) -> bool:
        """Whether the store plays along, as far as is known; false once it has refused."""
        ...

    def join(self, chunk: Chunk, start: int, key: str, multipart_id: str, part: Part) -> Part:
        """Make `part` of a chunk's bytes from `start`; return it with its ETag.

        Raises as `ObjectStore.put_part`, `Unavailable` also when the chunk is gone, `NotJoined` when the
        store does not do it, or copied other bytes: then they have to be sent.
        """
        ...
