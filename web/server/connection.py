"""A connection, and what a thread does with one request of it."""

from typing import Any

from gunicorn.workers.gthread import TConn

from web.server.body import Arriving, Reader
from web.server.gathering import Gathering
from web.server.line import Line
from web.server.waiting import Waiting


class Connection(TConn):  # type: ignore[misc]  # gunicorn is untyped
    """gunicorn's connection, whose parser is given what has been gathered; overrides `init`."""

    sock: Line

    def __init__(self, cfg: Any, line: Line, client: Any, server: Any) -> None:
        super().__init__(cfg, line, client, server)
        self.data_ready = True  # or a thread would wait for it
        self.gathering = Gathering()
        self.reader = Reader(line)
        self.place: Waiting[Connection] | None = None
        self.is_kept = True
        self.thrown_away = 0  # bytes

    def init(self) -> None:
        """Called by gunicorn before it parses a request."""
        super().init()
        self.parser.unreader = self.reader
        self.reader.unread(self.gathering.take())

    def begin(self, request: Any, *, grace: float, silence: float) -> None:
        """Give the request its body, with a deadline if it is not here already."""
        request.body = body = Arriving(request.body, self.reader)
        expects = request._expected_100_continue  # noqa: SLF001  # else gunicorn says it at once
        request._expected_100_continue = False  # noqa: SLF001  # the same
        if not body.is_gathered:
            self.reader.allow(body.length, grace, silence=silence, owes_continue=expects)

    def end(self) -> None:
        self.reader.forbid()

    def is_reusable(self) -> bool:
        """Whether all of the last body was read, or is thrown away now without waiting."""
        body = self.parser.mesg.body
        return body.is_finished and bool(self.parser.finish_body())
