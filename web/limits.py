"""What keeps the web responsive: bounded threads for bodies and waits, and refusals that end.

At most three quarters of a process's threads hold bodies or wait for jobs; the rest answer polls
and health. A body that is refused is drained a little, so that the client reads the answer instead
of a reset, and then the connection closes.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

from flask import Flask, Response, request

from shared.errors import Unavailable

_DRAIN_BYTES: Final = 1024 * 1024
_DRAIN_SECONDS: Final = 2.0
_SMALL_BODY: Final = 64 * 1024  # gunicorn drains less than this by itself, and keeps the connection


class Slots:
    """The threads that may be held for long."""

    def __init__(self, threads: int) -> None:
        self._free = threading.BoundedSemaphore(max(1, threads * 3 // 4))

    @contextlib.contextmanager
    def body(self) -> Iterator[None]:
        """Hold a slot for a body. Raises `Unavailable` when none is free."""
        if not self.take():
            raise Unavailable("web", "Too many uploads are arriving at once; try again soon.")
        try:
            yield
        finally:
            self.give()

    def take(self) -> bool:
        return self._free.acquire(blocking=False)

    def give(self) -> None:
        self._free.release()


def register(app: Flask, threads: int) -> None:
    app.extensions["sluice-slots"] = Slots(threads)
    app.after_request(_close_after_refusal)


def slots(app: Flask) -> Slots:
    found: Slots = app.extensions["sluice-slots"]
    return found


def _close_after_refusal(response: Response) -> Response:
    length = request.content_length
    coming = length is None and "Transfer-Encoding" in request.headers
    if response.status_code >= 400 and (coming or (length or 0) >= _SMALL_BODY):  # noqa: PLR2004  # refusals
        response.headers["Connection"] = "close"
        stream, socket = request.environ["wsgi.input"], request.environ.get("gunicorn.socket")
        if socket is not None:
            response.call_on_close(lambda: _drain(stream, socket))
    return response


def _drain(stream: Any, socket: Any) -> None:
    left, until = _DRAIN_BYTES, time.monotonic() + _DRAIN_SECONDS
    with contextlib.suppress(Exception):  # whatever happens now, the connection closes
        while left > 0 and (seconds := until - time.monotonic()) > 0:
            socket.settimeout(seconds)
            block = stream.read(min(_SMALL_BODY, left))
            if not block:
                return
            left -= len(block)
