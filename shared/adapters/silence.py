"""A part that does not answer is left alone, so that not every caller waits for each time-out.

The first caller that waited in vain begins the silence. Until the part answers, which one thread asks
it every second, `bool(silence)` is True and callers go on without it at once.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final
from weakref import WeakMethod

log = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 1.0


class Silence:
    """`answers` asks the part, within a bound, and does not raise for one that does not answer.

    It is a method; whoever it belongs to is not kept alive by being listened for.
    """

    def __init__(self, part: str, answers: Callable[[], bool]) -> None:
        self._part = part
        self._answers = WeakMethod(answers)
        self._lock = threading.Lock()
        self._is_on = False

    def __bool__(self) -> bool:
        return self._is_on

    def begin(self) -> None:
        """Leave the part alone from now on; nothing happens when it is left alone already."""
        with self._lock:
            if self._is_on:
                return
            self._is_on = True
        log.warning("part_silent", extra={"part": self._part})
        # A daemon: it may be in the middle of a time-out when the process is to end.
        threading.Thread(target=self._listen, name=f"{self._part}-silence", daemon=True).start()

    def _listen(self) -> None:
        pause = threading.Event()
        while not self._is_over():
            pause.wait(_PAUSE_SECONDS)
        self._is_on = False
        log.info("part_answers", extra={"part": self._part})

    def _is_over(self) -> bool:
        answers = self._answers()
        try:
            return answers is None or answers()
        except Exception:  # the end of a thread: the next caller finds out how the part is
            log.exception("part_not_asked", extra={"part": self._part})
            return True
