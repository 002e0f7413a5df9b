"""The parts at work: started in order, each made ready, kept alive, stopped in reverse order.

One thread starts, watches and stops; others only relay output.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.part import Part, Stage
from tools.running import Guard, Running, how_it_ended
from tools.voice import Voice

TICK_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Patience:
    """How often, and after which pauses, a part that dies is started again."""

    pauses_seconds: tuple[float, ...] = (1, 2, 4, 8, 16)
    forgiven_after_seconds: float = 60.0


PATIENCE: Final = Patience()


@dataclass(slots=True)
class Member:
    """A part and how it is doing."""

    part: Part
    running: Running | None = None
    ready: bool = False
    deaths: int = 0
    due: float = 0.0


class Broken(Exception):
    """A part that cannot be kept running; `lines` are the last it said."""

    def __init__(self, message: str, lines: Sequence[str]) -> None:
        super().__init__(message)
        self.lines = lines


class StopRequested(Exception):
    """Somebody wants the end before all was ready."""


class Crew:
    """Runs stages of parts until `stop` is set; `hurry` turns stopping into killing."""

    def __init__(
        self,
        environment: Mapping[str, str],
        folder: Path,
        *,
        voice: Voice,
        guard: Guard,
        stop: threading.Event,
        hurry: threading.Event,
        patience: Patience = PATIENCE,
    ) -> None:
        self._environment = environment
        self._folder = folder
        self._voice = voice
        self._guard = guard
        self._stop = stop
        self._hurry = hurry
        self._patience = patience
        self._stages: list[list[Member]] = []

    def start(self, stages: Sequence[Stage]) -> None:
        """Return when every part is ready; raises `Broken`, or `StopRequested`."""
        for stage in stages:
            members = [Member(part) for part in stage]
            self._stages.append(members)
            for member in members:
                self._spawn(member)
            self._wait_for(members)

    def watch(self) -> None:
        """Start again what dies, until `stop` is set; raises `Broken`."""
        while not self._stop.wait(TICK_SECONDS):
            self._tend()
            for member in self._members():
                self._ask_whether_ready(member)

    def stop(self) -> None:
        """Stop every part, the last stage first; return when all are gone."""
        while self._stages:
            self._stop_all(self._stages.pop()[::-1])

    def _members(self) -> list[Member]:
        return [member for stage in self._stages for member in stage]

    def _spawn(self, member: Member) -> None:
        part = member.part
        if part.folder:
            part.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if part.discards:
            part.discards.unlink(missing_ok=True)
        member.running = Running(part, self._environment, self._folder, self._voice, self._guard)

    def _wait_for(self, members: Sequence[Member]) -> None:
        began = time.monotonic()
        while not all(member.ready for member in members):
            if self._stop.wait(TICK_SECONDS / 2):
                raise StopRequested
            self._tend()
            for member in members:
                self._ask_whether_ready(member)
                limit = member.part.ready_within_seconds
                if not member.ready and time.monotonic() - began > limit:
                    raise Broken(
                        f"{member.part.name} was not ready within {limit:.0f} s", _lines(member)
                    )

    def _ask_whether_ready(self, member: Member) -> None:
        part, running = member.part, member.running
        if member.ready or running is None:
            return
        code = running.exit_code()
        if part.once:
            if code is None:
                return
            self._accept(part, running, code)
            member.running, member.ready = None, True
        elif code is None:
            member.ready = part.ready() if part.ready else running.age() > part.settles_seconds
            if member.ready:
                self._voice.say(f"{part.name} ready after {running.age():.1f} s")

    def _accept(self, part: Part, running: Running, code: int) -> None:
        """Take the end of a command that runs once; only an optional one may fail."""
        took = running.age()
        lines = running.bury()
        if code == 0:
            self._voice.say(f"{part.name} done after {took:.1f} s")
        elif part.optional:
            self._voice.say(f"{part.name} failed ({how_it_ended(code)}); going on without")
        else:
            raise Broken(f"{part.name} failed ({how_it_ended(code)})", lines)

    def _tend(self) -> None:
        for member in self._members():
            if member.part.once:
                continue
            if member.running is None:
                if time.monotonic() >= member.due:
                    self._spawn(member)
                continue
            code = member.running.exit_code()
            if code is not None:
                self._mourn(member, member.running, code)

    def _mourn(self, member: Member, dead: Running, code: int) -> None:
        """Plan the next start of a part that died, unless it keeps dying."""
        name, pauses = member.part.name, self._patience.pauses_seconds
        lived = dead.age()
        lines = dead.bury()
        member.deaths = 1 if lived > self._patience.forgiven_after_seconds else member.deaths + 1
        member.running, member.ready = None, False
        if member.deaths > len(pauses):
            raise Broken(
                f"{name} keeps dying ({member.deaths} times, now {how_it_ended(code)})", lines
            )
        pause = pauses[member.deaths - 1]
        member.due = time.monotonic() + pause
        self._voice.say(f"{name} died ({how_it_ended(code)}); starting it again in {pause:g} s")

    def _stop_all(self, members: Sequence[Member]) -> None:
        began = time.monotonic()
        alive = [
            (m.part, m.running) for m in members if m.running and m.running.exit_code() is None
        ]
        for part, running in alive:
            self._voice.say(f"stopping {part.name}")
            running.terminate()
        for part, running in alive:
            while running.exit_code() is None:
                late = time.monotonic() - began > part.stops_within_seconds
                if late or self._hurry.is_set():
                    self._voice.say(f"killing {part.name}" + (", it did not stop" if late else ""))
                    running.kill()
                    break
                self._hurry.wait(TICK_SECONDS / 2)
        for member in members:
            if member.running:
                member.running.bury()


def _lines(member: Member) -> Sequence[str]:
    return member.running.last_lines() if member.running else ()
