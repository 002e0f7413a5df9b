"""Rows of files, of the objects we answer for, and of quotas."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from shared.model.file import File, FileQuery


class FileRows(Protocol):
    def add(self, file: File, lifetime: timedelta | None) -> File: ...

    def find(self, file_id: str) -> File | None: ...

    def numbered(self, tenant: str, number: int) -> File | None: ...

    def keyed(self, key: str) -> File | None: ...

    def many(self, file_ids: Sequence[str]) -> list[File]:
        """Return those that are there, in any order."""
        ...

    def held(self, file_ids: Sequence[str]) -> list[File]:
        """Return those that are there, and let nobody change them until the transaction ends."""
        ...

    def under(self, key: str) -> File | None:
        """Return the file whose object has this key, hidden or not."""
        ...

    def page(self, query: FileQuery) -> list[File]: ...

    def count(self, query: FileQuery) -> int: ...

    def change(self, file_id: str, **facts: Any) -> File | None:
        """Set columns of a file and return it; None when it is deleted, or its time is over."""
        ...

    def mark_deleted(self, *file_ids: str) -> set[str]:
        """Delete files softly; return those that were not deleted before."""
        ...

    def restore(self, file_id: str) -> bool:
        """Undo a soft deletion, unless the file's time is over."""
        ...

    def drop(self, *file_ids: str) -> set[str]:
        """Remove files with their thumbnails; return those that were there."""
        ...

    def expired(self, limit: int) -> list[File]: ...

    def expire(self, file_id: str) -> bool:
        """Delete the file softly if its time is over."""
        ...

    def aged(self, profile: str, older_than: timedelta, limit: int) -> list[File]:
        """Return files of that age and profile that are not deleted, the oldest first."""
        ...

    def referred(self, keys: Sequence[str]) -> set[str]:
        """Return those of the keys that a file or a thumbnail refers to."""
        ...

    def deleted(self, older_than: timedelta, limit: int) -> list[File]: ...


class ObjectState(StrEnum):
    INTENDED = "intended"
    LINKED = "linked"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """An object we mean to write, have written, or are removing.

    While `successor`, an upload, may write over it, the object is either one's; `checked` is what
    the successor's file will be (`Checked.said`).
    """

    key: str
    upload_id: str
    state: ObjectState
    multipart_id: str | None
    updated_at: datetime
    successor: str | None = None
    checked: Mapping[str, Any] | None = None


class ObjectRows(Protocol):
    """Intents: a row stands before its object, so that whatever lies in the store is known."""

    def intend(self, key: str, upload_id: str) -> bool:
        """Claim `key` for the upload; False when another upload has it."""
        ...

    def started(self, key: str, multipart_id: str | None) -> None: ...

    def link(self, keys: Sequence[str], upload_id: str | None = None) -> int:
        """Say that files refer to the keys, or to those of them that the upload has; return how many."""
        ...

    def fulfil(self, keys: Sequence[str], upload_id: str) -> bool:
        """Link the intents of an upload; False when one of them is not, or no longer, an intent."""
        ...

    def deleting(self, keys: Sequence[str], *upload_ids: str) -> None:
        """Mark those of the keys that one of the uploads still has."""
        ...

    def drop(self, keys: Sequence[str], *upload_ids: str) -> None:
        """Free those of the keys that one of the uploads still has."""
        ...

    def of_upload(self, upload_id: str) -> list[ObjectRecord]: ...

    def known(self, keys: Sequence[str]) -> dict[str, ObjectRecord]: ...

    def stale(self, older_than: timedelta, limit: int) -> list[ObjectRecord]:
        """Return intents of that age that nobody may still work on, and what is deleting.

        An upload is worked on until it ends, and a failed one while its bytes are kept. A key that
        another upload may have next is left to whoever began to delete it, until it has that age.
        """
        ...

    def unfinished(self, older_than: timedelta, limit: int) -> list[ObjectRecord]:
        """Return what is deleting and was marked so that long ago: who did it has not come far."""
        ...

    def retake(self, key: str, upload_id: str) -> bool:
        """Mark what is deleting anew; False when it is not, or is needed after all."""
        ...

    def emptied(self, key: str, upload_id: str) -> None:
        """Note that what was deleting is gone, and let nobody else have the key before the grace.

        It is an intent of an upload that has ended: what may yet come there is swept by its row.
        """
        ...

    def needed(self, key: str, upload_id: str) -> bool:
        """Say whether a file refers to the object, or its upload may still be worked on, or become one."""
        ...

    def condemn(self, key: str, upload_id: str) -> bool:
        """Mark an object that is not needed as deleting, with a row if it has none.

        False when it is needed, or another upload has it.
        """
        ...

    def succeed(self, key: str, file_id: str, upload_id: str, checked: Mapping[str, Any]) -> bool:
        """Let the upload write over the file's object, and nobody else.

        False when the key is not that file's any more, or another upload is doing so.
        """
        ...

    def succession(self, upload_id: str) -> ObjectRecord | None:
        """Return the object of a file that the upload may have written over."""
        ...

    def succeeds(self, upload_id: str) -> bool:
        """Say whether the upload may have written over a file's object."""
        ...

    def inherit(self, key: str, upload_id: str) -> bool:
        """Give the key to the upload that may write over it."""
        ...

    def successions(self, limit: int) -> list[ObjectRecord]:
        """Return objects that an upload may have written over, and ended without a file."""
        ...

    def forgo(self, key: str, upload_id: str, older_than: timedelta) -> bool:
        """Leave the object to its file, if the upload last had leave to write so long ago."""
        ...


class QuotaRows(Protocol):
    def reserve(self, tenant: str, size: int) -> bool:
        """Reserve bytes; False when used + reserved would pass the tenant's limit."""
        ...

    def release(self, tenant: str, size: int) -> None: ...

    def use(self, tenant: str, size: int, reserved: int) -> None:
        """Turn a reservation into use."""
        ...

    def free(self, tenant: str, size: int) -> None: ...

    def room(self, tenant: str) -> int | None:
        """Return the bytes that are neither used nor reserved, None where there is no limit."""
        ...
