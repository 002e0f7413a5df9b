"""The database as the services see it: rows by noun, inside one transaction.

Invariant: the database decides. A verb that may lose a race says so by its result (False, None, or
a count) and has then changed nothing. All times are the database's own clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from shared.model.file import File, FileQuery
from shared.model.job import Job
from shared.model.lifecycle import Event, UploadState
from shared.model.upload import Chunk, Upload
from shared.model.webhook import Delivery, DeliveryState, Webhook


class UploadRows(Protocol):
    def add(self, upload: Upload, lifetime: timedelta) -> Upload:
        """Insert; the row's times are set here and `expires_at` is now + `lifetime`."""
        ...

    def find(self, upload_id: str) -> Upload | None: ...

    def add_bytes(self, upload_id: str, length: int, *, at: int | None, reserve: int) -> bool:
        """Count `length` more bytes while receiving; with `at`, only if so many are here."""
        ...

    def advance(self, upload_id: str, event: Event) -> bool:
        """Move the upload if it is where `event` starts."""
        ...

    def settle(self, upload_id: str, **facts: Any) -> None:
        """Write what became known: `size`, `sha256`, `reserved`."""
        ...

    def remember(self, caller: tuple[str, str], key: str, fingerprint: str, upload_id: str) -> bool:
        """Tie an idempotency key to an upload; False when the key is known."""
        ...

    def remembered(self, caller: tuple[str, str], key: str) -> tuple[str, str] | None:
        """Return the fingerprint and the upload id tied to the key."""
        ...

    def expired(self, limit: int) -> list[Upload]: ...

    def failed(self, older_than: timedelta, limit: int) -> list[Upload]:
        """Return uploads that failed that long ago and still hold bytes or room."""
        ...

    def hold(self, upload_id: str, state: UploadState) -> bool:
        """Keep the upload in `state` until the transaction ends; False when it is elsewhere."""
        ...

    def ended(self, older_than: timedelta, limit: int) -> list[Upload]:
        """Return uploads that ended that long ago and hold neither bytes nor room nor intents."""
        ...

    def known(self, upload_ids: Sequence[str]) -> dict[str, Upload]: ...

    def drop(self, upload_ids: Sequence[str]) -> None: ...


class ChunkRows(Protocol):
    def add(self, chunks: Sequence[Chunk]) -> bool:
        """Insert all; False when one of them is there already (the transaction must end)."""
        ...

    def of(self, upload_id: str, number: int | None = None) -> list[Chunk]:
        """Return the upload's chunks in the file's order."""
        ...

    def names(self, upload_id: str) -> set[str]: ...

    def drop(self, upload_id: str) -> None: ...


class JobRows(Protocol):
    def add(self, job: Job) -> Job: ...

    def find(self, job_id: str) -> Job | None: ...

    def of_upload(self, upload_id: str) -> Job | None: ...

    def many(self, job_ids: Sequence[str]) -> list[Job]: ...

    def claim(self, job_id: str, worker: str, lease: timedelta, max_attempts: int) -> Job | None:
        """Take a due queued job, or one whose lease ran out and that has attempts left."""
        ...

    def beat(self, job_id: str, fence: int, lease: timedelta) -> bool: ...

    def note(self, job_id: str, fence: int, step: str, done: int) -> Job | None: ...

    def advance(
        self, job_id: str, event: Event, *, fence: int | None = None, **changes: Any
    ) -> Job | None:
        """Move the job if it is where `event` starts; None when it is not.

        With `fence` only for the one who claimed it so; without, whoever runs it loses it.
        `pause` (a timedelta) sets `due_at` that far ahead.
        """
        ...

    def waiting(self, stale: timedelta, limit: int) -> list[Job]:
        """Return due queued jobs, and running ones whose lease ran out, not told of lately."""
        ...

    def dispatched(self, job_ids: Sequence[str]) -> None: ...

    def queued(self) -> int:
        """Return how many jobs are due and not claimed."""
        ...

    def drop(self, job_ids: Sequence[str]) -> None: ...


class FileRows(Protocol):
    def add(self, file: File, lifetime: timedelta | None) -> File: ...

    def find(self, file_id: str) -> File | None: ...

    def page(self, query: FileQuery) -> list[File]: ...

    def count(self, query: FileQuery) -> int: ...

    def mark_deleted(self, file_id: str) -> bool: ...

    def drop(self, file_id: str) -> bool: ...

    def expired(self, limit: int) -> list[File]: ...

    def expire(self, file_id: str) -> bool:
        """Delete the file softly if its time is over."""
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
    """An object we mean to write, have written, or are removing."""

    key: str
    upload_id: str
    state: ObjectState
    multipart_id: str | None
    updated_at: datetime


