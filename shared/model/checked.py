"""What a worker found out about an upload: with that and an ETag it is a file."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from shared.model.file import File, Thumbnail
from shared.model.upload import Upload


@dataclass(frozen=True, slots=True)
class Checked:
    """`size` in bytes; width and height in pixels, of images."""

    size: int
    content_type: str
    declared_type: str | None
    category: str
    sha256: str
    width: int | None
    height: int | None
    thumbnails: Sequence[Thumbnail] = ()

    def file(self, upload: Upload, etag: str) -> File:
        return File(
            id=upload.id,
            upload_id=upload.id,
            tenant=upload.tenant,
            owner=upload.owner,
            filename=upload.filename,
            folder=upload.folder,
            description=upload.description,
            size=self.size,
            content_type=self.content_type,
            declared_type=self.declared_type,
            category=self.category,
            sha256=self.sha256,
            etag=etag,
            key=upload.key,
            is_public=upload.is_public,
            width=self.width,
            height=self.height,
            attributes=upload.attributes,
            tags=upload.tags,
            reference=upload.reference,
            profile=upload.profile,
            created_at=upload.created_at,
            updated_at=upload.updated_at,
            expires_at=None,
            deleted_at=None,
            thumbnails=tuple(self.thumbnails),
        )

    def said(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def checked_of(said: Mapping[str, Any]) -> Checked:
    """Return what `said` said."""
    small = tuple(Thumbnail(**each) for each in said["thumbnails"])
    return Checked(**{**said, "thumbnails": small})
