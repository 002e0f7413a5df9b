"""Whether a numbered chunk fits its place, before any of it is stored."""

from typing import Final

from shared.errors import ChunkMisplaced, TooLarge
from shared.model.coverage import layout_of
from shared.model.upload import Upload
from shared.ports import Body

MOST_CHUNKS: Final = 10_000


def refuse_far(number: int) -> None:
    """Refuse a number that no upload has, before a database is asked: it may not know such ones.

    One byte far out would make the list of what is missing endless, too. Raises `ChunkMisplaced`.
    """
    if number >= MOST_CHUNKS:
        said = f"An upload has at most {MOST_CHUNKS} chunks."
        raise ChunkMisplaced(said, total_chunks=MOST_CHUNKS)


def expected_length(upload: Upload, number: int, body: Body, room: int) -> int | None:
    """Return how long chunk `number` has to be, None where any length will do; `room` in bytes.

    Raises `ChunkMisplaced`, `TooLarge`.
    """
    layout = layout_of(upload)
    if layout is None:
        if body.length is not None and body.length > room:
            raise TooLarge(f"At most {room} more bytes are allowed.", limit=room)
        return body.length
    length = layout.length(number)
    if body.length is not None and body.length > upload.chunk_size:
        limit = upload.chunk_size
        raise TooLarge(f"Chunks of this upload have at most {limit} bytes.", limit=limit)
    if body.length is not None and body.length != length:
        raise ChunkMisplaced(
            f"Chunk {number} of this upload has {length} bytes, not {body.length}.",
            expected=length,
            chunk_size=upload.chunk_size,
        )
    return length
