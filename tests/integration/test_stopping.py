"""The flag of a worker that is being stopped outlives children that are killed."""

import subprocess
import sys

# Thirty children do nothing but look, and are killed in the middle of it; the last one sees it set.
SCRIPT = """
import os, signal, threading
from worker import stopping

def child():
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        while not stopping.is_stopping():
            pass
        os._exit(0)
    threading.Event().wait(0.02)
    return pid

signal.alarm(20)
for _ in range(30):
    killed = child()
    os.kill(killed, signal.SIGKILL)
    os.waitpid(killed, 0)
last = child()
assert not stopping.is_stopping()
stopping.stop()
assert stopping.is_stopping()
assert os.waitpid(last, 0)[1] == 0
"""


def test_a_child_that_is_killed_while_it_looks_blocks_nobody() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=50
    )

    assert (done.returncode, done.stderr) == (0, "")
