"""Every call through a port has a name and two sides; at one of them a cell puts its fault.

A point is named by operation, port, verb, and which call of that verb in the operation it is:
`put-1:writer.keep#1`. The product has no switch for any of this: it only knows ports.
"""

import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import Interrupted, OutcomeUnknown, StorageFull, Unavailable
from shared.ports import Answer

KILLED: Final = 137
BEFORE: Final = "before"
AFTER: Final = "after"
ONCE: Final = "once"
ON: Final = "on"  # this call, from then on until the recovery
DOWN: Final = "down"  # the whole part

# What can go wrong at a port, in the port's own words; `zombie` and `robbed` are in `stories`.
_DEATHS: Final = ("exit", "power")
_OTHERS: Final = ("zombie", "robbed")
ACTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "client": ("exit", "away", "dup"),
    "worker": ("exit", "away", "dup"),
    "records": (*_DEATHS, "away", "bug", *_OTHERS),
    "staging": (*_DEATHS, "away", "full", "bug", "dup", *_OTHERS),
    "writer": (*_DEATHS, "away", "full", "bug", *_OTHERS),
    "objects": ("exit", "away", "bug", "dup", *_OTHERS),
    "board": ("exit", "deaf", "bug", "dup", *_OTHERS),
    "dispatcher": ("exit", "deaf", "bug", "dup", *_OTHERS),
    "notifier": ("exit", "deaf", "bug", "dup", *_OTHERS),
    "decoder": ("exit", "away", "killed", "bug", *_OTHERS),
}
_ONE_MODE: Final = frozenset({"exit", "power", "zombie", "robbed"})
_OUTAGES: Final = frozenset({"away", "deaf", "full"})
_NEVER_TWICE: Final = frozenset({"staging.writer", "staging.read", "staging.listing"})
_SILENCE: Final[Mapping[str, object]] = {
    "dispatcher.process": False,
    "dispatcher.deliver": False,
    "notifier.send": Answer(None, "timeout", None),
}


@dataclass(frozen=True)
class Cell:
    """One fault at one point, by a name that replays it."""

    kind: str
    point: str
    side: str
    action: str
    mode: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.point}/{self.side}/{self.action}/{self.mode}"


def cell_named(name: str) -> Cell:
    return Cell(*name.split("/"))


def cells_of(kind: str, sides: Iterable[tuple[str, str]]) -> Iterator[Cell]:
    """Yield everything that can go wrong at these sides of points."""
    for point, side in sides:
        verb = verb_of(point)
        for action in ACTIONS[verb.partition(".")[0]]:
            if _is_possible(point, verb, side, action):
                for mode in _modes(verb, action):
                    yield Cell(kind, point, side, action, mode)


def _modes(verb: str, action: str) -> tuple[str, ...]:
    if action in _ONE_MODE:
        return (ONCE,)
    is_part = action in _OUTAGES and verb.partition(".")[0] not in {"client", "worker", "decoder"}
    return (ONCE, ON, DOWN) if is_part else (ONCE, ON)


def _is_possible(point: str, verb: str, side: str, action: str) -> bool:
    match action:
        case "dup":
            return side == AFTER and verb not in _NEVER_TWICE
        case "deaf":
            return side == BEFORE
        case "zombie":
            # Whoever sleeps in a transaction holds SQLite's lock, and nobody else can go on.
            return (verb, side) != ("records.commit", BEFORE)
        case "robbed":
            return (verb, side) != ("records.commit", BEFORE) and point.startswith("work")
        case _:
            return True


def verb_of(point: str) -> str:
    found = re.fullmatch(r".+?:(.+)#\d+", point)
    assert found is not None, point
    return found[1]


class Faults:
    """Counts what passes, and strikes where its cell says; `deeds` are what a drill does there."""

    def __init__(
        self, cell: Cell | None = None, deeds: Mapping[str, Callable[[], object]] | None = None
    ) -> None:
        self.cell = cell
        self.deeds = dict(deeds or {})
        self.struck = False
        self.sides: list[tuple[str, str]] = []
        self._operation = "-"
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    def begin(self, operation: str) -> None:
        """Say what is being done from here on: calls are counted anew."""
        self._operation = operation
        self._calls.clear()

    def arrive(self, verb: str) -> str:
        with self._lock:
            self._calls[verb] += 1
            return f"{self._operation}:{verb}#{self._calls[verb]}"

    def call(self, verb: str, inner: Callable[..., Any], *said: Any, **more: Any) -> Any:
        point = self.arrive(verb)
        if self.strike(point, BEFORE) == "deaf":
            return _SILENCE.get(verb)
        result = inner(*said, **more)
        if self.strike(point, AFTER) == "dup":
            result = inner(*said, **more)
        return result

    def stream(
        self, verb: str, inner: Callable[..., Any], *said: Any, **more: Any
    ) -> Iterator[Any]:
        """Ask at once, as ports do: some say no before there is anything to read."""
        point = self.arrive(verb)
        self.strike(point, BEFORE)
        return self._through(point, inner(*said, **more))

    def _through(self, point: str, items: Iterator[Any]) -> Iterator[Any]:
        yield from items
        self.strike(point, AFTER)

    def strike(self, point: str, side: str) -> str | None:
        """Do what the cell wants done here, if it is here; return the action that the caller does."""
        cell = self.cell
        self.sides.append((point, side))
        if cell is None or side != cell.side:
            return None
        again = self.struck and _goes_on(cell, point)
        if not again and (self.struck or point != cell.point):
            return None
        first, self.struck = not self.struck, True
        if first and "struck" in self.deeds:
            self.deeds["struck"]()
        if cell.action == "exit":
            os._exit(KILLED)
        if cell.action in self.deeds:
            self.deeds[cell.action]()
        error = _error(cell.action, verb_of(point))
        if error is not None:
            raise error
        return cell.action


def _goes_on(cell: Cell, point: str) -> bool:
    now, first = verb_of(point), verb_of(cell.point)
    if cell.mode == DOWN:
        return now.partition(".")[0] == first.partition(".")[0]
    return cell.mode == ON and now == first


def _error(action: str, verb: str) -> Exception | None:
    port = verb.partition(".")[0]
    match action:
        case "away" if verb == "records.commit":
            return OutcomeUnknown("records", "Drilled: no answer to a commit.")
        case "away":
            return Unavailable("staging" if port == "writer" else port, "Drilled: no answer.")
        case "full":
            return StorageFull("Drilled: no room.")
        case "killed":
            return Interrupted("decoder", "Drilled: killed.")
        case "bug":
            return RuntimeError("Drilled: nobody expected this.")
        case _:
            return None
