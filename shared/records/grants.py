"""Rows of grants to upload."""

from datetime import timedelta
from typing import Protocol

from shared.model.grant import Grant


class GrantRows(Protocol):
    def add(self, grant: Grant, lifetime: timedelta) -> Grant:
        """Insert; the row's times are set here. What has expired is forgotten."""
        ...

    def find(self, grant_id: str) -> Grant | None:
        """Return a grant that is in force."""
        ...

    def begun(self, grant_id: str) -> list[str]:
        """Return the uploads that were opened by it and are still receiving."""
        ...

    def drop(self, grant_id: str) -> None: ...
