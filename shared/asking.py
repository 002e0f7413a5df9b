"""Asks once more whether a write may be made, directly before it is, each time that it is tried.

Between the last look at a lease and the wire lie sums over megabytes, locks and the pauses between
attempts: who freezes there wakes up when the file is another's. So the question goes to where the
bytes leave.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_check: Final[ContextVar[Callable[[], object] | None]] = ContextVar("check", default=None)


@contextmanager
def asked(check: Callable[[], object]) -> Iterator[None]:
    """Let `check` be asked by what this thread writes meanwhile; what it raises ends that."""
    before = _check.set(check)
    try:
        yield
    finally:
        _check.reset(before)


def ask(**said: object) -> None:
    """Raise what `check` raises, if somebody is to be asked."""
    del said
    check = _check.get()
    if check is not None:
        check()
