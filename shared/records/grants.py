"""Rows of grants to upload."""

from datetime import datetime, timedelta
from typing import Protocol

from shared.model.grant import Grant


class GrantRows(Protocol):
    def add(self, grant: Grant, lifetime: timedelta) -> Grant:
        """Insert; the row's times are set here. What has expired is forgotten."""
        ...

    def find(self, grant_id: str) -> Grant | None:
        """Return a grant that is in force."""
        ...

    def hold(self, grant_id: str) -> datetime | None:
        """Keep a grant in force until the transaction ends, and return when it is over.

        None for one that is not: what it would open must not be opened.
        """
        ...

    def begun(self, grant_id: str) -> list[str]:
        """Return the uploads that were opened by it and are still receiving."""
        ...

    def drop(self, grant_id: str) -> None: ...
