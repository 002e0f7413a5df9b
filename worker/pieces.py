"""How an object is cut into parts: what is sent, and what the store can copy from staging by itself."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from shared.errors import Damaged
from shared.model.direct import MOST_PARTS, SMALLEST_PART
from shared.model.upload import Chunk

SMALL_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Piece:
    """A part to be: `length` bytes from `offset`. With a `chunk` they lie there, from `start` on."""

    offset: int
    length: int
    chunk: Chunk | None = None
    start: int = 0


def part_length(size: int) -> int:
    """Return the length of all parts but the last of an object of `size` bytes that is sent."""
    return max(SMALL_BYTES, -(-size // MOST_PARTS))


def equal(size: int) -> Iterator[Piece]:
    """Cut `size` bytes, ignoring the borders of chunks."""
    length = part_length(size)
    for offset in range(0, size, length):
        yield Piece(offset, min(length, size - offset))


def joined(chunks: Iterable[Chunk], size: int) -> Iterator[Piece]:
    """Cut so that the store can copy what it can: as much of each chunk as is long enough for a part.

    Shorter ones are sent with their neighbours, and with as much of the next long one as they lack.
    No part that is sent has twice the least length, which is S3's or what it takes to stay within
    10,000 parts.
    """
    least = max(SMALLEST_PART, -(-size // MOST_PARTS))
    at = waiting = 0
    for chunk in chunks:
        lacking = least - waiting if waiting else 0
        if chunk.length - lacking < least:
            waiting += chunk.length
            if waiting >= least:
                yield Piece(at, waiting)
                at, waiting = at + waiting, 0
            continue
        if waiting:
            yield Piece(at, least)
            at, waiting = at + least, 0
        yield Piece(at, chunk.length - lacking, chunk, lacking)
        at += chunk.length - lacking
    if waiting:
        yield Piece(at, waiting)


class Stream:
    """Blocks of bytes, taken in other lengths than they come in."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")

    def take(self, length: int) -> Iterator[memoryview]:
        """Yield the next `length` bytes. Raises `Damaged` when there are not so many."""
        while length:
            if not self._rest:
                block = next(self._blocks, None)
                if block is None:
                    raise Damaged("The chunks are not all that was received.")
                self._rest = memoryview(block)
            view = self._rest[:length]
            self._rest = self._rest[len(view) :]
            length -= len(view)
            yield view

    def end(self) -> None:
        """Let whoever yields the blocks say that these were all. Raises `Damaged` otherwise."""
        if self._rest or next(self._blocks, None) is not None:
            raise Damaged("The chunks are more than was received.")
