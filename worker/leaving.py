"""A worker that was told to stop is gone in time, whatever its threads or children wait for.

By then its jobs were handed back (`worker/watch.py`); of a sweep or a delivery the lease runs out.
"""

import logging
import os
import signal
import threading
from contextlib import suppress
from typing import Final

from billiard import active_children

from worker import stopping

log = logging.getLogger(__name__)

LATEST_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.5


def leave_in_time() -> None:
    """Kill this process and its children `LATEST_SECONDS` after it was told to stop."""
    threading.Thread(target=_leave, name="leaving", daemon=True).start()


def _leave() -> None:
    pause = threading.Event()
    while not stopping.is_stopping():
        pause.wait(_LOOK_SECONDS)
    pause.wait(LATEST_SECONDS)
    try:
        _say_so()
    finally:  # whatever goes wrong, for want of threads or memory
        try:
            _kill_children()
        finally:
            os._exit(os.EX_OK)


def _say_so() -> None:
    # What it would be written to may be what the others wait for.
    said = threading.Thread(target=log.warning, args=("worker_left_work",), daemon=True)
    said.start()
    said.join(_LOOK_SECONDS)


def _kill_children() -> None:
    for pid in [child.pid for child in active_children() if child.pid]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
