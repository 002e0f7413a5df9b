"""Bodies with a deadline: the grace, and a second for every 16 KiB.

One of unknown length has the time for what has come so far. One of which nothing comes at all for the
longest silence has no more time. A body that is out of time just ends, as if the client had: who
reads it gets the bytes so far. Extends gunicorn's `SocketUnreader.chunk`, which
all reads of a request go through, and `read` of its `Body`, which is `wsgi.input`; reads `trailers` of
its requests, which its `ChunkedReader` sets at the end of a body in pieces.
"""

import select
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from gunicorn.http.body import Body
from gunicorn.http.errors import ParseException
from gunicorn.http.unreader import SocketUnreader

from web.server.line import SLOWEST, Line

TRAILERS: Final = "sluice.trailers"  # in the environ
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def trailing(app: App) -> App:
    """Hand trailers on to the app, for which WSGI has no word."""

    def answered(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ[TRAILERS] = environ["wsgi.input"].trailers
        return app(environ, start_response)

    return answered


class Reader(SocketUnreader):  # type: ignore[misc]  # gunicorn is untyped
    """What gunicorn's parser reads from: the bytes that were gathered, then a body's, if allowed.

    `is_over` when no more comes: the client ended, or its time did. `fell_short` when that was
    noticed by somebody who wanted more.
    """

    def __init__(self, line: Line) -> None:
        super().__init__(line)
        self.is_over = self.fell_short = False
        self._line = line
        self._deadline: float | None = None  # of time.monotonic(), without what arrives
        self._silence = 0.0  # the longest, in seconds
        self._length: int | None = 0
        self._arrived = 0
        self._owes_continue = False

    @property
    def held(self) -> int:
        """The bytes that are here and not read yet."""
        return len(self.buf.getbuffer())

    def allow(
        self, length: int | None, grace: float, *, silence: float, owes_continue: bool
    ) -> None:
        """Wait for a body of this length; None when it is not known.

        The client hears `100 Continue` when the body is first asked for (RFC 9110, 10.1.1).
        """
        self._deadline, self._silence = time.monotonic() + grace, silence
        self._length, self._arrived, self._owes_continue = length, 0, owes_continue

    def forbid(self) -> None:
        self._deadline = None

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return what comes next, nothing at the end or when its time is over."""
        said = b""
        if self._deadline is not None and not self.is_over:
            promised = self._arrived if self._length is None else self._length
            said = self._received(size_hint, self._deadline + promised / SLOWEST)
        self._arrived += len(said)
        self.fell_short = not said
        return said

    def _received(self, size_hint: int | None, until: float) -> bytes:
        if self._line.is_deaf or time.monotonic() >= until:
            return b""
        if self._owes_continue:
            self._owes_continue = False
            self._line.sendall(_CONTINUE)
        # From here, and not from its last byte: what keeps us from reading is no silence of the client's.
        until = min(until, time.monotonic() + self._silence)
        while True:
            try:
                said: bytes = super().chunk(size_hint)
            except BlockingIOError:
                if not self._line.wait(select.POLLIN, until):
                    self.is_over = True
                    return b""
            else:
                self._line.moved(len(said))
                return said


class Arriving(Body):  # type: ignore[misc]  # gunicorn is untyped
    """A body that may still be on its way; `is_gathered` when all of it came with the head."""

    def __init__(self, body: Any, source: Reader) -> None:
        super().__init__(body.reader)
        self._source = source
        self.length: int | None = getattr(self.reader, "length", None)  # None: in pieces
        self.is_gathered = source.is_over or (
            self.length is not None and self.length <= source.held
        )
        self._broken_by: Exception | None = None

    def read(self, size: int | None = None) -> bytes:
        """Return what has come of a body that breaks; raise why when there is no more of it."""
        if self._broken_by is not None and not self.buf.tell():
            raise self._broken_by
        try:
            return self._read(size)
        except (OSError, ParseException) as error:
            self._broken_by = error
            self._source.is_over = True
            if came := self._read(size):  # now it just ends, in gunicorn's eyes
                return came
            raise

    def _read(self, size: int | None) -> bytes:
        said: bytes = super().read(size)
        return said

    def trailers(self) -> Sequence[tuple[str, str]]:
        """Return the fields behind a body in pieces, once it was read to its end.

        Names are in capitals. gunicorn's parser leaves them with the request (RFC 9112, 7.1.2).
        """
        found: Sequence[tuple[str, str]] = (
            () if self.length is not None else self.reader.req.trailers
        )
        return found

    @property
    def is_finished(self) -> bool:
        """Whether the next request begins where this body was left, or in bytes that are here."""
        if self.failed or self._source.fell_short:
            return False
        if self.length is None:
            return self.reader.parser is None
        left: int = self.reader.length
        return left <= self._source.held
