"""Chunks that are durable get their rows, and their bytes are counted: in one transaction, or not.

No locks: one row decides. Who loses a race has changed nothing and drops its bytes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import NoReturn

from shared.errors import (
    ChunkConflict,
    OffsetMismatch,
    OutcomeUnknown,
    QuotaExceeded,
    Unavailable,
)
from shared.model.lifecycle import UploadState
from shared.model.upload import Chunk, Upload
from shared.records import Records, Transaction
from shared.services.finding import looked_up, not_receiving

Arrived = Callable[[Transaction, Upload], object]


def commit(
    records: Records,
    upload: Upload,
    chunks: Sequence[Chunk],
    *,
    at: int | None,
    lifetime: timedelta,
    declares: bool = False,
    arrived: Arrived | None = None,
) -> None:
    """Add the rows of chunks; with `at` only where the upload has come to that offset.

    From now on the upload is silent for `lifetime` before it expires.

    With `declares` the size of `upload` is said only now, and becomes the row's. `arrived` is called
    in the transaction of the last byte. Raises `OffsetMismatch`, `NotReceiving`, `ChunkConflict`,
    `QuotaExceeded`.
    """
    if not chunks:
        return
    length = sum(chunk.length for chunk in chunks)
    more = length if upload.size is None else 0
    try:
        with records.begin() as rows:
            if not rows.uploads.add_bytes(
                upload.id, length, at=at, reserve=more, lifetime=lifetime
            ):
                lose(rows, upload, at)
            if declares and upload.size is not None:
                more = declare(rows, upload.id, upload.size, at=at or 0)
            elif at is not None and upload.size is None:
                _refuse_declared(rows, upload.id, at)
            if not rows.chunks.add(chunks):
                raise ChunkConflict("Other bytes came first.")
            if arrived is not None and (at or 0) + length == upload.size:
                arrived(rows, upload)
            reserve(rows, upload.tenant, more)
    except OutcomeUnknown as lost:
        name = chunks[0].name
        looked_up(records, lost, lambda rows: name in rows.chunks.names(upload.id) or None)


def declare(rows: Transaction, upload_id: str, size: int, *, at: int) -> int:
    """Let an upload have its length; return the room that is then still to be reserved.

    Raises `OffsetMismatch` where another request has said one, `NotReceiving`.
    """
    if not rows.uploads.declare(upload_id, size):
        now = rows.uploads.find(upload_id)
        if now is not None and now.state is not UploadState.RECEIVING:
            raise not_receiving(now)
        raise _has_length(at)
    now = rows.uploads.find(upload_id)
    rows.uploads.settle(upload_id, reserved=size)
    return size - (0 if now is None else now.reserved)


def reserve(rows: Transaction, tenant: str, length: int) -> None:
    """Take room of the tenant's quota: after the rows of uploads, as whoever cancels takes them."""
    if length and not rows.quotas.reserve(tenant, length):
        raise QuotaExceeded("This tenant's quota is used up.")


@contextmanager
def unless_ended(records: Records, upload: Upload) -> Iterator[None]:
    """Whoever cancels takes the folder away under a writer: then say so, not that it is gone."""
    try:
        yield
    except Unavailable as error:
        if error.code == "staging_unavailable":
            with records.read() as rows:
                now = rows.uploads.find(upload.id) or upload
            if now.state is not UploadState.RECEIVING:
                raise not_receiving(now) from error
        raise


def elsewhere(upload: Upload) -> OffsetMismatch:
    return OffsetMismatch(f"This upload goes on at byte {upload.received}.", offset=upload.received)


def lose(rows: Transaction, upload: Upload, at: int | None) -> NoReturn:
    """Say why there was no row to add bytes to: `OffsetMismatch` where it has gone on, `NotReceiving`."""
    now = rows.uploads.find(upload.id) or upload
    if at is not None and now.state is UploadState.RECEIVING:
        raise elsewhere(now)
    raise not_receiving(now)


def _refuse_declared(rows: Transaction, upload_id: str, at: int) -> None:
    """Whoever does not know the length that was said meanwhile is the old request, and loses."""
    if (now := rows.uploads.find(upload_id)) is not None and now.size is not None:
        raise _has_length(at)


def _has_length(at: int) -> OffsetMismatch:
    return OffsetMismatch("This upload has got a length; ask where it is.", offset=at)
