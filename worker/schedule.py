"""What beat asks for: every sweep, every minute; whether it is due the rows say (`run_if_due`).

So it does not matter when beat started, what it remembers, or whose clock is right. A call never
expires: that would be judged by a clock other than the one that sent it. A queue that was stuck has
many calls, of which the first runs and the others end at once.
"""

from datetime import datetime
from typing import Any, Final

from celery.schedules import schedstate, schedule

from shared.services.sweeping import ASKED_EVERY
from shared.services.sweeps import SWEEPS

TASK: Final = "maintenance.sweep"
QUEUE: Final = "maintenance"


class Asking(schedule):
    """An interval that goes on after a clock was put back: a last time in the future is over."""

    def is_due(self, last_run_at: datetime) -> Any:
        if self.remaining_estimate(last_run_at) > ASKED_EVERY:
            return schedstate(is_due=True, next=ASKED_EVERY.total_seconds())
        return super().is_due(last_run_at)


SCHEDULE: Final[dict[str, dict[str, Any]]] = {
    sweep.name: {
        "task": TASK,
        "schedule": Asking(ASKED_EVERY),
        "args": [sweep.name],
        "options": {"queue": QUEUE},
    }
    for sweep in SWEEPS
}
