"""The flag that a worker is being stopped: set in its main process, seen in every child.

One byte of memory that the children share, because it is made before the pool forks. No lock: a child
that is killed while it holds one would block all others for ever.
"""

import mmap
from typing import Final

_flag: Final = mmap.mmap(-1, 1)


def stop() -> None:
    _flag[0] = True


def is_stopping() -> bool:
    return bool(_flag[0])
