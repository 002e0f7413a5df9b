"""The processes of a drill's stack: who died when, who is back, and further ones beside them."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Final

import psutil

from tests.drills.load import Work
from tests.drills.rig import Rig, embedded_in, environment_of
from tests.support.restless import SECOND
from tests.support.servers import running
from tests.support.stack import ROOT
from tests.support.waiting import eventually
from tools import plan

_BACK_SECONDS: Final = 60.0
FIRST_NODE: Final = "ingest-"
OTHER_NODE: Final = "other-"


@dataclass
class Toll:
    """Kills, and when which process died, in milliseconds of the wall clock, as rows have times."""

    rig: Rig
    kills: int = 0
    died: dict[int, int] = field(default_factory=dict)
    _killers: int = 0
    _dead: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _whole: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_paid(self) -> bool:
        """Whether nobody kills any more: all is done that was asked for, or has failed."""
        with self._lock:
            return self._killers == 0

    def strikes(
        self,
        parts: Sequence[str],
        times: int,
        every: tuple[float, float],
        *,
        children: bool = False,
        first: Callable[[], object] | None = None,
    ) -> Work:
        """Kill one of the parts or a child of it so often, after a pause and after `first`.

        A part is killed while all of them are there: of two, one can take over.
        """
        with self._lock:
            self._killers += 1

        def work(over: threading.Event) -> None:
            drawn = [
                (self.rig.said.uniform(*every), self.rig.said.choice(parts)) for _ in range(times)
            ]
            try:
                for pause, part in drawn:
                    if over.wait(pause):
                        return
                    if first is not None:
                        first()
                    self.strike(part, children=children, beside=parts)
            finally:
                with self._lock:
                    self._killers -= 1

        return work

    def one_by_one(self, parts: Sequence[str], times: int) -> Work:
        """Kill who is at work, so often, each when nobody is dead any more and no job is theirs.

        A child and all of its part by turns.
        """

        def work(over: threading.Event) -> None:
            for number in range(times):
                part, pid = eventually(lambda: self._in_peace(parts), _BACK_SECONDS) or ("", 0)
                if over.is_set():
                    return
                if number % 2:
                    self.strike(part)
                else:
                    self._killed([psutil.Process(pid)])
                    self.kills += 1

        return work

    def _in_peace(self, parts: Sequence[str]) -> tuple[str, int] | None:
        """Return who is at work, part and process, when all are back and no dead one has a job."""
        at_work = working(self.rig)
        is_over = self._all_back(parts) and not any(pid in self.died for _, pid in at_work)
        return self.rig.said.choice(at_work) if is_over and at_work else None

    def strike(self, part: str, *, children: bool = False, beside: Sequence[str] = ()) -> None:
        if children:
            eventually(lambda: self._killed(self._a_child(part)), _BACK_SECONDS)
        else:
            with self._whole:  # no two find all of them there, and kill one each
                eventually(lambda: self._all_back(beside), _BACK_SECONDS)
                eventually(lambda: self._killed(self._all(part)), _BACK_SECONDS)
                self._dead[part] = self._dead.get(part, 0) + 1
        with self._lock:
            self.kills += 1

    def _all_back(self, parts: Sequence[str]) -> bool:
        return all(starts(self.rig, each) > self._dead.get(each, 0) for each in parts)

    def _killed(self, victims: list[psutil.Process]) -> bool:
        for victim in victims:
            self.died[victim.pid] = now()
            with suppress(psutil.Error):
                victim.kill()
        return bool(victims)

    def _all(self, part: str) -> list[psutil.Process]:
        leader = found(self.rig, part)
        try:
            return [] if leader is None else [leader, *leader.children(recursive=True)]
        except psutil.Error:  # it died by itself
            return []

    def _a_child(self, part: str) -> list[psutil.Process]:
        """Return one of a part that is up: one whose children die at its start ends itself."""
        leader = found(self.rig, part) if part in self.rig.stack.up else None
        try:
            return [] if leader is None else [self.rig.said.choice(leader.children())]
        except (IndexError, psutil.Error):  # there is none now
            return []


def working(rig: Rig) -> list[tuple[str, int]]:
    """Return the part and the process of each claim that is held; workers have to sign them."""
    held = rig.checker.rows("SELECT worker FROM jobs WHERE state = 'running'")
    signed = [row["worker"].partition("/")[0].rpartition(":") for row in held]
    return [(SECOND if OTHER_NODE in node else "worker", int(pid)) for node, _, pid in signed]


def keeping_up(rig: Rig, most: int = 4) -> Callable[[], bool]:
    """Say whether so few jobs are open that more may be sent: nobody waits behind a long queue."""
    return lambda: rig.checker.open_jobs() <= most


def now() -> int:
    return int(time.time() * 1000)


def starts(rig: Rig, part: str) -> int:
    """Return how often the supervisor has found the part ready."""
    return rig.stack.starts[part]


def wait_until_back(rig: Rig, part: str, before: int) -> None:
    """Return when the part, which had been ready `before` times, is so again."""
    late = f"{part} is not back"
    eventually(lambda: starts(rig, part) > before, _BACK_SECONDS, says=late)


def told_to_stop(rig: Rig, part: str) -> float:
    """Tell a part to stop, as a roll-out does; return after how many seconds all of it was gone."""
    process = eventually(lambda: found(rig, part), _BACK_SECONDS)
    assert process is not None
    family = [process, *process.children(recursive=True)]
    began = time.monotonic()
    process.terminate()
    _, alive = psutil.wait_procs(family, timeout=_BACK_SECONDS)
    took = time.monotonic() - began
    assert alive == [], f"{part} does not stop"
    return took


def found(rig: Rig, part: str) -> psutil.Process | None:
    try:
        return rig.stack.process(part)
    except (AssertionError, psutil.Error):
        return None


@contextmanager
def another_worker(rig: Rig) -> Iterator[psutil.Process]:
    """Run a second worker beside the stack's own: who dies has somebody to take over."""
    embedded = embedded_in(rig.stack)
    part = plan._worker(embedded, "other", OTHER_NODE.rstrip("-"), "ingest")
    part = replace(part, environment=environment_of(rig.stack, embedded))
    with running(part, ROOT, ends_by=signal.SIGKILL) as process:
        worker = psutil.Process(process.pid)
        try:
            yield worker
        finally:
            send(worker, signal.SIGCONT)


def send(leader: psutil.Process, number: signal.Signals) -> None:
    """Send a signal to a process and all of its group, at once."""
    with suppress(ProcessLookupError):
        os.killpg(leader.pid, number)
