"""One pass over the bytes: their SHA-256, and the parts of the object (`worker.parts`).

What lies in the store already is read and not sent again: the store copies it at the end. A small
file is kept in memory for one PUT. Nothing is readable under the final key until `publish` completes it.
"""

import hashlib
from dataclasses import replace

from shared.errors import Rejected
from shared.model.digest import crc64
from shared.model.naming import thumbnail_key
from shared.model.stored import Copied
from worker import images, pieces
from worker.draft import Draft, Workbench
from worker.parts import hashed, in_parts, noted


def assemble(draft: Draft, bench: Workbench) -> Draft:
    """Raise `Rejected` when the whole is not what the client said it would be."""
    claim, verdict = draft.claim, draft.verdict
    if verdict is None:
        raise ValueError("assemble runs after inspect")
    upload = claim.upload
    names = (
        [spec.name for spec in bench.thumbnails] if images.supports(verdict.content_type) else []
    )
    intended = [thumbnail_key(upload.id, name) for name in names]
    if upload.replaces is None:  # else the key is that file's until this one is published
        intended.append(upload.key)
    bench.claims.intend(claim, intended)
    if claim.direct is None and upload.received > pieces.SMALL_BYTES:
        draft = in_parts(draft, bench)
    else:
        draft = _read_through(draft, bench)
    if upload.sha256 not in {None, draft.sha256}:
        raise Rejected(
            "digest_mismatch",
            "The file's SHA-256 is not the one that was announced.",
            expected=upload.sha256,
            actual=draft.sha256,
        )
    return draft


def _read_through(draft: Draft, bench: Workbench) -> Draft:
    """Sum the bytes up; keep them if they are few, for the PUT or for what the next steps read again."""
    claim, direct, sha256 = draft.claim, draft.claim.direct, hashlib.sha256()
    length = checksum = 0
    kept: list[bytes] | None = [] if claim.upload.received <= pieces.SMALL_BYTES else None
    for block in hashed(noted(bench, claim, "assemble"), sha256):
        length += len(block)
        if direct is not None:
            checksum = crc64(block, checksum)
        if kept is not None:
            kept.append(block)
    copied = None if direct is None else Copied(length, checksum, direct.etag or "")
    body = None if kept is None else b"".join(kept)
    return replace(draft, copied=copied, body=body, sha256=sha256.hexdigest())
