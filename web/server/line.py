"""A client's socket: what a slow reader does not take waits in memory, and patience is counted.

gunicorn writes with `sendall`, which waits when it must. `recv` does not, and raises what a socket
raises that does not block.
"""

import contextlib
import select
import socket
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

SLOWEST: Final = 16 * 1024  # bytes a second
MOST_UNSENT: Final = 80 * 1024  # bytes: a small answer and its head
_FIRST_PATIENCE: Final = 0.25  # seconds
_MOST_PATIENCE: Final = 2.0
_LOOK_SECONDS: Final = 0.5  # whoever waits looks so often whether it is deaf by now


class Line(socket.socket):
    """Patience is the time that a thread may still wait before its client counts as stalled.

    It is short at first, and 16 KiB are worth a second of it. `is_deaf`: no more is read; `is_cut`:
    nor written. Both are final.
    """

    def __init__(self, accepted: socket.socket, grace: float) -> None:
        family, kind, protocol = accepted.family, accepted.type, accepted.proto
        super().__init__(family, kind, protocol, fileno=accepted.detach())
        super().setblocking(False)
        self.unsent = bytearray()
        self.is_deaf = self.is_cut = False
        self._grace = grace
        self._patience = _FIRST_PATIENCE
        self._waits_since: float | None = None
        self._is_sending = False

    def setblocking(self, flag: bool, /) -> None:
        """Do nothing: a line never blocks, whatever gunicorn asks for; see `wait`."""

    def sendall(self, data: "ReadableBuffer", flags: int = 0, /) -> None:
        """Send; what is not taken at once waits in `unsent`, or this waits when that is much.

        Raises `TimeoutError` when that takes longer than the grace, and is cut then.
        """
        del flags
        self.flush()
        rest = memoryview(data)
        if not self.unsent:
            rest = rest[self._send_now(rest) :]
        if len(self.unsent) + len(rest) <= MOST_UNSENT:
            self.unsent += rest
            return
        until = time.monotonic() + self._grace
        before, self.unsent = self.unsent, bytearray()
        self._send_until(memoryview(before), until)
        self._send_until(rest, until)

    def flush(self) -> None:
        """Send as much of `unsent` as is taken at once."""
        if self.unsent:
            del self.unsent[: self._send_now(self.unsent)]

    def wait(self, event: int, until: float) -> bool:
        """Wait for the client, `POLLIN` or `POLLOUT`; say whether it came before `until`."""
        poll = select.poll()
        poll.register(self, event)
        self._waits_since = began = time.monotonic()
        try:
            while not (self.is_deaf and event == select.POLLIN):
                left = max(0.0, until - time.monotonic())
                if poll.poll(min(left, _LOOK_SECONDS) * 1000):
                    return True
                if left <= _LOOK_SECONDS:
                    break
            return False
        finally:
            self._waits_since = None
            self._patience -= time.monotonic() - began

    def moved(self, count: int) -> None:
        self._patience = min(_MOST_PATIENCE, self._patience + count / SLOWEST)

    def stalled_seconds(self) -> float:
        """Return for how long a thread has waited for the client beyond patience; 0 if it has not.

        Asked by other threads, which may see it a moment late.
        """
        since = self._waits_since
        if since is None or self.is_deaf or self.is_cut:
            return 0.0
        return max(0.0, time.monotonic() - since - self._patience)

    def deafen(self) -> None:
        """Let a body end here, in the eyes of who reads it; a client that goes on hears the answer.

        The socket stays open for what it sends: closing that would take the answer from it, too.
        """
        self.is_deaf = True

    def cut(self) -> None:
        """Wake the thread that waits for the client; one that reads a body can still answer."""
        self.is_deaf = True
        self.is_cut = self._is_sending
        with contextlib.suppress(OSError):  # the client went away itself
            self.shutdown(socket.SHUT_RDWR if self._is_sending else socket.SHUT_RD)

    def _send_until(self, piece: memoryview, until: float) -> None:
        self._is_sending = True
        try:
            while piece:
                if not self.wait(select.POLLOUT, until):
                    self.is_cut = True
                    raise TimeoutError("the reader does not read")
                sent = self._send_now(piece)
                self.moved(sent)
                piece = piece[sent:]
        finally:
            self._is_sending = False

    def _send_now(self, data: "ReadableBuffer") -> int:
        try:
            return self.send(data)
        except BlockingIOError:
            return 0
