"""Uploads that go straight to the object store: where they wait, and what their clients are handed.

Their bytes wait under a key of their own in the staging prefix, never under the final one. Parts are
numbered from 0 like chunks and have the same fixed places, S3 counts them from 1.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from shared.errors import Unprocessable
from shared.model import coverage
from shared.model.coverage import layout_of
from shared.model.policy import GIB, MIB
from shared.model.upload import Chunk, Upload

SMALLEST_PART: Final = 5 * MIB  # of all but the last: S3's bound
LARGEST_PUT: Final = 5 * GIB  # of a body, whole or part: S3's bound
MOST_PARTS: Final = 10_000
LONGEST_PUT: Final = timedelta(days=1)  # that began while its link worked
_ONE_PUT: Final = 64 * MIB  # up to here one request is as well as parts
_PART: Final = 16 * MIB


@dataclass(frozen=True, slots=True)
class Direct:
    """One row of `direct`.

    `etag` is that of what was sealed: other bytes are not the upload's. `is_cleared` says that what
    lay there after the end was removed once; `links_until` is when the last target that was handed
    out stops to work, None before the first.
    """

    upload_id: str
    key: str
    multipart_id: str | None = None
    etag: str | None = None
    is_cleared: bool = False
    links_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A request that its client makes to the store: `PUT url` with these headers.

    `offset` and `size` in bytes; a `size` of None is the client's to choose, otherwise it is signed.
    """

    number: int
    url: str
    offset: int
    size: int | None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Targets:
    targets: list[Target]
    expires_at: datetime


def part_size(size: int | None, wanted: int | None) -> int:
    """Return the bytes of each part but the last; a file that is not longer goes in one PUT.

    Raises `Unprocessable`.
    """
    if size is None:  # in parts it would have no end
        if wanted is not None:
            raise Unprocessable("Parts need a `size`.", pointer="/chunk_size")
        return LARGEST_PUT
    if size > MOST_PARTS * LARGEST_PUT:
        raise Unprocessable("The object store takes no file of that size.", pointer="/size")
    if wanted is not None and not SMALLEST_PART <= wanted <= LARGEST_PUT:
        raise Unprocessable(f"Parts have at least {SMALLEST_PART} bytes.", pointer="/chunk_size")
    if wanted is None and size <= _ONE_PUT:
        return _ONE_PUT
    return max(wanted or _PART, -(-size // MOST_PARTS))


def is_parted(upload: Upload) -> bool:
    layout = layout_of(upload)
    return layout is not None and layout.count > 1


def missing(upload: Upload, chunks: Collection[Chunk]) -> list[int]:
    """Return the numbers that are not here yet; what has no parts is one request, of any size."""
    if is_parted(upload):
        return coverage.missing(upload, chunks)
    return [] if chunks else [0]
