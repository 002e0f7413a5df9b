"""The seam of a store that clients send their bytes to by themselves."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Protocol

from shared.model.direct import Form
from shared.model.stored import PartSeen, StoredObject


class DirectStore(Protocol):
    """What an object store lets clients do by themselves, with links that are signed for it.

    Whoever has a link can write under its key until it expires, as often as they like: what was
    checked is known by its ETag.
    """

    def sign_put(
        self, key: str, lifetime: timedelta, *, size: int | None, content_type: str | None
    ) -> str:
        """Return a link for one PUT; `size` and `content_type` are signed where they are known."""
        ...

    def sign_form(
        self, key: str, lifetime: timedelta, *, least: int, most: int, content_type: str | None
    ) -> Form:
        """Return a form for one POST of `least` to `most` bytes."""
        ...

    def begin_parts(self, key: str, *, content_type: str | None) -> str: ...

    def sign_part(
        self, key: str, multipart_id: str, number: int, lifetime: timedelta, *, size: int | None
    ) -> str: ...

    def parts(self, key: str, multipart_id: str) -> Iterator[PartSeen]:
        """Yield the parts that are here, in order. Raises `NotFound` when it has ended."""
        ...

    def join_parts(self, key: str, multipart_id: str, parts: Sequence[PartSeen]) -> None:
        """Make the object of its parts; again, nothing is changed, and it may raise `NotFound`."""
        ...

    def waiting(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose keys begin so and come behind `after`, in the order of keys."""
        ...
