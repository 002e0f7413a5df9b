"""Whether the parts answer: each is asked at the same time, and all together two seconds at most.

One thread at a time asks a part, and all who want to know meanwhile, and in the second after, share
what it hears: however often a frozen part is asked for, it holds one thread.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from shared.errors import AppError, Unavailable
from shared.ports import Board, ObjectStore, Staging
from shared.records import Records

_SECONDS: Final = 2.0
_FRESH_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Health:
    records: Records
    staging: Staging
    objects: ObjectStore
    board: Board
    floor: int
    _parts: dict[str, "_Part"] = field(init=False)

    def __post_init__(self) -> None:
        checks: dict[str, Callable[[], None]] = {
            "database": self.records.check,
            "redis": self.board.check,
            "s3": self.objects.check,
            "staging": self._room,
            "worker": self._worker,
        }
        parts = {name: _Part(name, check) for name, check in checks.items()}
        object.__setattr__(self, "_parts", parts)

    def checks(self) -> dict[str, str | None]:
        """Return for each part why it is not well, or None."""
        asked = {name: part.asked() for name, part in self._parts.items()}
        return {name: each.said() for name, each in asked.items()}

    def why_not(self, name: str) -> str | None:
        """Return why this one part is not well, or None."""
        return self._parts[name].asked().said()

    def _room(self) -> None:
        if self.staging.free_bytes() < self.floor:
            raise Unavailable("staging", "Less space is free than is to be kept.")

    def _worker(self) -> None:
        if not any(name.startswith("ingest") for name in self.board.workers()):
            raise Unavailable("board", "No worker has been heard of lately.")


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question to a part: nobody waits for it past `ends_at`."""

    answer: Future[str | None]
    ends_at: float

    def said(self) -> str | None:
        # Each has its own end: one that hangs already takes none of the others' time.
        wait([self.answer], max(0.0, self.ends_at - monotonic()))
        return self.answer.result() if self.answer.done() else f"no answer in {_SECONDS:.0f} s"


class _Part:
    """A part that is asked by one thread at a time."""

    def __init__(self, name: str, check: Callable[[], None]) -> None:
        self._name = name
        self._check = check
        self._lock = threading.Lock()
        self._asked: _Asked | None = None
        self._fresh_until = 0.0

    def asked(self) -> _Asked:
        """Return the question that is being asked, or was a moment ago, else a new one."""
        with self._lock:
            asked = self._asked
            if asked is None or (asked.answer.done() and monotonic() >= self._fresh_until):
                asked = self._asked = _Asked(Future(), monotonic() + _SECONDS)
                # A daemon: a part that never answers must not keep the process from ending.
                name = f"ask-{self._name}"
                threading.Thread(target=self._ask, args=(asked,), name=name, daemon=True).start()
            return asked

    def _ask(self, asked: _Asked) -> None:
        said: str | None = "the check itself failed; see the log"
        try:
            said = self._why()
        finally:
            self._fresh_until = monotonic() + _FRESH_SECONDS
            asked.answer.set_result(said)

    def _why(self) -> str | None:
        try:
            self._check()
        except AppError as error:
            return str(error)
        return None
