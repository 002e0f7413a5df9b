"""Places where connections wait without a thread, each for its time. Nothing here waits itself."""

from typing import Generic, TypeVar

Who = TypeVar("Who")


class Waiting(Generic[Who]):
    """Who waits in one place; all have the same time, so the first is the first to go.

    Times are of `time.monotonic()`.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[Who, float] = {}

    def __len__(self) -> int:
        return len(self._since)

    def add(self, who: Who, now: float) -> None:
        self._since[who] = now

    def remove(self, who: Who) -> None:
        del self._since[who]

    def shorten(self, seconds: float, now: float) -> None:
        """Let nobody wait for longer than this from now on."""
        self._since = dict.fromkeys(self._since, now)
        self._seconds = min(seconds, self._seconds)

    def overdue(self, now: float) -> list[Who]:
        return self.older_than(self._seconds, now)

    def older_than(self, seconds: float, now: float) -> list[Who]:
        """Return who waits for so long already, the oldest first."""
        found: list[Who] = []
        for who, since in self._since.items():
            if now - since < seconds:
                break
            found.append(who)
        return found
