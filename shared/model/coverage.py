"""Which bytes of an upload have arrived, from the rows of its chunks.

With a declared size the layout is fixed: chunk `n` holds the bytes from `n * chunk_size`. Without
one, chunks may have any size and their place in the file is known once all before them are here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from shared.errors import ChunkMisplaced
from shared.model.upload import Chunk, Upload


@dataclass(frozen=True, slots=True)
class Layout:
    """The fixed places of the chunks of an upload of known size; all in bytes."""

    size: int
    chunk_size: int

    @property
    def count(self) -> int:
        return -(-self.size // self.chunk_size)

    def length(self, number: int) -> int:
        """Return the length of chunk `number`, or raise `ChunkMisplaced` beyond the end."""
        if number >= self.count:
            raise ChunkMisplaced(
                f"Chunk {number} lies beyond the end: this upload has {self.count} chunks.",
                total_chunks=self.count,
            )
        return min(self.chunk_size, self.size - number * self.chunk_size)


def layout_of(upload: Upload) -> Layout | None:
    return None if upload.size is None else Layout(upload.size, upload.chunk_size)


def missing(upload: Upload, chunks: Iterable[Chunk], total: int | None = None) -> list[int]:
    """Return the numbers of the chunks that are not here yet.

    Of an upload of unknown size: those below `total`, or below the highest that has arrived.
    """
    here = {chunk.number for chunk in chunks}
    layout = layout_of(upload)
    if layout is not None:
        total = layout.count
    elif total is None:
        total = max(here, default=-1) + 1
    return [number for number in range(total) if number not in here]


def received_ranges(upload: Upload, chunks: Sequence[Chunk]) -> list[tuple[int, int]]:
    """Return the file's byte ranges `[from, to)` that have arrived, joined and in order.

    Chunks of unknown place (behind a gap, the size being unknown) are left out.
    """
    layout = layout_of(upload)
    ranges: list[tuple[int, int]] = []
    position = 0
    in_order = sorted(chunks, key=lambda chunk: (chunk.number, chunk.offset))
    for expected, (number, rows) in enumerate(groupby(in_order, key=lambda chunk: chunk.number)):
        if layout is not None:
            position = number * layout.chunk_size
        elif number != expected:
            break
        length = sum(row.length for row in rows)
        if ranges and ranges[-1][1] == position:
            ranges[-1] = (ranges[-1][0], position + length)
        else:
            ranges.append((position, position + length))
        position += length
    return ranges
