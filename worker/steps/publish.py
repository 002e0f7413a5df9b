"""Write the thumbnails, then complete the object from the checked bytes, create-only.

Each is looked at after it was written, whatever the answer was: it counts when the upload's id, the
size and the checksum agree. So a key that is taken may be taken by us, by an answer of ours that was
lost or an earlier attempt.

What is ours and is not what was written is never deleted: a file may point at it by the time that
the store obeys. It is written over, if it is still the same; once a multipart upload is completed
nothing is left to do that with, and the job waits to be claimed again.

Where the upload replaces a file, its object is written over as the very last, if it is still what was
seen; before that a row says what the new file will be, so that whoever finds it can make it.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from shared.asking import asked
from shared.errors import Conflict, KeyTaken, LeaseLost, NotFound, NotJoined, Unavailable
from shared.model.naming import thumbnail_key
from shared.model.stored import Copied, Written
from shared.services.finding import is_id
from worker.draft import Draft, Workbench
from worker.parts import sent_instead
from worker.source import unsealed

Write = Callable[[str | None], object]  # over what has this ETag; with None create-only


def publish(draft: Draft, bench: Workbench) -> Draft:
    verdict = draft.verdict
    if verdict is None or draft.sha256 is None:
        raise ValueError("publish runs after inspect and assemble")
    upload = draft.claim.upload
    bench.watch.check()
    for picture in draft.decoded.thumbnails if draft.decoded else ():
        key = thumbnail_key(upload.id, picture.name)
        write = _put(draft, bench, key, picture.body, picture.content_type)
        _written(draft, bench, key, picture.body, write)
    if draft.copied is not None:
        return replace(draft, etag=_copied(draft, bench, draft.copied, verdict.content_type))
    made = _written if upload.replaces is None else _written_over
    if draft.multipart_id is None:
        body = draft.body or b""
        write = _put(draft, bench, upload.key, body, verdict.content_type)
        return replace(draft, etag=made(draft, bench, upload.key, body, write))
    try:
        etag = made(draft, bench, upload.key, draft.parts, _completion(draft, bench))
    except NotJoined as refusal:
        draft = sent_instead(draft, bench, refusal)
        etag = made(draft, bench, upload.key, draft.parts, _completion(draft, bench))
    return replace(draft, etag=etag)


def _put(draft: Draft, bench: Workbench, key: str, body: bytes, content_type: str) -> Write:
    upload = draft.claim.upload
    upload_id = upload.id
    # Its thumbnails have no address but ours.
    is_public = upload.is_public and key == upload.key

    def write(over: str | None) -> None:
        with asked(bench.watch.check):
            bench.objects.put(
                key,
                body,
                content_type=content_type,
                upload_id=upload_id,
                is_public=is_public,
                over=over,
            )

    return write


def _completion(draft: Draft, bench: Workbench) -> Write:
    key, multipart_id = draft.claim.upload.key, draft.multipart_id or ""

    def write(over: str | None) -> None:
        with asked(bench.watch.check):
            bench.objects.complete_multipart(key, multipart_id, draft.parts, over=over)
        bench.undo.pop_all()

    return write


def _written_over(draft: Draft, bench: Workbench, key: str, written: Written, write: Write) -> str:
    """Write over what lies there, be it the old file's or of an upload that ended half way.

    The store is looked at first: nobody has to wait for a replacement that waits for a store which does
    not answer. Raises `Conflict` for an object that is none of ours.
    """
    there = bench.objects.find(key)
    if there is not None and not is_id(there.upload_id or ""):
        raise Conflict("Another object lies under this file's key.")
    # After all else that may go wrong: what is written over is gone.
    is_heir = bench.claims.succeed(draft.claim, draft.checked())
    if not is_heir or there is None:
        return _written(draft, bench, key, written, write)
    if there.upload_id != draft.claim.upload.id:
        try:
            write(there.etag)
        except KeyTaken as error:
            now = bench.objects.find(key)
            if now is None or now.upload_id != draft.claim.upload.id:
                message = "The object to replace was written again meanwhile."
                raise Unavailable("objects", message) from error
    return _seen(draft, bench, key, written, write)


def _copied(draft: Draft, bench: Workbench, copied: Copied, content_type: str) -> str:
    direct, upload = draft.claim.direct, draft.claim.upload
    if direct is None:
        raise ValueError("only what a client has sent to the store is copied there")

    def begun(multipart_id: str) -> None:
        bench.undo.callback(bench.objects.abort_multipart, upload.key, multipart_id)
        bench.claims.started(draft.claim, upload.key, multipart_id)

    try:
        bench.objects.copy(
            direct.key,
            upload.key,
            etag=copied.etag,
            size=copied.length,
            content_type=content_type,
            upload_id=upload.id,
            is_public=upload.is_public,
            note=begun,
            check=bench.watch.check,
        )
        bench.undo.pop_all()
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
    is nothing to `write` over it; `NotJoined` if that is for parts that the store has copied.
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
        if not isinstance(written, bytes | Copied) and any(part.is_copied for part in written):
            raise NotJoined("The object store joined other bytes than were read.")
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
