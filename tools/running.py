"""One started process: its output relayed and remembered, its whole group ended with it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from tools.part import Part
from tools.voice import Voice

HERE: Final = Path(__file__).resolve().parent
REMEMBERED_LINES: Final = 20
LONGEST_LINE: Final = 65_536


class Guard:
    """The process that ends the others when this one is killed; see `tools/guard.py`."""

    def __init__(self, *holding: int, patience_seconds: float = 5.0) -> None:
        # Its own session, and no terminal: what kills the supervisor must not kill it too.
        self._process = subprocess.Popen(  # noqa: S603  # our own script
            [sys.executable, "-I", "-S", str(HERE / "guard.py"), str(patience_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=holding,
        )

    def watch(self, pid: int) -> None:
        self._tell(f"+{pid}\n")

    def forget(self, pid: int) -> None:
        self._tell(f"-{pid}\n")

    def dismiss(self) -> None:
        """Let it go; whatever is still watched is ended."""
        with suppress(OSError):
            _piped(self._process.stdin).close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        with suppress(OSError):  # somebody killed it; on Linux the tether still holds
            pipe = _piped(self._process.stdin)
            pipe.write(line.encode())
            pipe.flush()


class Running:
    """A live process of a part, leader of its own session and group."""

    def __init__(
        self, part: Part, environment: Mapping[str, str], folder: Path, voice: Voice, guard: Guard
    ) -> None:
        self._part = part
        self._voice = voice
        self._guard = guard
        self._tail: deque[str] = deque(maxlen=REMEMBERED_LINES)
        self._began = time.monotonic()
        # Must be called from the main thread: the death signal follows the thread that forks.
        self._process = subprocess.Popen(  # noqa: S603  # commands of tools/plan.py
            _tethered(part.command),
            env={**environment, **part.environment},
            cwd=folder,
            stdin=subprocess.PIPE if part.feed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        guard.watch(self._process.pid)
        if part.feed:
            with suppress(OSError), _piped(self._process.stdin) as pipe:
                pipe.write(part.feed)
        self._relay = threading.Thread(target=self._relay_output, daemon=True)
        self._relay.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def last_lines(self) -> Sequence[str]:
        return tuple(self._tail)

    def age(self) -> float:
        return time.monotonic() - self._began

    def exit_code(self) -> int | None:
        """Return how it ended, or `None` while it lives; a signal is a negative number."""
        return self._process.poll()

    def terminate(self) -> None:
        """Ask it to stop; its children hear of it from itself."""
        if self.exit_code() is None:
            self._process.terminate()

    def kill(self) -> None:
        """End it and its children now."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def bury(self) -> Sequence[str]:
        """Clear up after a process that ended, orphans included; return its last lines."""
        self.kill()
        self._process.wait()
        self._relay.join(timeout=1.0)
        self._guard.forget(self.pid)
        return self.last_lines()

    def _relay_output(self) -> None:
        with _piped(self._process.stdout) as output:
            for raw in iter(lambda: output.readline(LONGEST_LINE), b""):
                line = raw.decode(errors="replace").rstrip()
                self._tail.append(line)
                if self._part.shows is None or self._part.shows.search(line):
                    self._voice.relay(self._part.name, line)


def how_it_ended(code: int) -> str:
    """Say an exit code in words."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


def _tethered(command: Sequence[str]) -> list[str]:
    script = str(HERE / "tether.py")
    return [sys.executable, "-I", "-S", script, str(os.getpid()), *command]


def _piped(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("the process was started without this pipe")
    return stream
