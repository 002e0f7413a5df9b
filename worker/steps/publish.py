"""Complete the object from the checked bytes, create-only; then its thumbnails.

Each is looked at after it was written, whatever the answer was: it counts when the upload's id, the
size and the checksum agree. So a key that is taken may be taken by us, by an answer of ours that was
lost or an earlier attempt.

What is ours and is not what was written is never deleted: a file may point at it by the time that
the store obeys. It is written over, if it is still the same; once a multipart upload is completed
nothing is left to do that with, and the job waits to be claimed again.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from shared.errors import Conflict, KeyTaken, LeaseLost, NotFound, Unavailable
from shared.model.naming import thumbnail_key
from shared.model.stored import Copied, Written
from worker.draft import Draft, Workbench
from worker.source import unsealed

Write = Callable[[str | None], object]  # over what has this ETag; with None create-only


def publish(draft: Draft, bench: Workbench) -> Draft:
    verdict = draft.verdict
    if verdict is None or draft.sha256 is None:
        raise ValueError("publish runs after inspect and assemble")
    bench.watch.check()
    if draft.copied is not None:
        etag = _copied(draft, bench, draft.copied, verdict.content_type)
    elif draft.multipart_id is None:
        key, body = draft.claim.upload.key, draft.body or b""
        etag = _put(draft, bench, key, body, verdict.content_type)
    else:
        etag = _completed(draft, bench, draft.multipart_id)
    for picture in draft.decoded.thumbnails if draft.decoded else ():
        key = thumbnail_key(draft.claim.upload.id, picture.name)
        _put(draft, bench, key, picture.body, picture.content_type)
    return replace(draft, etag=etag)


def _put(draft: Draft, bench: Workbench, key: str, body: bytes, content_type: str) -> str:
    upload = draft.claim.upload
    upload_id = upload.id
    # Its thumbnails have no address but ours.
    is_public = upload.is_public and key == upload.key

    def write(over: str | None) -> None:
        bench.objects.put(
            key,
            body,
            content_type=content_type,
            upload_id=upload_id,
            is_public=is_public,
            over=over,
        )

    return _written(draft, bench, key, body, write)


def _completed(draft: Draft, bench: Workbench, multipart_id: str) -> str:
    key = draft.claim.upload.key

    def write(over: str | None) -> None:
        bench.objects.complete_multipart(key, multipart_id, draft.parts, over=over)
        bench.undo.pop_all()

    return _written(draft, bench, key, draft.parts, write)


def _copied(draft: Draft, bench: Workbench, copied: Copied, content_type: str) -> str:
    direct, upload = draft.claim.direct, draft.claim.upload
    if direct is None:
        raise ValueError("only what a client has sent to the store is copied there")
    try:
        bench.objects.copy(
            direct.key,
            upload.key,
            etag=copied.etag,
            size=copied.length,
            content_type=content_type,
            upload_id=upload.id,
            is_public=upload.is_public,
        )
    except KeyTaken:
        pass  # maybe by us; a look says
    except NotFound as error:
        raise unsealed(is_there=bench.objects.find(direct.key) is not None) from error
    return _seen(draft, bench, upload.key, copied)


def _written(draft: Draft, bench: Workbench, key: str, written: Written, write: Write) -> str:
    try:
        write(None)
    except KeyTaken:
        return _seen(draft, bench, key, written, write)
    return _seen(draft, bench, key, written)


def _seen(
    draft: Draft,
    bench: Workbench,
    key: str,
    written: Written,
    write: Write | None = None,
) -> str:
    """Return the ETag of what lies under the key, once it is sure that this is what was written.

    Raises `Conflict` when it is somebody else's, `Unavailable` when it is gone, or damaged and there
    is nothing to `write` over it.
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
    if write is None:
        raise Unavailable("objects", "The object store holds other bytes than were written.")
    if not bench.claims.beat(draft.claim):
        raise LeaseLost("Somebody else holds this job.")
    with suppress(KeyTaken):  # somebody was quicker, maybe another attempt of ours
        write(there.etag)
    return _seen(draft, bench, key, written)


def _read_back(bench: Workbench, key: str, size: int) -> str:
    sha256 = hashlib.sha256()
    for block in bench.objects.read(key, 0, size) if size else ():
        bench.watch.check()
        sha256.update(block)
    return sha256.hexdigest()
