"""The seam of staging that lies in the object store: the store takes bytes from there by itself."""

from typing import Protocol, runtime_checkable

from shared.model.stored import Part
from shared.model.upload import Chunk


@runtime_checkable
class Joiner(Protocol):
    """What staging can do beside what `ports.Staging` says, if it can."""

    def join(self, chunk: Chunk, start: int, key: str, multipart_id: str, part: Part) -> Part:
        """Make `part` of a chunk's bytes from `start`; return it with its ETag.

        Raises as `ObjectStore.put_part`, `Unavailable` also when the chunk is gone.
        """
        ...
