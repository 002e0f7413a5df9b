"""Rows of uploads that are sent from offset to offset."""

from collections.abc import Sequence
from typing import Protocol

from shared.model.resumable import Resumable


class ResumableRows(Protocol):
    def add(self, resumable: Resumable) -> None: ...

    def find(self, upload_id: str) -> Resumable | None: ...

    def renew(self, resumable: Resumable) -> None:
        """Let the upload's address have another secret, and what is sealed with it."""
        ...

    def drop(self, upload_id: str) -> None:
        """Close the upload's address."""
        ...

    def awaiting(self, part_id: str) -> list[str]:
        """Return the uploads, still receiving, that are to be joined of this one and others."""
        ...

    def joined_of(self, part_ids: Sequence[str]) -> str | None:
        """Return the newest upload that was opened to join just these, in this order."""
        ...
