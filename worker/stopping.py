"""The flag that a worker is being stopped: set in its main process, seen in every child.

One byte of memory that the children share, because it is made before the pool forks. No lock: a child
that is killed while it holds one would block all others for ever.
"""

import mmap
import os
import signal
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Final

Handler = Callable[[int, FrameType | None], object]

_flag: Final = mmap.mmap(-1, 1)


def stop() -> None:
    _flag[0] = True


def is_stopping() -> bool:
    return bool(_flag[0])


def stop_at_signals() -> None:
    """Raise the flag at the signals that stop a worker, before what is done at them already.

    Celery first says so on its output, and waits there for ever when that is full and nobody reads it.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        before = signal.getsignal(number)
        if callable(before):
            signal.signal(number, partial(_stop_first, os.getpid(), before))


def _stop_first(main: int, before: Handler, number: int, frame: FrameType | None) -> None:
    if os.getpid() == main:  # and no child that was forked since
        stop()
    before(number, frame)
