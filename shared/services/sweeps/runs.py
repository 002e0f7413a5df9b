"""What all sweeps share: their name and rhythm, what they may reach, and the bounds of one run."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from shared.model import naming
from shared.model.webhook import LEASE
from shared.ports import Board, Clock, Dispatcher, ObjectStore, Staging
from shared.records import Records
from shared.services.direct import DirectService
from shared.services.events import Events
from shared.services.files import FileService

log = logging.getLogger(__name__)

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class SweepRules:
    """How old a thing must be, and how much one run may do. Files of the gateway may stay for ever.

    `grace` is the least age of an orphan, and the least time between its two sightings. A run ends
    after `cap` removals and after `budget`; it looks at `listed` keys of the bucket, and asks the
    store for the owner of `looks` of them. More orphaned objects than `alarm` are left alone: that
    many are a lost database, or a bucket that two services share.

    An open upload waits `lifetime` for its next bytes. What clients send straight to the store waits
    below `staging_prefix`, if they can.

    For the auditor, due work that nobody was told of for `stuck` is forgotten, who holds some and lives
    shows it within a `lease`, and a run reads about `reread_bytes` again.
    """

    grace: timedelta
    failed_uploads: timedelta
    deleted_files: timedelta
    job_records: timedelta
    lifetime: timedelta
    cap: int
    gateway_files: timedelta | None = None
    budget: timedelta = timedelta(minutes=2)
    listed: int = 50_000
    looks: int = 5_000
    alarm: int = 1_000
    stuck: timedelta = timedelta(minutes=5)
    lease: timedelta = LEASE
    reread_bytes: int = 10 * 1024**3
    staging_prefix: str | None = None
    high_water: str = naming.high_water(".staging/")  # a key of the bucket


@dataclass(frozen=True, slots=True)
class Sweeper:
    """What a sweep may reach, and the rules it keeps."""

    records: Records
    staging: Staging
    objects: ObjectStore
    board: Board
    dispatcher: Dispatcher
    events: Events
    files: FileService
    direct: DirectService
    clock: Clock
    rules: SweepRules

    def latest(self, now: datetime) -> datetime:
        """Return when a thing must have been touched last to be old enough.

        `now` is the database's; of two clocks the slower decides, so that one that jumps ahead
        makes nothing old.
        """
        return min(now, self.clock.now()) - self.rules.grace

    def apart(self, now: datetime) -> timedelta:
        """Return how long ago a first sighting must be, by the database's clock and by ours."""
        return now - self.latest(now)

    def seen_twice(self, kind: str, names: Sequence[str], *, dry_run: bool) -> set[str]:
        """Return those that were seen a grace ago, too. That they were seen now a dry run does not note."""
        if dry_run:
            with self.records.read() as rows:
                return set(rows.leases.seen(kind, names, self.apart(rows.now())))
        with self.records.begin() as rows:
            return set(rows.leases.sighted(kind, names, self.apart(rows.now())))

    def is_past(self, moment: datetime | None, age: timedelta = timedelta()) -> bool:
        """Say of what is over by the database's clock whether `moment` + `age` is so by ours too.

        A database whose clock jumps ahead would else end uploads and files before their time.
        """
        return moment is not None and moment + age <= self.clock.now()


@dataclass(slots=True)
class Run:
    """One run: its bounds, and what it has done so far.

    `ends` is when its time is up, by `time.monotonic`, and so it is once `is_stopping` says that its
    process is to end; `last` is the result of the run before; `facts` are what only this sweep has to
    say.
    """

    sweep: str
    cap: int
    ends: float
    is_stopping: Callable[[], bool] = lambda: False
    dry_run: bool = False
    last: Mapping[str, Any] = field(default_factory=dict)
    seen: int = 0
    removed: int = 0
    bytes: int = 0
    failed: int = 0
    capped: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def room(self) -> int:
        """How many more things this run may remove; what failed counts, it has cost time."""
        return max(0, self.cap - self.removed - self.failed)

    @property
    def is_late(self) -> bool:
        """Whether its time is up."""
        return time.monotonic() > self.ends or self.is_stopping()

    @property
    def is_over(self) -> bool:
        """Whether it has removed or taken as much as it may."""
        return not self.room or self.is_late

    def through(self, things: Iterable[Thing]) -> Iterator[Thing]:
        """Yield things, counted as seen, until the run has done or taken as much as it may."""
        for thing in things:
            if self.is_over:
                self.capped = True
                return
            self.seen += 1
            yield thing

    @contextmanager
    def item(self, ident: str) -> Iterator[None]:
        """Do one thing; that it fails is counted and logged, and the run goes on."""
        try:
            yield
        except Exception:
            self.failed += 1
            log.exception("sweep_item_failed", extra={"sweep": self.sweep, "item": ident})

    def count(self, size: int = 0, *, things: int = 1) -> None:
        self.removed += things
        self.bytes += size

    def note(self, fact: str, more: int = 1) -> None:
        """Count something that only this sweep knows."""
        self.facts[fact] = self.facts.get(fact, 0) + more


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep: its name (part of the API), how often it runs, and what it removes.

    `budget` is how long it may take where the rules' is too short for it.
    """

    name: str
    every: timedelta
    sweep: Callable[[Sweeper, Run], None]
    removes: str
    budget: timedelta | None = None