class ObjectRows(Protocol):
    """Intents: a row stands before its object, so that whatever lies in the store is known."""

    def intend(self, key: str, upload_id: str) -> bool:
        """Claim `key` for the upload; False when another upload has it."""
        ...

    def started(self, key: str, multipart_id: str | None) -> None: ...

    def link(self, keys: Sequence[str]) -> None: ...

    def deleting(self, keys: Sequence[str]) -> None: ...

    def drop(self, keys: Sequence[str]) -> None: ...

    def of_upload(self, upload_id: str) -> list[ObjectRecord]: ...

    def known(self, keys: Sequence[str]) -> dict[str, ObjectRecord]: ...

    def stale(self, older_than: timedelta, limit: int) -> list[ObjectRecord]:
        """Return intents of that age that nobody may still work on, and whatever is deleting.

        An upload is worked on until it ends, and a failed one while its bytes are kept.
        """
        ...

    def needed(self, key: str, upload_id: str) -> bool:
        """Say whether a file refers to the object, or its upload may still be worked on."""
        ...

    def condemn(self, key: str, upload_id: str) -> bool:
        """Mark an object that is not needed as deleting, with a row if it has none.

        False when it is needed, or another upload has it.
        """
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


class WebhookRows(Protocol):
    def add(self, webhook: Webhook) -> Webhook: ...

    def find(self, webhook_id: str) -> Webhook | None: ...

    def page(
        self, tenant: str, created_by: str | None, limit: int, after: str | None
    ) -> list[Webhook]: ...

    def count(self, tenant: str) -> int: ...

    def drop(self, webhook_id: str) -> bool: ...

    def disable(self, webhook_id: str, reason: str) -> None:
        """Send it nothing more; what is owed to it ends, dead."""
        ...

    def listening(self, tenant: str, owner: str, event: str) -> list[Webhook]: ...

    def owe(self, deliveries: Iterable[Delivery]) -> None: ...

    def claim(self, delivery_id: str, lease: timedelta) -> Delivery | None:
        """Take a due delivery: counts the attempt before it is made."""
        ...

    def settle(
        self,
        delivery: Delivery,
        state: DeliveryState,
        *,
        pause: timedelta | None,
        response_status: int | None,
        error: str | None,
    ) -> bool: ...

    def due(self, limit: int) -> list[str]: ...

    def settled(self, older_than: timedelta, limit: int) -> list[str]:
        """Return delivered and dead deliveries of that age."""
        ...

    def forget(self, delivery_ids: Sequence[str]) -> None: ...


class LeaseRows(Protocol):
    """Named leases for work that one process at a time should do, and what it last did."""

    def take(self, name: str, holder: str, lease: timedelta) -> bool: ...

    def leave(self, name: str, holder: str, result: Mapping[str, Any] | None) -> None: ...

    def results(self) -> list[dict[str, Any]]: ...

    def seen(self, kind: str, names: Sequence[str], grace: timedelta) -> list[str]:
        """Return those first seen at least `grace` ago."""
        ...

    def sighted(self, kind: str, names: Sequence[str], grace: timedelta) -> list[str]:
        """Note these as seen now; return those seen before, and first at least `grace` ago."""
        ...

    def sightings(self, kind: str, grace: timedelta, limit: int) -> list[str]:
        """Return names first seen at least `grace` ago, the longest known first."""
        ...

    def forget(self, kind: str, names: Sequence[str]) -> None: ...

    def forget_unseen(self, kind: str, since: datetime) -> None:
        """Forget what was not seen again since then: it has found its owner, or is gone."""
        ...


class Transaction(Protocol):
    def now(self) -> datetime: ...

    @property
    def uploads(self) -> UploadRows: ...

    @property
    def chunks(self) -> ChunkRows: ...

    @property
    def jobs(self) -> JobRows: ...

    @property
    def files(self) -> FileRows: ...

    @property
    def objects(self) -> ObjectRows: ...

    @property
    def quotas(self) -> QuotaRows: ...

    @property
    def webhooks(self) -> WebhookRows: ...

    @property
    def leases(self) -> LeaseRows: ...


class Records(Protocol):
    def begin(self) -> AbstractContextManager[Transaction]:
        """Open a transaction: the end of the block commits, any exception rolls back."""
        ...

    def read(self) -> AbstractContextManager[Transaction]:
        """Open a transaction that only reads."""
        ...

    def check(self) -> None: ...

    def close(self) -> None: ...
