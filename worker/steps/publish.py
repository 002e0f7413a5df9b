"""Complete the object from the checked bytes, create-only; then its thumbnails.

A key that is taken may be taken by us: an answer of ours that was lost, or an earlier attempt. It
is ours when the upload's id, the size and the ETag agree.
"""

from collections.abc import Sequence
from dataclasses import replace

from shared.errors import Conflict, KeyTaken
from shared.model.naming import thumbnail_key
from shared.ports import Part
from worker.draft import Draft, Workbench


def publish(draft: Draft, bench: Workbench) -> Draft:
    verdict = draft.verdict
    if verdict is None or draft.sha256 is None:
        raise ValueError("publish runs after inspect and assemble")
    upload = draft.claim.upload
    bench.watch.check()
    written: bytes | Sequence[Part]
    try:
        if draft.multipart_id is None:
            written = draft.body or b""
            etag = bench.objects.put(
                upload.key, written, content_type=verdict.content_type, upload_id=upload.id
            )
        else:
            written = draft.parts
            etag = bench.objects.complete_multipart(upload.key, draft.multipart_id, draft.parts)
            bench.undo.pop_all()
    except KeyTaken:
        etag = _ours(draft, bench)
    _publish_thumbnails(draft, bench)
    return replace(draft, etag=etag)


def _ours(draft: Draft, bench: Workbench) -> str:
    upload = draft.claim.upload
    there = bench.objects.find(upload.key)
    mine = bench.objects.expected_etag(draft.parts or draft.body or b"")
    if (
        there is None
        or there.metadata.get("upload-id") != upload.id
        or (there.size, there.etag) != (upload.received, mine)
    ):
        raise Conflict("Another object lies under this file's key.")
    return there.etag


def _publish_thumbnails(draft: Draft, bench: Workbench) -> None:
    upload = draft.claim.upload
    for picture in draft.decoded.thumbnails if draft.decoded else ():
        key = thumbnail_key(upload.id, picture.name)
        try:
            bench.objects.put(
                key, picture.body, content_type=picture.content_type, upload_id=upload.id
            )
        except KeyTaken:
            there = bench.objects.find(key)
            if there is None or there.metadata.get("upload-id") != upload.id:
                raise Conflict("Another object lies under a thumbnail's key.") from None
