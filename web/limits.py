"""What keeps the web responsive: a thread that waits long, for a client or a job, holds a slot.

There are slots for three quarters of a process's threads; the rest answer polls and health. A slot
is held from when it is first wanted to the end of the request. When all are held, whoever keeps one
waiting in vain loses it; when nobody does, a body or a large answer is refused, a wait is over.
Who asks a store holds one, too: its silence must not have all threads.
A few may look on for a moment whether a slot comes free: a burst of stalled clients is soon seen.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from flask import Flask, Response, request
from werkzeug.wsgi import ClosingIterator

from shared.errors import Unavailable
from web.errors import present
from web.server.line import Line
from web.services import services

SMALL_ANSWER: Final = 64 * 1024  # bytes: the server sends them without a thread
_LEASE: Final = "sluice.lease"
_LOOKS: Final = 10
_LOOK_SECONDS: Final = 0.1

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Slots:
    def __init__(self, threads: int) -> None:
        self._free = threading.BoundedSemaphore(max(1, threads * 3 // 4))
        self._looking = threading.BoundedSemaphore(max(1, threads // 8))
        self._held: set[Lease] = set()
        self._lock = threading.Lock()

    def take(self, lease: "Lease") -> bool:
        """Give a slot to `lease`, that of the most stalled client if there is no other."""
        if not self._free.acquire(blocking=False) and not self._freed():
            return False
        with self._lock:
            self._held.add(lease)
        return True

    def give_back(self, lease: "Lease") -> None:
        with self._lock:
            self._held.remove(lease)
        self._free.release()

    def _freed(self) -> bool:
        if not self._looking.acquire(blocking=False):
            return False
        try:
            for _ in range(_LOOKS):
                self._cut_most_stalled()
                if self._free.acquire(timeout=_LOOK_SECONDS):
                    return True
            return False
        finally:
            self._looking.release()

    def _cut_most_stalled(self) -> None:
        with self._lock:  # no request of `_held` ends meanwhile
            lines = [lease.line for lease in self._held if lease.line is not None]
            slowest = max(lines, key=Line.stalled_seconds, default=None)
            if slowest is not None and slowest.stalled_seconds() > 0:
                slowest.cut()


class Lease:
    """A request's right to hold its thread for long; `line` when the server can cut its client."""

    def __init__(self, slots: Slots, line: Line | None) -> None:
        self.line = line
        self._slots = slots
        self._is_held = False

    def hold(self) -> bool:
        """Say whether a slot is held; takes one when it is not yet."""
        self._is_held = self._is_held or self._slots.take(self)
        return self._is_held

    def end(self) -> None:
        if self._is_held:
            self._is_held = False
            self._slots.give_back(self)


class _LeasedBody:
    """A body that has not come with its head: a slot is held once it is read."""

    def __init__(self, body: Any, lease: Lease) -> None:
        self._body = body
        self._lease = lease

    def read(self, size: int = -1, /) -> bytes:
        if not self._lease.hold():
            raise Unavailable("web", "Too many uploads are arriving at once; try again soon.")
        return cast("bytes", self._body.read(size))


def register(app: Flask, threads: int) -> None:
    """Lend slots to the requests of `app`. What is registered before sees refused answers too."""
    lend(app, Slots(threads))


def lend(app: Flask, slots: Slots) -> None:
    app.wsgi_app = _leasing(app.wsgi_app, slots)  # type: ignore[method-assign,assignment]  # as Flask documents it
    app.after_request(_settle)


def holds_slot() -> bool:
    """Say whether this request may hold its thread for long."""
    lease: Lease = request.environ[_LEASE]
    return lease.hold()


def hold_slot() -> None:
    """Hold a slot for an answer. Raises `Unavailable` when none is free."""
    if not holds_slot():
        raise _too_much()


def hold_slot_for_staging() -> None:
    """Hold one where staging is a store, which may not answer. Raises `Unavailable`."""
    if services().staging.is_remote:
        hold_slot()


def _leasing(app: App, slots: Slots) -> App:
    def leased(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        line, body = environ.get("gunicorn.socket"), environ["wsgi.input"]
        environ[_LEASE] = lease = Lease(slots, line if isinstance(line, Line) else None)
        if not getattr(body, "is_gathered", False):
            environ["wsgi.input"] = _LeasedBody(body, lease)
        try:
            answer = app(environ, start_response)
        except BaseException:
            lease.end()
            raise
        return ClosingIterator(answer, lease.end)

    return leased


def _settle(response: Response) -> Response:
    """Keep the slot for an answer that takes long, and refuse a large one without."""
    lease: Lease = request.environ[_LEASE]
    length = response.content_length or 0 if request.method != "HEAD" else 0
    is_large = length > SMALL_ANSWER or response.direct_passthrough
    if not is_large and not response.is_streamed:
        lease.end()
    elif is_large and not lease.hold():
        response.close()
        return present(_too_much())
    return response


def _too_much() -> Unavailable:
    return Unavailable("web", "Too much is under way at once; try again soon.")
