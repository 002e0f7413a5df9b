"""Rows of uploads and of their chunks."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Protocol

from shared.model.lifecycle import Event, UploadState
from shared.model.upload import Chunk, Upload


class UploadRows(Protocol):
    def add(self, upload: Upload, lifetime: timedelta) -> Upload:
        """Insert; the row's times are set here and `expires_at` is now + `lifetime`."""
        ...

    def find(self, upload_id: str) -> Upload | None: ...

    def add_bytes(
        self,
        upload_id: str,
        length: int,
        *,
        at: int | None,
        reserve: int,
        lifetime: timedelta | None = None,
    ) -> bool:
        """Count `length` more bytes while receiving; with `at`, only if so many are here.

        With `lifetime` the upload expires about that from now, unless it was opened thirty of them ago.
        """
        ...

    def declare(self, upload_id: str, size: int) -> bool:
        """Say how long an upload of unknown length is; False when that is known, or too short."""
        ...

    def advance(self, upload_id: str, event: Event) -> bool:
        """Move the upload if it is where `event` starts."""
        ...

    def settle(self, upload_id: str, **facts: Any) -> None:
        """Write what became known: `size`, `sha256`, `reserved`."""
        ...

    def agree(self, upload_id: str, sha256: str) -> bool:
        """Note the announced digest where there is none, and no job has begun to compare."""
        ...

    def remember(self, caller: tuple[str, str], key: str, fingerprint: str, upload_id: str) -> bool:
        """Tie an idempotency key to an upload; False when the key is known."""
        ...

    def remembered(self, caller: tuple[str, str], key: str) -> tuple[str, str] | None:
        """Return the fingerprint and the upload id tied to the key."""
        ...

    def expired(
        self, limit: int, *, directly: bool, older_than: timedelta = timedelta()
    ) -> list[Upload]:
        """Return what still receives that long after its end, the longest over first.

        Either what goes straight to the store, or all else.
        """
        ...

    def failed(self, older_than: timedelta, limit: int) -> list[Upload]:
        """Return uploads that failed that long ago and still hold bytes or room."""
        ...

    def jobless(self, older_than: timedelta, limit: int) -> list[Upload]:
        """Return uploads that were sealed that long ago and have no job."""
        ...

    def hoarding(self, older_than: timedelta, limit: int) -> list[Upload]:
        """Return uploads that ended that long ago, other than failed, and still reserve room."""
        ...

    def hold(self, upload_id: str, state: UploadState) -> bool:
        """Keep the upload in `state` until the transaction ends; False when it is elsewhere."""
        ...

    def ended(self, older_than: timedelta, limit: int) -> list[Upload]:
        """Return uploads that ended that long ago and hold neither bytes nor room nor intents."""
        ...

    def known(self, upload_ids: Sequence[str]) -> dict[str, Upload]: ...

    def awaited(self, keys: Sequence[str]) -> set[str]:
        """Return those of the keys that an open upload is to have, maybe after another's file."""
        ...

    def receiving(self, key: str) -> list[Upload]:
        """Return the uploads that are to have this key and still receive."""
        ...

    def drop(self, upload_ids: Sequence[str]) -> None: ...


class ChunkRows(Protocol):
    def add(self, chunks: Sequence[Chunk]) -> bool:
        """Insert all; False when one of them is there already (the transaction must end)."""
        ...

    def of(self, upload_id: str, number: int | None = None) -> list[Chunk]:
        """Return the upload's chunks in the file's order."""
        ...

    def names(self, upload_id: str) -> set[str]:
        """Return what staging calls the bytes that are the upload's, or lie with it."""
        ...

    def places(self, upload_id: str) -> set[str]:
        """Return the uploads in whose folders the upload's bytes lie."""
        ...

    def below(self, upload_id: str, length: int) -> int:
        """Return how many of the upload's chunks are shorter than `length` bytes."""
        ...

    def move(self, upload_id: str, joined_id: str, number: int) -> None:
        """Let all chunks of a stream be chunk `number` of another upload."""
        ...

    def drop(self, upload_id: str) -> None: ...
