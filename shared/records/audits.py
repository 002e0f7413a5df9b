"""Rows as the auditor reads them: a batch at a time, whatever the other verbs make of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from shared.model.lifecycle import JobState, UploadState
from shared.model.upload import Chunk
from shared.records.files import ObjectRecord, ObjectState


@dataclass(frozen=True, slots=True)
class AuditedUpload:
    """An upload with its job's state; `staged` are the bytes of its chunk rows, `chunks` their number."""

    id: str
    tenant: str
    state: UploadState
    size: int | None
    received: int
    reserved: int
    chunks: int
    staged: int
    job_state: JobState | None
    updated_at: datetime
    expires_at: datetime
    is_direct: bool = False


@dataclass(frozen=True, slots=True)
class AuditedJob:
    """A job and whether its upload has a row."""

    id: str
    upload_id: str
    has_upload: bool


@dataclass(frozen=True, slots=True)
class AuditedDirect:
    """A row of `direct` with its upload's state and when that last changed.

    `is_alive` says that somebody may still work on the upload.
    """

    upload_id: str
    key: str
    etag: str | None
    is_cleared: bool
    links_until: datetime | None
    state: UploadState
    updated_at: datetime
    is_alive: bool


@dataclass(frozen=True, slots=True)
class Expected:
    """An object that a file refers to, or with `thumbnail` one of its thumbnails.

    `etag` and `sha256` are None of thumbnails; `record` is the row of the object itself. While an
    upload is `successor` the object may be its own already.
    """

    key: str
    file_id: str
    upload_id: str | None
    thumbnail: str | None
    size: int
    etag: str | None
    sha256: str | None
    record: tuple[str, ObjectState] | None
    successor: str | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """What a quota says, and what the rows of files and uploads add up to."""

    tenant: str
    used: int
    reserved: int
    real_used: int
    real_reserved: int


@dataclass(frozen=True, slots=True)
class Overdue:
    """A job or a delivery that is due and that nobody has touched or been told of for long."""

    id: str
    due_at: datetime
    is_taken: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """Jobs by state, when the oldest due job was due, and how many deliveries are due; at `now`."""

    now: datetime
    jobs: Mapping[str, int]
    oldest_due_at: datetime | None
    deliveries_due: int


class AuditRows(Protocol):
    """Verbs with `after` and `limit` return what follows `after`, "" being the beginning.

    Each answer is one statement's, and so of one moment.
    """

    def uploads(self, after: str, limit: int) -> list[AuditedUpload]: ...

    def directs(self, after: str, limit: int) -> list[AuditedDirect]: ...

    def jobs(self, after: str, limit: int) -> list[AuditedJob]: ...

    def chunks(self, after: tuple[str, int, int], limit: int) -> list[Chunk]:
        """Return chunks after this upload, number and offset."""
        ...

    def kept(self, places: Sequence[str], names: Sequence[str]) -> set[tuple[str, str]]:
        """Return which of these names in the folders of these uploads have a chunk row."""
        ...

    def rooms(self, after: str, limit: int) -> list[Room]: ...

    def uncounted(self, limit: int) -> list[str]:
        """Return tenants with files or uploads and without a quota."""
        ...

    def overdue_jobs(self, bound: timedelta, limit: int) -> list[Overdue]:
        """Return jobs due, or whose lease ran out, that long ago, and nobody told of since.

        And those that are due, or whose lease ends, where no clock that is right can have put it.
        """
        ...

    def overdue_deliveries(self, bound: timedelta, limit: int) -> list[Overdue]:
        """Return pending deliveries due that long ago, to webhooks that nobody called since.

        Behind others of a webhook that is called they may wait for a day. And those due, or whose
        lease ends, where no clock that is right can have put it, if nobody touched them since.
        """
        ...

    def due_deliveries(self) -> tuple[int, int]:
        """Count the pending deliveries that are due: in nobody's hands, and taken for longer than may be."""
        ...

    def unowned_deliveries(self, limit: int) -> list[str]: ...

    def figures(self) -> Figures: ...

    def progress(self) -> str:
        """Return something that is another once there is a new upload or file."""
        ...

    def recount(self, tenant: str) -> None:
        """Set the quota to what its rows add up to; whoever changes it meanwhile is not lost.

        The one verb that writes. Everybody else adds to the quota in the transaction that changes
        the rows: with its row held first, what is counted is all that was added before. A quota
        without a row gets one, without a limit, that counts its files on from the highest number.
        """
        ...


class ExpectedRows(Protocol):
    """The objects that must be in the store, and the rows of objects that nothing refers to."""

    def files(self, after: str, limit: int) -> list[Expected]:
        """Return the objects of files that are not deleted, in the order of the files' ids."""
        ...

    def under(self, keys: Sequence[str]) -> list[Expected]: ...

    def between(self, after: str, upto: str | None, limit: int) -> list[Expected]:
        """Return what is expected under keys up to and with `upto`, in the order of keys."""
        ...

    def keys_of(self, upload_ids: Sequence[str]) -> dict[str, str]:
        """Return the keys of the files that these uploads became."""
        ...

    def unreferred(self, after: str, limit: int) -> tuple[list[ObjectRecord], str | None]:
        """Look at `limit` rows of objects; return those linked that nothing refers to.

        With them the key of the last one looked at, None at the end.
        """
        ...

    def unfinished(self, before: datetime, limit: int) -> list[ObjectRecord]:
        """Return rows of objects meant, or to be deleted, since before then and for nobody's use.

        One that is asked for anew each hour counts from when that was first done.
        """
        ...
