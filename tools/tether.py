"""Become a command that ends when its supervisor does, even by `kill -9` (on Linux).

Run as a script by path, so that it starts in milliseconds: `tether.py SUPERVISOR COMMAND...`. The
signal to ask for has to be set in the child; doing that between fork and exec of a process with
threads is not safe in Python, hence a program of its own.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(supervisor: int, command: list[str]) -> None:
    """Replace this process by `command`."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != supervisor:
        sys.exit("the supervisor ended first")
    try:
        os.execvp(command[0], command)  # noqa: S606  # no shell wanted
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
