"""Uploads that go straight to the object store: where they wait, and what their clients are handed.

Their bytes wait under a key of their own in the staging prefix, never under the final one. Parts are
numbered from 0 like chunks and have the same fixed places, S3 counts them from 1.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from shared.errors import TooLarge, Unprocessable
from shared.model import coverage
from shared.model.coverage import layout_of
from shared.model.policy import GIB, MIB
from shared.model.stored import PartSeen
from shared.model.upload import Chunk, Upload

SMALLEST_PART: Final = 5 * MIB  # of all but the last: S3's bound
LARGEST_PUT: Final = 5 * GIB  # of a body, whole or part: S3's bound
MOST_PARTS: Final = 10_000
LONGEST_PUT: Final = timedelta(days=1)  # that began while its link worked
_ONE_PUT: Final = 64 * MIB  # up to here one request is as well as parts
_PART: Final = 16 * MIB
_LONG: Final = 6  # digits: an ETag without a hyphen is one part's, and may be all digits


@dataclass(frozen=True, slots=True)
class Direct:
    """One row of `direct`.

    `etag` is that of what was sealed: other bytes are not the upload's. `is_cleared` says that what
    lay there after the end was removed once; `links_until` is when the last target that was handed
    out stops to work, None before the first. `grant_id` is the grant that it was opened by, which
    nobody with another reaches.
    """

    upload_id: str
    key: str
    multipart_id: str | None = None
    etag: str | None = None
    is_cleared: bool = False
    links_until: datetime | None = None
    grant_id: str | None = None

    def in_parts(self, upload: Upload) -> bool:
        """Say whether it comes in parts: of fixed places, or of sizes that their sender chooses."""
        return is_parted(upload) or self.multipart_id is not None


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


@dataclass(frozen=True, slots=True)
class Form:
    """A form that its client posts to the store, with these fields before the file."""

    url: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SignedForm:
    form: Form
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PartJoined:
    """A part that is the object's by now: which one it was is known, and no more how long."""

    number: int
    etag: str


@dataclass(frozen=True, slots=True)
class Named:
    """The parts that their sender wants joined: ETags without quotes by number from 1.

    `most` is how many bytes they may have together; None leaves that to the job.
    """

    etags: Mapping[int, str]
    most: int | None = None

    def lost(self, seen: Collection[PartSeen]) -> list[int]:
        """Return the numbers of those parts that the store has not as they are named."""
        here = {(part.number, part.etag) for part in seen}
        return sorted(number for number, etag in self.etags.items() if (number, etag) not in here)

    def of(self, seen: Collection[PartSeen]) -> list[PartSeen]:
        """Return those parts, which are all there, in order. Raises `Unprocessable`, `TooLarge`."""
        # Some stores keep what was sent under one number before, and tell of both.
        here = {(part.number, part.etag): part for part in seen}
        parts = [here[named] for named in sorted(self.etags.items())]
        if any(part.length < SMALLEST_PART for part in parts[:-1]):
            raise Unprocessable(
                f"All parts but the last have at least {SMALLEST_PART} bytes.", pointer="/parts"
            )
        if self.most is not None and sum(part.length for part in parts) > self.most:
            raise TooLarge(f"The file is larger than {self.most} bytes.", limit=self.most)
        return parts


def joined(etag: str) -> list[PartJoined]:
    """Return the parts of an object by its ETag, at whose end S3 says of how many it was joined."""
    count = etag.rpartition("-")[2]
    known = int(count) if count.isascii() and count.isdecimal() and len(count) < _LONG else 1
    return [PartJoined(number, etag) for number in range(1, min(known, MOST_PARTS) + 1)]


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
    return coverage.missing(upload, chunks) if chunks or is_parted(upload) else [0]
