"""Whether a lease that ran out says that its worker died, or that nobody could have extended it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(slots=True)
class Sight:
    """How long this process has seen the database without a gap, in seconds by `monotonic`.

    Only gaps in its own life count: who has just been started takes all leases at their word.
    """

    monotonic: Callable[[], float] = time.monotonic
    _seen_at: float = field(init=False)
    _clear_at: float = field(init=False)
    _told: tuple[datetime, float, float] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._seen_at = self._clear_at = self.monotonic()

    @property
    def is_clear(self) -> bool:
        """Whether who lives has had the time to extend its lease."""
        return self.monotonic() >= self._clear_at

    def regain(self, patience: timedelta, lease: timedelta) -> bool:
        """Note that the database answers; True when it was out of sight for longer than `patience`.

        Then it may have been away for everybody, and nothing is clear before one `lease` from now.
        """
        now = self.monotonic()
        was_away = now - self._seen_at > patience.total_seconds()
        if was_away:
            self._clear_at = now + lease.total_seconds()
        self._seen_at = now
        return was_away

    def was_set(
        self, told: datetime, asked_at: float, patience: timedelta, lease: timedelta
    ) -> bool:
        """Note what time the database said after `asked_at`; True when it is off by more than `patience`.

        Its clock was set, or all of us slept. Then nothing is clear before one `lease` from now.
        """
        now, before = self.monotonic(), self._told
        self._told = told, asked_at, now
        if before is None:
            return False
        last, last_asked_at, last_heard_at = before
        passed, slack = (told - last).total_seconds(), patience.total_seconds()
        # It was said some time between the question and the answer.
        if asked_at - last_heard_at - slack <= passed <= now - last_asked_at + slack:
            return False
        self._clear_at = now + lease.total_seconds()
        return True

    def keep(self) -> None:
        """Note that the database has answered until now, however long that took."""
        self._seen_at = self.monotonic()
