"""Make the file: everything that says so, in one transaction."""

from shared.model.file import File, Thumbnail
from shared.model.naming import thumbnail_key
from worker.draft import Draft, Workbench


def record(draft: Draft, bench: Workbench) -> Draft:
    verdict = draft.verdict
    if verdict is None or draft.sha256 is None or draft.etag is None:
        raise ValueError("record runs after publish")
    upload, decoded = draft.claim.upload, draft.decoded
    small = tuple(
        Thumbnail(
            name=picture.name,
            key=thumbnail_key(upload.id, picture.name),
            width=picture.width,
            height=picture.height,
            content_type=picture.content_type,
            size=len(picture.body),
        )
        for picture in (decoded.thumbnails if decoded else ())
    )
    file = File(
        id=upload.id,
        upload_id=upload.id,
        tenant=upload.tenant,
        owner=upload.owner,
        filename=upload.filename,
        folder=upload.folder,
        description=upload.description,
        size=upload.received,
        content_type=verdict.content_type,
        declared_type=verdict.declared_type,
        category=verdict.category,
        sha256=draft.sha256,
        etag=draft.etag,
        key=upload.key,
        is_public=upload.is_public,
        width=decoded.width if decoded else None,
        height=decoded.height if decoded else None,
        attributes=upload.attributes,
        tags=upload.tags,
        reference=upload.reference,
        profile=upload.profile,
        created_at=upload.created_at,
        updated_at=upload.updated_at,
        expires_at=None,
        deleted_at=None,
        thumbnails=small,
    )
    bench.claims.publish(draft.claim, file)
    return draft
