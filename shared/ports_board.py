"""What a board can do beside, and few ask of it."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable


@runtime_checkable
class ListedBoard(Protocol):
    """A board that can say what it shows; like any, it never raises."""

    def job_ids(self) -> Iterator[str]:
        """Yield the jobs that it shows or was told to forget, some perhaps twice."""
        ...
