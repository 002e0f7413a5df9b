"""Waiting for something to become true: the only place that sleeps."""

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")


def eventually(
    check: Callable[[], Seen], timeout: float = 10.0, every: float = 0.05, says: str = ""
) -> Seen:
    """Return the first true answer of `check`, asked again and again.

    A failed assertion inside `check` counts as not yet, and is raised when the time is over.
    """
    deadline = time.monotonic() + timeout
    while True:
        late = time.monotonic() > deadline
        try:
            answer = check()
        except AssertionError:
            if late:
                raise
        else:
            if answer:
                return answer
            if late:
                raise AssertionError(says or f"not within {timeout:g} s: {check}, last {answer!r}")
        time.sleep(every)  # noqa: TID251  # this is the place
