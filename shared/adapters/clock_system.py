"""The wall clock of this host."""

import threading
from datetime import UTC, datetime


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251  # this is the clock that others ask

    def wait(self, seconds: float) -> None:
        threading.Event().wait(seconds)
