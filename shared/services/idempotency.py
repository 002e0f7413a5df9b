"""Idempotency keys: a repeat of a request answers the first one's result (one key, one upload)."""

import hashlib
import json
from dataclasses import asdict

from shared.errors import IdempotencyMisuse
from shared.model.upload import NewUpload, Upload
from shared.records import Transaction


def first_result(rows: Transaction, upload: Upload, key: str, fingerprint: str) -> Upload | None:
    """Tie the key to `upload`, or return the one it is tied to. Raises `IdempotencyMisuse`."""
    caller = (upload.tenant, upload.owner)
    if rows.uploads.remember(caller, key, fingerprint, upload.id):
        return None
    known = rows.uploads.remembered(caller, key)
    first = None if known is None else rows.uploads.find(known[1])
    if known is None or known[0] != fingerprint or first is None:
        raise IdempotencyMisuse("This Idempotency-Key was used for another request.")
    return first


def fingerprint_of(new: NewUpload, content: object = None) -> str:
    said = json.dumps([asdict(new), content], sort_keys=True, default=str)
    return hashlib.sha256(said.encode()).hexdigest()
