"""Complete the object from the checked bytes, create-only; then its thumbnails.

Each is looked at after it was written, whatever the answer was: it counts when the upload's id, the
size and the checksum agree. So a key that is taken may be taken by us, by an answer of ours that was
lost or an earlier attempt. What is ours and is not what was written goes again, for no row points at
it yet, and the job waits to write it anew.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from shared.errors import Conflict, KeyTaken, LeaseLost, Unavailable
from shared.model.naming import thumbnail_key
from shared.model.stored import Part
from worker.draft import Draft, Workbench


def publish(draft: Draft, bench: Workbench) -> Draft:
    verdict = draft.verdict
    if verdict is None or draft.sha256 is None:
        raise ValueError("publish runs after inspect and assemble")
    upload = draft.claim.upload
    bench.watch.check()
    with suppress(KeyTaken):
        if draft.multipart_id is None:
            body = draft.body or b""
            bench.objects.put(
                upload.key, body, content_type=verdict.content_type, upload_id=upload.id
            )
        else:
            bench.objects.complete_multipart(upload.key, draft.multipart_id, draft.parts)
            bench.undo.pop_all()
    etag = _seen(draft, bench, upload.key, draft.parts or draft.body or b"")
    _publish_thumbnails(draft, bench)
    return replace(draft, etag=etag)


def _publish_thumbnails(draft: Draft, bench: Workbench) -> None:
    upload = draft.claim.upload
    for picture in draft.decoded.thumbnails if draft.decoded else ():
        key = thumbnail_key(upload.id, picture.name)
        with suppress(KeyTaken):
            bench.objects.put(
                key, picture.body, content_type=picture.content_type, upload_id=upload.id
            )
        _seen(draft, bench, key, picture.body)


def _seen(draft: Draft, bench: Workbench, key: str, written: bytes | Sequence[Part]) -> str:
    """Return the ETag of what lies under the key, once it is sure that this is what was written.

    Raises `Conflict` when it is somebody else's, `Unavailable` when it is damaged or gone.
    """
    upload_id = draft.claim.upload.id
    etag = bench.objects.holds(key, upload_id, written)
    if etag is not None:
        return etag
    there = bench.objects.find(key)
    if there is None:
        raise Unavailable("objects", "The object store has not what it took.")
    if there.upload_id != upload_id:
        raise Conflict("Another object lies under this file's key.")
    # Of parts we have no bytes any more; they are the whole file's.
    sha256 = hashlib.sha256(written).hexdigest() if isinstance(written, bytes) else draft.sha256
    if _read_back(bench, key, there.size) == sha256:
        return there.etag  # of a store that says nothing of the bytes it has
    if not bench.claims.beat(draft.claim):
        raise LeaseLost("Somebody else holds this job.")
    bench.objects.delete([key])
    raise Unavailable("objects", "The object store holds other bytes than were written.")


def _read_back(bench: Workbench, key: str, size: int) -> str:
    sha256 = hashlib.sha256()
    for block in bench.objects.read(key, 0, size) if size else ():
        bench.watch.check()
        sha256.update(block)
    return sha256.hexdigest()
