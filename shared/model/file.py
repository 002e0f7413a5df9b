"""A file: an upload that became ready, with its thumbnails."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.model.predecessors import STORAGE


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A smaller picture of a file, an object of its own. Width and height in pixels."""

    name: str
    key: str
    width: int
    height: int
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class File:
    """One row of `files`. `content_type` was detected, `declared_type` is what the client said.

    `number` counts in its tenant, from 1; it is given when the file is recorded.
    """

    id: str
    upload_id: str | None
    tenant: str
    owner: str
    filename: str
    folder: str | None
    description: str | None
    size: int
    content_type: str
    declared_type: str | None
    category: str
    sha256: str
    etag: str
    key: str
    is_public: bool
    width: int | None
    height: int | None
    attributes: Mapping[str, Any]
    tags: Sequence[str]
    reference: str | None
    profile: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    deleted_at: datetime | None
    thumbnails: Sequence[Thumbnail] = ()
    number: int = 0

    @property
    def is_known_by_key(self) -> bool:
        """Whether its public address is made of its key, as the storage service's addresses were.

        Such an address ends in the name of the object, and is that of whatever file replaces it.
        """
        return self.profile == STORAGE and "/assets/" in self.key

    def is_hidden(self, now: Callable[[], datetime]) -> bool:
        """Say whether it is deleted or its time is over; `now` is asked only where it matters."""
        if self.deleted_at is not None:
            return True
        return self.expires_at is not None and self.expires_at <= now()

    def thumbnail(self, name: str) -> Thumbnail | None:
        return next((each for each in self.thumbnails if each.name == name), None)


@dataclass(frozen=True, slots=True)
class FileQuery:
    """Which files to list. `after` is the sort value and id of the last one already seen.

    `prefix` is of the key, `key_after` the last key that is not wanted any more.
    """

    tenant: str
    owner: str | None
    category: str | None = None
    content_type: str | None = None
    tag: str | None = None
    folder: str | None = None
    text: str | None = None
    reference: str | None = None
    profile: str | None = None
    prefix: str | None = None
    key_after: str | None = None
    deleted: bool = False
    created_after: datetime | None = None
    created_before: datetime | None = None
    sort: str = "created_at"
    descending: bool = True
    limit: int = 50
    offset: int = 0
    after: tuple[Any, str] | None = None
