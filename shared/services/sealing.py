"""What has to be true of an upload before it is sealed, and what a repeat is answered."""

from typing import Final

from shared.errors import (
    ChunksMissing,
    Conflict,
    DigestMismatch,
    FileEmpty,
    NotFound,
    Unprocessable,
)
from shared.model import coverage
from shared.model.digest import agreed_sha256
from shared.model.job import Job
from shared.model.lifecycle import UploadState
from shared.model.upload import Upload
from shared.records import Transaction
from shared.services.drafting import UploadRules
from shared.services.finding import not_receiving

_WITHOUT_FILE: Final = frozenset({UploadState.REJECTED, UploadState.CANCELLED})


def seal(
    rows: Transaction,
    upload_id: str,
    total_chunks: int | None,
    sha256: str | None,
    *,
    rules: UploadRules,
) -> Upload:
    """Settle what an upload is as a whole, whose state has just moved in this transaction.

    Raises `ChunksMissing` with the numbers, `FileEmpty`, `Unprocessable`.
    """
    # Read when the row is ours: a chunk may have been committed before our update took it.
    upload = rows.uploads.find(upload_id)
    if upload is None:
        raise NotFound("upload")
    _refuse_gaps(rows, upload, total_chunks, rules)
    agreed = agreed_sha256(upload.sha256, sha256)
    rows.uploads.settle(upload_id, size=upload.received, sha256=agreed)
    return upload


def repeated(rows: Transaction, upload: Upload, sha256: str | None) -> Job:
    """Return the job of an upload that was sealed before, held against the digest that is said now.

    Where none was said before, a job that has yet to run checks it; a file is compared here. Raises
    `NotReceiving` where there is no job, `Unprocessable` for another digest than was said before,
    `DigestMismatch` for another than the file's, `Conflict` while nobody can say.
    """
    job = rows.jobs.of_upload(upload.id)
    if job is None:
        raise not_receiving(upload)
    agreed = agreed_sha256(upload.sha256, sha256)
    if agreed is None or agreed == upload.sha256 or rows.uploads.agree(upload.id, agreed):
        return job
    now, file = rows.uploads.find(upload.id) or upload, rows.files.find(upload.id)
    if agreed_sha256(now.sha256, agreed) == now.sha256:
        return job  # another has said it meanwhile
    if file is not None and file.sha256 != agreed:
        raise DigestMismatch("The file's SHA-256 is another.", expected=agreed, actual=file.sha256)
    if file is None and now.state not in _WITHOUT_FILE:
        raise Conflict(
            f"This upload is {now.state}: compare the digest with its file's.", state=str(now.state)
        )
    return job


def _refuse_gaps(
    rows: Transaction, upload: Upload, total_chunks: int | None, rules: UploadRules
) -> None:
    chunks = rows.chunks.of(upload.id)
    layout = coverage.layout_of(upload)
    if layout is not None and total_chunks not in {None, layout.count}:
        raise Unprocessable(f"This upload has {layout.count} chunks.", pointer="/total_chunks")
    gaps = coverage.missing(upload, chunks, total_chunks)
    if gaps:
        raise ChunksMissing("Chunks are missing; see `missing`.", missing=gaps)
    if total_chunks is not None and any(chunk.number >= total_chunks for chunk in chunks):
        raise Unprocessable("More chunks have arrived.", pointer="/total_chunks")
    if upload.received == 0 and not rules.allow_empty:
        raise FileEmpty("The file is empty: no chunk has arrived.")
