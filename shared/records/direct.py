"""Rows of uploads that go straight to the object store."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from shared.model.direct import Direct
from shared.model.upload import Upload


class DirectRows(Protocol):
    """A row stands before its object, and goes only when nothing can be written there any more."""

    def add(self, direct: Direct) -> None: ...

    def find(self, upload_id: str) -> Direct | None: ...

    def begun(self, upload_id: str, multipart_id: str) -> bool:
        """Note the multipart upload; False when there is one already."""
        ...

    def signed(self, upload_id: str, lifetime: timedelta) -> None:
        """Note that targets were handed out that work that long."""
        ...

    def seal(self, upload_id: str, etag: str) -> None: ...

    def is_awaited(self, slack: timedelta = timedelta()) -> bool:
        """Say whether anything may come there: an upload is receiving, or its links work.

        Or have not worked for less than `slack`.
        """
        ...

    def receiving(self, keys: Sequence[str]) -> list[Upload]:
        """Return the uploads, still receiving, whose bytes wait under one of these keys."""
        ...

    def unsized(self, tenant: str, owner: str, grant_id: str | None) -> int:
        """Return how many uploads of no announced size an owner has open, by this grant or by none."""
        ...

    def growing(self, after: str, limit: int) -> list[tuple[Upload, Direct]]:
        """Return open uploads after this id, in order, that come in parts of any size."""
        ...

    def over(self, keys: Sequence[str]) -> list[str]:
        """Return those of these keys whose uploads nobody works on any more, nor ever will."""
        ...

    def ended(self, slack: timedelta, after: str, limit: int) -> list[Direct]:
        """Return those to clear after this id, in order: of uploads that nobody works on any more.

        Once at their end, and once more when their last target has not worked for `slack`.
        """
        ...

    def cleared(self, upload_id: str) -> None:
        """Note that what lay there at the end is gone."""
        ...

    def forget(self, upload_id: str, slack: timedelta) -> None:
        """Forget the row, if its last target has not worked for `slack`."""
        ...

    def known(self, keys: Sequence[str]) -> dict[str, Direct]: ...
