"""One body on its way into staging: bytes before rows.

An intake splits what it is given into chunks of at most the upload's chunk size, and of what staging
takes under one name, each synced before it is told of. It knows nothing of rows: who uses it commits them, or drops what was stored.
"""

import time
from collections.abc import Callable, Collection, Sequence
from itertools import chain
from types import TracebackType
from typing import Final, Self

from shared.errors import (
    AppError,
    BodyCut,
    DigestMismatch,
    OutcomeUnknown,
    TooLarge,
    Unavailable,
)
from shared.model.digest import ALGORITHMS, Checksum, crc64
from shared.model.upload import Chunk
from shared.ports import Body, ChunkWriter, Staging

HEAD_BYTES: Final = 64 * 1024
BLOCK_BYTES: Final = 256 * 1024
_LONG_SECONDS: Final = 600.0  # no grace of a sweep is shorter


class Intake:
    """Store a body of `number` from `offset`; what was not committed when the block ends is dropped.

    `expected` is the length to set aside, `limit` the length at which the body is refused as too
    large, `digests` the algorithms of `ALGORITHMS` to sum it up with. `look` gets the first 64 KiB as
    soon as they are here, or all there is at the end; `keep` gets each chunk once it is durable and
    that look has been taken, however short the chunks are. Both may raise, which refuses the body.
    """

    def __init__(
        self,
        staging: Staging,
        upload_id: str,
        *,
        number: int = 0,
        offset: int = 0,
        roll: int,
        expected: int | None = None,
        limit: int | None = None,
        digests: Collection[str] = (),
        look: Callable[[bytes], None] | None = None,
        keep: Callable[[Chunk], None] | None = None,
    ) -> None:
        self._staging = staging
        self._place = (upload_id, number)
        self._start = offset
        self._roll = min(roll, staging.largest)
        self._expected = expected
        self._limit = limit
        self._look = look
        self._keep = keep
        self._writer: ChunkWriter | None = None
        self._writing = 0
        self._crc = 0
        self._hashes = {each: ALGORITHMS[each]() for each in digests}
        self.head = b""
        self.length = 0
        self.chunks: list[Chunk] = []
        self._uncommitted: list[Chunk] = []
        self._kept_at = 0.0  # the oldest of these
        self._told = 0  # how many of them are told of, so that there may be rows
        self._was_told = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.drop()
        # A commit whose answer was lost may have happened: then rows point at these bytes, and
        # the sweep, which looks at the rows, decides. So may one before a fault nobody expected.
        unexpected = self._was_told and not (error is None or isinstance(error, AppError))
        if not unexpected and not isinstance(error, OutcomeUnknown):
            self._staging.discard(self._place[0], [chunk.name for chunk in self._uncommitted])

    @property
    def upload_id(self) -> str:
        return self._place[0]

    @property
    def kept(self) -> int:
        """The bytes whose rows are committed."""
        return self.length - self._writing - sum(each.length for each in self._uncommitted)

    def commit(self) -> None:
        """Say that the rows of all chunks are committed that were told of: they stay."""
        self._uncommitted = self._uncommitted[self._told :]
        self._told = 0

    def refuse_lost(self) -> None:
        """Raise `Unavailable` when what came long ago is gone: a sweep took it for abandoned.

        For whoever commits the rows. A body may stall for days, and nothing says that it still comes.
        """
        if not self._uncommitted or time.monotonic() - self._kept_at < _LONG_SECONDS:
            return
        there = self._staging.sizes(self.upload_id)
        if any(there.get(chunk.name) != chunk.length for chunk in self._uncommitted):
            raise Unavailable("staging", "The bytes were taken away while they came.")

    def refuse_cut(self, body: Body, expected: int | None) -> None:
        """Raise `BodyCut` when this is not all of the body that was declared."""
        declared = expected if body.length is None else body.length
        if body.is_cut or (declared is not None and self.length != declared):
            raise BodyCut(
                f"The body was cut after {self.length} bytes.",
                expected=declared,
                received=self.length,
            )

    def refuse_other(self, checksum: Checksum | None) -> None:
        """Raise `DigestMismatch` when this is not what was announced; for the whole body."""
        if checksum is None:
            return
        announced = checksum.settled()
        if self._hashes[announced.algorithm].digest() != announced.value:
            raise DigestMismatch(f"The body's {announced.algorithm} is not the one that was sent.")

    def stored(self) -> Body:
        """Return all that was stored, as a body to be taken once more."""
        return _Stored(self._staging, self.chunks)

    def take(self, body: Body) -> None:
        """Store all of `body`."""
        while block := body.read(BLOCK_BYTES):
            self.write(block)
        self.finish()

    def write(self, block: bytes) -> None:
        if self._limit is not None and self.length + len(block) > self._limit:
            raise TooLarge(f"The body is longer than {self._limit} bytes.", limit=self._limit)
        if self._look is not None:
            self.head += block[: HEAD_BYTES - len(self.head)]
            if len(self.head) == HEAD_BYTES:
                self._show_head(self._look)
        for each in self._hashes.values():
            each.update(block)
        view = memoryview(block)
        while view:
            piece = view[: self._roll - self._writing]
            self._append(bytes(piece) if len(piece) < len(block) else block)
            view = view[len(piece) :]

    def finish(self) -> None:
        """Show what there is of the head, and make the last chunk durable."""
        if self._look is not None:
            self._show_head(self._look)
        self._roll_over()
        self.refuse_lost()
        self._tell(is_all=True)

    def _append(self, piece: bytes) -> None:
        if self._writer is None:
            upload_id, number = self._place
            self._writer = self._staging.writer(
                upload_id, number, self._start + self.length, self._to_set_aside()
            )
        self._writer.write(piece)
        self._crc = crc64(piece, self._crc)
        self._writing += len(piece)
        self.length += len(piece)
        if self._writing == self._roll:
            self._roll_over()

    def _to_set_aside(self) -> int | None:
        if self._expected is None:
            return None
        return min(self._roll, max(0, self._expected - self.length))

    def _roll_over(self) -> None:
        if self._writer is None:
            return
        self._writer.keep()
        upload_id, number = self._place
        chunk = Chunk(
            upload_id=upload_id,
            number=number,
            offset=self._start + self.length - self._writing,
            length=self._writing,
            crc64=self._crc,
            name=self._writer.name,
        )
        self._writer, self._writing, self._crc = None, 0, 0
        self.chunks.append(chunk)
        if not self._uncommitted:
            self._kept_at = time.monotonic()
        self._uncommitted.append(chunk)
        self._tell(is_all=False)

    def _tell(self, *, is_all: bool) -> None:
        """Tell of chunks, but of none before the first 64 KiB could be looked at."""
        if self._keep is None:
            if is_all:
                self._told, self._was_told = len(self._uncommitted), True
            return
        while self._told < len(self._uncommitted) and (is_all or self.length >= HEAD_BYTES):
            self._told += 1
            self._was_told = True
            self._keep(self._uncommitted[self._told - 1])

    def _show_head(self, look: Callable[[bytes], None]) -> None:
        self._look = None
        look(self.head)


class _Stored:
    """Chunks in staging, as the body that they came as; read in blocks as `Intake.take` does."""

    def __init__(self, staging: Staging, chunks: Sequence[Chunk]) -> None:
        self.length = sum(chunk.length for chunk in chunks)
        self.is_cut = False
        each = (staging.read(chunk, BLOCK_BYTES) for chunk in chunks)
        self._blocks = chain.from_iterable(each)

    def read(self, size: int, /) -> bytes:
        del size
        return next(self._blocks, b"")
