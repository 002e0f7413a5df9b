"""Whether the bucket is there: to a HEAD, which has no body, a lost bucket is a missing object."""

from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Final

from shared.errors import AccessDenied

_GOOD_SECONDS: Final = 2.0


class SeenBucket:
    """Asks for the bucket when something is missing, unless it was there a moment ago.

    `ask` raises `Unavailable` where it is not there.
    """

    def __init__(self, ask: Callable[[], object]) -> None:
        self._ask = ask
        self._good_until = 0.0

    def refuse_lost(self) -> None:
        """Raise `Unavailable` where it is the bucket that is not there."""
        if monotonic() < self._good_until:
            return
        with suppress(AccessDenied):  # there is one
            self._ask()
        self._good_until = monotonic() + _GOOD_SECONDS
