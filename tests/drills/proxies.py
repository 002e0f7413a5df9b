"""Ports whose calls are points of a drill, and the transactions of the records."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from tests.drills.faults import AFTER, BEFORE, Faults

# No calls of ours that go out.
_PURE: Final = frozenset(
    {
        "url",
        "presign",
        "check",
        "free_bytes",
        "refuse",
        "sign_put",
        "sign_part",
        "sign_form",
        "take",
    }
)
_STREAMS: Final = frozenset(
    {
        "staging.read",
        "staging.listing",
        "objects.read",
        "objects.listing",
        "objects.open_multiparts",
        "objects.parts",
        "objects.waiting",
    }
)


class Watched:
    """A port whose calls are points. What is not a call passes through."""

    def __init__(self, port: str, inner: Any, faults: Faults) -> None:
        self._port, self._inner, self._faults = port, inner, faults

    def __getattr__(self, verb: str) -> Any:
        inner = getattr(self._inner, verb)
        if not callable(inner) or verb in _PURE or verb.startswith("_"):
            return inner
        name = f"{self._port}.{verb}"
        if name in _STREAMS:
            return partial(self._faults.stream, name, inner)
        if name == "staging.writer":
            return partial(self._writer, partial(self._faults.call, name, inner))
        return partial(self._faults.call, name, inner)

    def _writer(self, made: Callable[..., Any], *said: Any, **more: Any) -> "Watched":
        return Watched("writer", made(*said, **more), self._faults)


class WatchedRecords:
    """Transactions: their beginning, and both sides of their commit."""

    def __init__(self, inner: Any, faults: Faults) -> None:
        self._inner, self._faults = inner, faults
        self._engine = inner._engine

    @contextmanager
    def begin(self) -> Iterator[Any]:
        self._faults.strike(self._faults.arrive("records.begin"), BEFORE)
        with self._inner.begin() as rows:
            yield rows
            point = self._faults.arrive("records.commit")
            self._faults.strike(point, BEFORE)
        self._faults.strike(point, AFTER)

    @contextmanager
    def read(self) -> Iterator[Any]:
        point = self._faults.arrive("records.read")
        self._faults.strike(point, BEFORE)
        with self._inner.read() as rows:
            yield rows
        self._faults.strike(point, AFTER)

    def check(self) -> None:
        self._inner.check()

    def close(self) -> None:
        self._inner.close()
