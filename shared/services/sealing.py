"""What has to be true of the chunks of an upload before it is sealed."""

from shared.errors import ChunksMissing, FileEmpty, NotFound, Unprocessable
from shared.model import coverage
from shared.model.digest import agreed_sha256
from shared.model.upload import Upload
from shared.records import Transaction
from shared.services.drafting import UploadRules


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
