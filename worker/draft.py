"""A file inside the pipeline: what the steps have found out so far, and what they work with."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from shared.errors import Damaged
from shared.model.digest import crc64
from shared.model.policy import Verdict
from shared.model.stored import Part
from shared.model.thumbnail import ThumbnailSpec
from shared.ports import ObjectStore, Staging
from shared.services.claims import Claim, ClaimService
from shared.services.screening import Screening
from worker.images import Decoded, Limits
from worker.watch import Watch

BLOCK_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Draft:
    """Each step returns it with more known. `body` is a small file's whole content."""

    claim: Claim
    verdict: Verdict | None = None
    sha256: str | None = None
    body: bytes | None = None
    multipart_id: str | None = None
    parts: Sequence[Part] = ()
    decoded: Decoded | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Workbench:
    """What the steps may use. `undo` runs what was pushed on it unless the job publishes."""

    claims: ClaimService
    staging: Staging
    objects: ObjectStore
    screening: Screening
    watch: Watch
    undo: ExitStack
    thumbnails: Sequence[ThumbnailSpec]
    limits: Limits
    parallel_parts: int

    def blocks(self, claim: Claim) -> Iterator[bytes]:
        """Yield the file's bytes in order, each chunk held against its checksum.

        Raises `Damaged` when staging has not what was acknowledged.
        """
        if sum(chunk.length for chunk in claim.chunks) != claim.upload.received:
            raise Damaged("The chunks are not all that was received.")
        for chunk in claim.chunks:
            length = checksum = 0
            for block in self.staging.read(chunk, BLOCK_BYTES):
                length += len(block)
                checksum = crc64(block, checksum)
                yield block
            if (length, checksum) != (chunk.length, chunk.crc64):
                raise Damaged("A staged chunk is not what was sent.", number=chunk.number)
