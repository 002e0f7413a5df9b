"""When beat calls which sweep. Two beats at once do no harm: a sweep runs under a lease.

A call that waited in the queue until the next one is due has expired: a queue that was stuck for a
day starts with one of each.
"""

from typing import Any, Final

from shared.services.sweeps import SWEEPS

TASK: Final = "maintenance.sweep"
QUEUE: Final = "maintenance"
_PATIENCE: Final = 0.9  # of the interval

SCHEDULE: Final[dict[str, dict[str, Any]]] = {
    sweep.name: {
        "task": TASK,
        "schedule": sweep.every,
        "args": [sweep.name],
        "options": {"queue": QUEUE, "expires": _PATIENCE * sweep.every.total_seconds()},
    }
    for sweep in SWEEPS
}
