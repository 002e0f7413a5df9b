"""A child process that may die of what it reads: fed, listened to, and ended within a bound.

All in the caller's thread, because the blocks may come from a session or a lease that belongs to it.
However it ends, the child is dead and reaped, and no descriptor is left.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Final, cast

from shared.errors import Unavailable

# No secrets for whoever takes the child over. One arena, or each thread's counts as memory.
ENVIRONMENT: Final = {"MALLOC_ARENA_MAX": "1"}
LARGEST_ANSWER: Final = 64 * 1024 * 1024
BLOCK: Final = 1024 * 1024
LONGEST_WAIT: Final = 1.0  # seconds until somebody looks whether to go on


class TimeIsUp(Exception):
    """The child did not end in its time."""


class TooMuchSaid(Exception):
    """The child's answer is longer than any that is right."""


class Clock:
    """The time that is left for the child; `check` may end it sooner by what it raises."""

    def __init__(self, seconds: float, check: Callable[[], None] = lambda: None) -> None:
        self._end = time.monotonic() + seconds
        self._check = check

    def patience(self) -> float:
        """Return for how many seconds to wait at once, or raise `TimeIsUp` when none are left."""
        self._check()
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeIsUp
        return min(left, LONGEST_WAIT)

    def stopped_for(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the blocks; a slow store is no fault of the image's."""
        source = iter(blocks)
        while True:
            asked_at = time.monotonic()
            block = next(source, None)
            self._end += time.monotonic() - asked_at
            if block is None:
                return
            yield block


@dataclass(frozen=True, slots=True)
class Child:
    process: subprocess.Popen[bytes]
    source: IO[bytes]
    answer: IO[bytes]


@contextmanager
def child(command: Sequence[str]) -> Iterator[Child]:
    """Start the decoder in a session of its own; nothing of it outlives the block."""
    try:
        process = subprocess.Popen(  # noqa: S603 - the caller's own program
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            cwd="/",
            env=ENVIRONMENT,
            start_new_session=True,
        )
    except OSError as error:
        raise Unavailable("decoder", "A child process could not be started.") from error
    source, answer = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
    with source, answer:
        try:
            yield Child(process, source, answer)
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def feed(source: IO[bytes], blocks: Iterable[bytes], clock: Clock) -> None:
    """Pass the picture on, until its end or until the child has heard enough."""
    os.set_blocking(source.fileno(), False)
    with source:
        for block in clock.stopped_for(blocks):
            if not _write(source, block, clock):
                return


def _write(source: IO[bytes], block: bytes, clock: Clock) -> bool:
    """Write all of `block`, or tell that nobody is listening any more."""
    rest = memoryview(block)
    while rest:
        _wait_for(source, select.POLLOUT, clock)
        try:
            rest = rest[os.write(source.fileno(), rest) :]
        except BlockingIOError:
            continue
        except BrokenPipeError:
            return False
    return True


def collect(answer: IO[bytes], clock: Clock) -> bytes:
    collected = bytearray()
    while True:
        _wait_for(answer, select.POLLIN, clock)
        block = os.read(answer.fileno(), BLOCK)
        if not block:
            return bytes(collected)
        collected += block
        if len(collected) > LARGEST_ANSWER:
            raise TooMuchSaid


def _wait_for(stream: IO[bytes], event: int, clock: Clock) -> None:
    ready = select.poll()
    ready.register(stream, event)
    while not ready.poll(clock.patience() * 1000):
        pass


def ended(process: subprocess.Popen[bytes], clock: Clock) -> int:
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(clock.patience())
