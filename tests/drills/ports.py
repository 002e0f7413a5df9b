"""Services on other ports: what stands between the real services and their real adapters.

`rewired` puts a service set on stand-ins, wherever in it a port is held; the stand-ins below are the
parts that a drill has in memory: they die with their process, as Redis does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar, cast

from sqlalchemy import text

from shared.model.job import JobStatus, Shown
from shared.ports import Answer
from tests.support.factory import Factory
from tests.support.workshop import RecordingDispatcher

Thing = TypeVar("Thing")

_OURS: Final = ("shared.", "tests.")
DELIVERED: Final = Answer(200, None, None)


def rewired(thing: Thing, swaps: Mapping[int, object]) -> Thing:
    """Return `thing` with each part whose id is in `swaps` replaced, at any depth."""
    return cast("Thing", _Rewiring(dict(swaps)).of(thing))


class _Rewiring:
    """Remembers what it made, so that what was shared before is shared again."""

    def __init__(self, made: dict[int, object]) -> None:
        self._made = made
        self._held: list[object] = []  # an id is only good while its thing lives

    def of(self, thing: Any) -> Any:
        if id(thing) in self._made:
            return self._made[id(thing)]
        if not is_dataclass(thing) or isinstance(thing, type):
            return thing
        if not type(thing).__module__.startswith(_OURS):
            return thing
        parts = {each.name: getattr(thing, each.name) for each in fields(thing) if each.init}
        others = {name: self.of(part) for name, part in parts.items()}
        changed = {name: part for name, part in others.items() if part is not parts[name]}
        self._held.append(thing)
        self._made[id(thing)] = replace(thing, **changed) if changed else thing
        return self._made[id(thing)]


@dataclass
class Board:
    """A board in memory, as new as the newest it was told."""

    shown: dict[str, JobStatus] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)

    def put(self, status: JobStatus) -> None:
        before = self.shown.get(status.job.id)
        if status.job.id in self.forgotten:
            return
        if before is None or before.job.version < status.job.version:
            self.shown[status.job.id] = status

    def find(self, job_ids: Sequence[str]) -> dict[str, Shown]:
        known = {each: self.shown[each] for each in job_ids if each in self.shown}
        return {each: Shown(status, timedelta()) for each, status in known.items()}

    def forget(self, job_ids: Sequence[str]) -> None:
        for each in job_ids:
            self.shown.pop(each, None)
            self.forgotten.add(each)

    def beat(self, worker: str) -> None: ...

    def workers(self) -> list[str]:
        return []

    def check(self) -> None: ...

    def lose(self) -> None:
        """Forget everything, as Redis may at any time."""
        self.shown.clear()
        self.forgotten.clear()


@dataclass
class Receiver:
    """A receiver of webhooks; `heard` are the ids of the events, in order."""

    heard: list[str] = field(default_factory=list)
    answer: Answer = DELIVERED

    def refuse(self, url: str) -> str | None:
        del url
        return None

    def send(self, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        del url, body
        self.heard.append(headers["webhook-id"])
        return self.answer


@dataclass
class Hurry:
    """A clock that is ahead by all it was to wait; who waited again and again is told to stop."""

    waits: int = 0
    waited_seconds: float = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251  # a clock

    def monotonic(self) -> float:
        return self.waited_seconds

    def wait(self, seconds: float) -> None:
        self.waits += 1
        self.waited_seconds += seconds

    def is_patience_over(self) -> bool:
        return self.waits > _MOST_WAITS


_MOST_WAITS: Final = 2


@dataclass
class Redis:
    """All that a drill keeps in memory, to be lost at once."""

    board: Board = field(default_factory=Board)
    bell: RecordingDispatcher = field(default_factory=RecordingDispatcher)

    def lose(self) -> None:
        self.board.lose()
        self.bell.processed.clear()
        self.bell.delivered.clear()


def ports_of(factory: Factory) -> dict[str, object]:
    """Return the ports that the services of a factory stand on, by name."""
    services = factory.services
    return {
        "records": factory.records,
        "staging": factory.staging,
        "objects": factory.objects,
        "board": factory.board,
        "dispatcher": factory.bell,
        "notifier": services.deliveries.notifier,
        "clock": services.clock,
    }


def on_ports(factory: Factory, stands_in: Mapping[str, object]) -> Factory:
    """Return the factory on stand-ins for some of its ports."""
    swaps = {id(port): stands_in.get(name, port) for name, port in ports_of(factory).items()}
    return rewired(factory, swaps)


def let_time_pass(factory: Factory) -> None:
    """Let all that waits be due, and all leases run out."""
    with factory.records._engine.begin() as connection:
        for table, column in _TIMES:
            sooner = f"UPDATE {table} SET {column} = {column} - {_TWO_DAYS}"  # noqa: S608  # names from here
            connection.execute(text(sooner))


def take_for_dead(factory: Factory) -> None:
    """Say of all workers that they are dead, as a reconciler would."""
    with factory.records._engine.begin() as connection:
        connection.execute(text("UPDATE jobs SET lease_until = 0 WHERE state = 'running'"))


def let_expire(factory: Factory, *, but: str | None) -> None:
    """Let the time of all open uploads be over, but of this one."""
    over = "UPDATE uploads SET expires_at = 0 WHERE state = 'receiving' AND id != :but"
    with factory.records._engine.begin() as connection:
        connection.execute(text(over), {"but": but or ""})


def limit_room(factory: Factory, *, to: int) -> None:
    """Let every tenant have this many bytes, whatever it has begun to send."""
    with factory.records._engine.begin() as connection:
        connection.execute(text("UPDATE quotas SET limit_bytes = :most"), {"most": to})


_TWO_DAYS: Final = 2 * 24 * 3600 * 1000  # in ms, as the database counts
_TIMES: Final = (
    ("jobs", "due_at"),
    ("jobs", "lease_until"),
    ("deliveries", "due_at"),
    ("deliveries", "lease_until"),
    ("leases", "lease_until"),
    ("direct", "links_until"),
)
