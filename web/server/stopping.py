"""Whether this process is being stopped: said once by its worker, heeded by all who wait."""

import time
from typing import Final


class Stopping:
    """Never taken back. Asked by all threads, without a lock."""

    def __init__(self) -> None:
        self._since: float | None = None  # of time.monotonic()

    def begin(self) -> None:
        self._since = time.monotonic()

    def has_begun(self, seconds_ago: float = 0) -> bool:
        """Say whether it has begun, at least so many seconds ago."""
        return self._since is not None and time.monotonic() - self._since >= seconds_ago


stopping: Final = Stopping()
