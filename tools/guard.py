"""Outlive a supervisor that was killed, and end what it left behind.

Run as a script by path: `guard.py SECONDS`, the time between asking and killing. It reads `+pid` and `-pid` lines, one for each process group started and
ended; the end of the input is the death of the supervisor. It holds the supervisor's lock on the
data folder until the last group is gone, so that the next start waits for it.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterable


def main(patience_seconds: float, lines: Iterable[str]) -> None:
    """Follow `lines`, then end every group that is still there."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: list[int] = []
    for line in lines:
        pid = int(line[1:])
        if line.startswith("+"):
            groups.append(pid)
        elif pid in groups:
            groups.remove(pid)
    end(groups[::-1], patience_seconds)


def end(groups: list[int], patience_seconds: float) -> None:
    """Ask each process group to stop, and kill those that have not in time."""
    for group in groups:
        reaches(group, signal.SIGTERM)
    moment = threading.Event()
    deadline = time.monotonic() + patience_seconds
    while any(reaches(group, 0) for group in groups) and time.monotonic() < deadline:
        moment.wait(0.1)
    for group in groups:
        reaches(group, signal.SIGKILL)


def reaches(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so of a group of zombies
        return False
    return True


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.stdin)
