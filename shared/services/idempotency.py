"""Idempotency keys: a repeat of a request answers the first one's result (one key, one upload)."""

import hashlib
import json
from dataclasses import asdict, fields
from typing import Final

from shared.errors import IdempotencyMisuse
from shared.model.upload import NewUpload, Upload
from shared.records import Transaction

# Said or not. Fields that came later count only where they were said: keys outlive an upgrade.
_ALWAYS: Final = frozenset(
    {
        *("filename", "size", "content_type", "chunk_size", "sha256", "folder", "description"),
        *("metadata", "tags", "is_public", "expires_in", "reference", "profile", "layout"),
    }
)


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
    later = [each for each in fields(new) if each.name not in _ALWAYS]
    unsaid = {each.name for each in later if getattr(new, each.name) == each.default}
    asked = {name: value for name, value in asdict(new).items() if name not in unsaid}
    said = json.dumps([asked, content], sort_keys=True, default=str)
    return hashlib.sha256(said.encode()).hexdigest()
