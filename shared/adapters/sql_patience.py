"""How long PostgreSQL is waited for. One that is frozen, or that the network lost, says nothing.

Its own time-outs do not help then, so each transaction has an end on this side, too, past which its
connection closes itself. Between transactions (the ping, the rollback) an answer takes two seconds at
most; without one nobody is let through until the server answers a new connection. A transaction that
was at its COMMIT when its time ran out may have happened: see who has the row.
"""

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any, Final, TypeVar, cast

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import Engine, event
from sqlalchemy.engine import Dialect

from shared.adapters.silence import Silence

Answer = TypeVar("Answer")

_ANSWER_SECONDS: Final = 2.0
_LEAST_SECONDS: Final = 1.0  # for a server that answers, when it was us who took the time
_INTERVAL: Final = 0.1  # psycopg's own: how often it looks up from a wait
# Below the end on this side, so that a server that lives says itself what it was.
_OPTIONS: Final = (
    "-c statement_timeout=10000 -c lock_timeout=8000 -c idle_in_transaction_session_timeout=30000"
)


class NoAnswer(psycopg.OperationalError):
    """The server is left alone for the moment."""


class BoundedConnection(psycopg.Connection[Any]):
    """Waits for no answer longer than its transaction may last; else it is closed."""

    silence: Silence | None = None
    ends_at: float | None = None  # of the transaction on it, by the monotonic clock

    def wait(
        self, gen: PQGen[Answer], interval: float = _INTERVAL, timeout: float | None = None
    ) -> Answer:
        began = monotonic()
        left = _ANSWER_SECONDS
        if self.ends_at is not None:
            left = max(_LEAST_SECONDS, self.ends_at - began)
        if timeout is not None:
            left = min(left, timeout)
        try:
            return super().wait(gen, interval, left)
        except psycopg.OperationalError:
            if monotonic() >= began + left:
                self.pgconn.finish()  # what it was asked may still come: nobody can use it
                if self.ends_at is None and self.silence is not None:
                    self.silence.begin()
            raise


def bound(engine: Engine, *, transaction_seconds: float) -> Silence:
    """Bound all that goes through `engine`; nobody gets a new connection during the silence."""
    return _Bounds(engine, transaction_seconds).silence


class _Bounds:
    """What happens at the connections of one engine."""

    def __init__(self, engine: Engine, transaction_seconds: float) -> None:
        self._transaction_seconds = transaction_seconds
        self.silence = Silence("records", self._answers)
        self._arguments: tuple[Sequence[Any], Mapping[str, Any]] = (), {}
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "checkout", self._begin)
        event.listen(engine, "checkin", _end)

    def _connect(
        self, dialect: Dialect, record: Any, positional: list[Any], named: dict[str, Any]
    ) -> BoundedConnection:
        del dialect, record
        self._arguments = positional, named
        if self.silence:
            raise NoAnswer("the server is silent")
        try:
            return self._connected()
        except psycopg.errors.ConnectionTimeout:
            self.silence.begin()
            raise

    def _connected(self) -> BoundedConnection:
        positional, named = self._arguments
        options = f"{named.get('options', '')} {_OPTIONS}".strip()
        made = BoundedConnection.connect(*positional, **{**named, "options": options})
        made.silence = self.silence
        return made

    def _begin(self, connection: Any, record: Any, fairy: Any) -> None:
        del record, fairy
        bounded = cast("BoundedConnection", connection)
        bounded.ends_at = monotonic() + self._transaction_seconds

    def _answers(self) -> bool:
        try:
            with self._connected() as connection:
                connection.execute("SELECT 1")
        except psycopg.Error as error:
            return not isinstance(error, psycopg.OperationalError)
        return True


def _end(connection: Any, record: Any) -> None:
    del record
    if connection is not None:  # it was lost meanwhile
        cast("BoundedConnection", connection).ends_at = None
