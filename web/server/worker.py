"""A gunicorn worker in which no thread waits for a client that could wait without one.

A connection is in a thread, or in one of four places: a request is gathered from it, it is kept
idle, it is sent what its reader was too slow for, or it lingers after an answer that closes it, so
that the client can read that instead of a reset (RFC 9112, 9.6). Each place has its time.

A worker that stops says so to all who wait (`stopping`), and after some seconds lets the bodies end
that are still coming: who reads one keeps what has come of it, or refuses it, and answers.

Overrides of gunicorn 27.0.1's `ThreadWorker`: `check_config`, `load_wsgi`, `accept`, `enqueue_req`,
`handle_request`, `_keepalive_after`, `finish_request`, `murder_pending`, `murder_keepalived`,
`_cap_keepalive`, `handle_error`. Its deques of kept and pending connections stay empty.
"""

import contextlib
import errno
import logging
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any, Final

from gunicorn.http.errors import InvalidHeader, LimitRequestHeaders
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from shared.config import settings
from web.server.body import trailing
from web.server.closing import App, closing
from web.server.connection import Connection
from web.server.line import Line
from web.server.refusals import refusal
from web.server.stopping import stopping
from web.server.waiting import Waiting

log = logging.getLogger(__name__)

_LINGER_SECONDS: Final = 2.0
_LINGER_BYTES: Final = 1024 * 1024
_BLOCK: Final = 32 * 1024
_BODIES_SECONDS: Final = 12.0  # for those that are on their way when the worker stops
_SUSPECT_SECONDS: Final = 1.0  # a head that takes longer may be dropped when places are short
_NOT_NOW: Final = (errno.EAGAIN, errno.ECONNABORTED)


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn is untyped
    def __init__(self, *args: Any, **said: Any) -> None:
        super().__init__(*args, **said)
        self._grace = settings().web_grace_seconds
        self._silence = settings().web_silence_seconds
        self._gathered: Waiting[Connection] = Waiting(settings().web_head_seconds)
        self._kept: Waiting[Connection] = Waiting(self.cfg.keepalive)
        self._sent: Waiting[Connection] = Waiting(self._grace)
        self._lingering: Waiting[Connection] = Waiting(_LINGER_SECONDS)
        self._at_work: set[Connection] = set()  # in a thread, or about to be
        self._places = (self._gathered, self._kept, self._sent, self._lingering)

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        super().check_config(cfg, log)
        if cfg.is_ssl:
            raise RuntimeError("This worker speaks plain HTTP: end TLS in front of it.")

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.wsgi: App = closing(trailing(self.wsgi))

    # In the main loop, where nothing may wait.

    def accept(self, listener: Any) -> None:
        try:
            accepted, client = listener.accept()
        except OSError as error:
            if error.errno not in _NOT_NOW:
                raise
            return
        self.nr_conns += 1
        line = Line(accepted, self._grace)
        conn = Connection(self.cfg, line, client, listener.getsockname())
        self._park(conn, self._gathered, selectors.EVENT_READ, self._gather)

    def enqueue_req(self, conn: Connection) -> None:
        self._at_work.add(conn)
        super().enqueue_req(conn)

    def finish_request(self, conn: Connection, future: Any) -> None:
        """Go on with a connection that a thread is done with."""
        self._at_work.discard(conn)
        is_well = not future.cancelled() and future.exception() is None
        conn.is_kept = is_well and bool(future.result())
        self._heed(conn, self._go_on)

    def murder_pending(self) -> None:
        """Close what has waited for too long, and something more when there is no room."""
        if stopping.has_begun(_BODIES_SECONDS):
            for conn in self._at_work:
                conn.sock.deafen()
        now = time.monotonic()
        for place in self._places:
            for conn in place.overdue(now):
                self._expire(conn)
        if self.nr_conns >= self.worker_connections:
            suspects = self._gathered.older_than(_SUSPECT_SECONDS, now)
            for conn in (self._kept.older_than(0, now) or suspects)[:1]:
                self._drop(conn)

    def murder_keepalived(self, force: bool = False) -> None:
        """Close everything, with `force`, at the end of the worker."""
        for place in self._places if force else ():
            for conn in place.older_than(0, time.monotonic()):
                self._drop(conn)

    def _cap_keepalive(self, deadline: float) -> None:
        """The worker stops: only a request that is on its way already is waited for."""
        stopping.begin()
        now = time.monotonic()
        for place in (self._gathered, self._kept):
            place.shorten(min(STOP_KEEPALIVE_LINGER, deadline - now), now)

    def _gather(self, conn: Connection) -> None:
        block = conn.sock.recv(_BLOCK)
        if block:
            conn.gathering.add(block)
        conn.reader.is_over = not block
        self._judge(conn)

    def _judge(self, conn: Connection) -> None:
        """Give the connection a thread when its request is whole, or can't become it."""
        has_ended = conn.reader.is_over
        if conn.gathering.is_whole or (has_ended and conn.gathering.has_head):
            self._unpark(conn)
            self.enqueue_req(conn)
        elif has_ended:
            self._drop(conn)
        elif conn.gathering.is_too_large:
            self._unpark(conn)
            self.handle_error(None, conn.sock, conn.client, LimitRequestHeaders("too large"))
            conn.is_kept = False
            self._go_on(conn)
        elif conn.place is self._kept:
            self._kept.remove(conn)
            self._gathered.add(conn, time.monotonic())
            conn.place = self._gathered

    def _go_on(self, conn: Connection) -> None:
        """Send what is unsent, then gather the next request or close."""
        if conn.sock.is_cut or conn.sock.fileno() < 0:
            self._drop(conn)
        elif conn.sock.unsent:
            self._park(conn, self._sent, selectors.EVENT_WRITE, self._send)
        elif not conn.is_kept:
            conn.sock.shutdown(socket.SHUT_WR)
            self._park(conn, self._lingering, selectors.EVENT_READ, self._throw_away)
        elif ahead := conn.reader.take_buffered():
            self._park(conn, self._gathered, selectors.EVENT_READ, self._gather)
            conn.gathering.add(ahead)
            self._judge(conn)
        else:
            self._park(conn, self._kept, selectors.EVENT_READ, self._gather)

    def _send(self, conn: Connection) -> None:
        conn.sock.flush()
        if not conn.sock.unsent:
            self._unpark(conn)
            self._go_on(conn)

    def _throw_away(self, conn: Connection) -> None:
        block = conn.sock.recv(_BLOCK)
        conn.thrown_away += len(block)
        if not block or conn.thrown_away > _LINGER_BYTES:
            self._drop(conn)

    def _expire(self, conn: Connection) -> None:
        if conn.place is self._gathered and conn.gathering.has_head:
            conn.reader.is_over = True  # it hears that its body was cut
            self._judge(conn)
        else:
            self._drop(conn)

    def _drop(self, conn: Connection) -> None:
        self._unpark(conn)
        self.nr_conns -= 1
        conn.close()

    def _park(
        self,
        conn: Connection,
        place: Waiting[Connection],
        event: int,
        then: Callable[[Connection], None],
    ) -> None:
        place.add(conn, time.monotonic())
        conn.place = place
        self.poller.register(conn.sock, event, lambda _: self._heed(conn, then))

    def _unpark(self, conn: Connection) -> None:
        if conn.place is not None:
            conn.place.remove(conn)
            conn.place = None
            self.poller.unregister(conn.sock)

    def _heed(self, conn: Connection, then: Callable[[Connection], None]) -> None:
        try:
            then(conn)
        except BlockingIOError:
            pass
        except OSError:  # the client went away
            self._drop(conn)

    def handle_error(self, req: Any, client: Line, addr: Any, exc: Exception) -> None:
        """Answer what gunicorn could not; called in threads, too."""
        del req, addr
        with contextlib.suppress(OSError):  # the client went away
            client.sendall(refusal(exc))

    # In a thread.

    def handle_request(self, req: Any, conn: Connection) -> bool:
        if req.version >= (1, 1) and not any(name == "HOST" for name, _ in req.headers):
            raise InvalidHeader("HOST", req=req)  # RFC 9112, 3.2
        conn.begin(req, grace=self._grace, silence=self._silence)
        try:
            return bool(super().handle_request(req, conn))
        except TimeoutError:
            log.info("slow_reader_cut")  # paths may be secrets
            return False
        finally:
            conn.end()

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        return keepalive and conn.is_reusable()
