"""Runs one sweep by name, under its lease, and keeps what it last did for operators to read.

The lease is a matter of thrift: every sweep may run twice at once and do no harm. When a sweep is due
the rows say, by the database's clock: whoever calls may forget, restart, or have a clock of its own.
A service is in each sweep once at most: one that hangs outlives its lease, and takes no second thread.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from uuid_utils.compat import uuid7

from shared.errors import AppError, NotFound
from shared.model.caller import Caller, Scope
from shared.records import Transaction
from shared.services.sweeps import SWEEPS
from shared.services.sweeps.high_water import settle as settle_older
from shared.services.sweeps.replacements import settle
from shared.services.sweeps.runs import Run, Sweep, Sweeper

log = logging.getLogger(__name__)

ASKED_EVERY: Final = timedelta(minutes=1)  # how often beat asks for each sweep
_MOST: Final = 10_000  # rows of one query; neither database takes an unlimited list of names
_STOPPED: Final = "stopped"
# Keys of objects and other tenants' ids are no business of a tenant's admin.
_ONLY_OURS: Final = frozenset({"cursor", "report"})


class Turns:
    """Since when this process is in which sweep."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: dict[str, float] = {}  # of time.monotonic()

    @contextmanager
    def taken(self, name: str) -> Iterator[float | None]:
        """Take the sweep for the block, or yield for how many seconds it has been taken."""
        began = time.monotonic()
        with self._lock:
            since = self._since.get(name)
            if since is None:
                self._since[name] = began
        if since is not None:
            yield began - since
            return
        try:
            yield None
        finally:
            del self._since[name]


@dataclass(frozen=True, slots=True)
class SweepService:
    sweeper: Sweeper
    sweeps: Sequence[Sweep] = SWEEPS
    turns: Turns = field(default_factory=Turns)

    def run(self, name: str, *, dry_run: bool = False) -> dict[str, Any]:
        """Run a sweep and return its result, with `error` when a part did not answer.

        Says `skipped` when it is running, here or elsewhere. A dry run changes nothing, takes no lease, and
        is not kept. Raises `NotFound` for a name that no sweep has.
        """
        sweep = self._named(name)
        if dry_run:
            return self._sweep(sweep, self._run(sweep, {}, dry_run=True))
        return self._kept(sweep)

    def run_if_due(
        self, name: str, *, is_stopping: Callable[[], bool] = lambda: False
    ) -> dict[str, Any]:
        """Run a sweep as `run` does, unless it ended less than its interval ago: then `skipped`.

        It ends, capped, when the process `is_stopping`, and is due again at once.
        """
        sweep = self._named(name)
        with self.sweeper.records.read() as rows:
            now, last = rows.now(), _last(rows, sweep)
        was_stopped = (last.get("result") or {}).get(_STOPPED, False)
        if was_stopped or _is_due(sweep, last.get("finished_at"), now):
            return self._kept(sweep, is_stopping)
        return {"skipped": "not due"}

    def settle(self, upload_id: str) -> None:
        """End a claim that the sweep `replacements` counts as strange, as `settle` there says."""
        settle(self.sweeper, upload_id)

    def settle_older_database(self) -> None:
        """Go on with a database that the sweep `high-water` found older, as `settle` there says."""
        settle_older(self.sweeper)

    def _kept(
        self, sweep: Sweep, is_stopping: Callable[[], bool] = lambda: False
    ) -> dict[str, Any]:
        with self.turns.taken(sweep.name) as seconds:
            if seconds is None:
                return self._leased(sweep, is_stopping)
        if seconds > self._longest(sweep).total_seconds():
            log.warning("sweep_hung", extra={"sweep": sweep.name, "seconds": round(seconds)})
        return {"skipped": "running here"}

    def _leased(self, sweep: Sweep, is_stopping: Callable[[], bool]) -> dict[str, Any]:
        lease, holder = _lease(sweep), str(uuid7())
        with self.sweeper.records.begin() as rows:
            if not rows.leases.take(lease, holder, self._longest(sweep)):
                return {"skipped": "running elsewhere"}
            last = _last(rows, sweep)
        result: dict[str, Any] = {"error": {"code": "internal_error", "detail": "See the log."}}
        try:
            run = self._run(sweep, last.get("result") or {})
            run.is_stopping = is_stopping
            result = self._sweep(sweep, run)
            if run.capped and is_stopping():
                result[_STOPPED] = True
        finally:
            with self.sweeper.records.begin() as rows:
                rows.leases.leave(lease, holder, result)
        return result

    def results(self, caller: Caller) -> list[dict[str, Any]]:
        """Return each sweep with when it last ran and what it did; wants the admin scope."""
        caller.require(Scope.ADMIN)
        with self.sweeper.records.read() as rows:
            leases = {each["name"]: each for each in rows.leases.results()}
        return [_described(sweep, leases.get(_lease(sweep), {})) for sweep in self.sweeps]

    def _named(self, name: str) -> Sweep:
        for sweep in self.sweeps:
            if sweep.name == name:
                return sweep
        raise NotFound("sweep", known=[sweep.name for sweep in self.sweeps])

    def _budget(self, sweep: Sweep) -> timedelta:
        return sweep.budget or self.sweeper.rules.budget

    def _longest(self, sweep: Sweep) -> timedelta:
        return 2 * self._budget(sweep)

    def _run(self, sweep: Sweep, last: Mapping[str, Any], *, dry_run: bool = False) -> Run:
        return Run(
            sweep=sweep.name,
            cap=min(self.sweeper.rules.cap, _MOST),
            ends=time.monotonic() + self._budget(sweep).total_seconds(),
            dry_run=dry_run,
            last=last,
        )

    def _sweep(self, sweep: Sweep, run: Run) -> dict[str, Any]:
        began = time.monotonic()
        error: dict[str, Any] = {}
        try:
            sweep.sweep(self.sweeper, run)
        except AppError as problem:
            log.exception("sweep_failed", extra={"sweep": sweep.name, "code": problem.code})
            error = {"error": {"code": problem.code, "detail": str(problem)}}
        result = {
            "seen": run.seen,
            "removed": run.removed,
            "bytes": run.bytes,
            "failed": run.failed,
            "capped": run.capped,
            "dry_run": run.dry_run,
            "took_ms": round((time.monotonic() - began) * 1000),
            **run.facts,
            **error,
        }
        log.info("sweep_finished", extra={"sweep": sweep.name, **_public(result)})
        return result


def _is_due(sweep: Sweep, finished_at: datetime | None, now: datetime) -> bool:
    """Also when it ended in the future: a clock that was ahead is right again."""
    if finished_at is None:
        return True
    # Who asks in steps, and of what took a moment, would else find it due one step late.
    return not timedelta() <= now - finished_at < sweep.every - ASKED_EVERY / 2


def _last(rows: Transaction, sweep: Sweep) -> Mapping[str, Any]:
    return rows.leases.find(_lease(sweep)) or {}


def _lease(sweep: Sweep) -> str:
    return f"sweep:{sweep.name}"


def _described(sweep: Sweep, lease: Mapping[str, Any]) -> dict[str, Any]:
    result = lease.get("result")
    return {
        "name": sweep.name,
        "interval_seconds": int(sweep.every.total_seconds()),
        "removes": sweep.removes,
        "started_at": lease.get("started_at"),
        "finished_at": lease.get("finished_at"),
        "result": None if result is None else _public(result),
    }


def _public(result: Mapping[str, Any]) -> dict[str, Any]:
    return {fact: value for fact, value in result.items() if fact not in _ONLY_OURS}
