"""The flag that a worker is being stopped: set in its main process, seen in every child.

Made before the pool forks, so that the children share it.
"""

import multiprocessing
from typing import Final

_flag: Final = multiprocessing.get_context("fork").Event()


def stop() -> None:
    _flag.set()


def is_stopping() -> bool:
    return _flag.is_set()
