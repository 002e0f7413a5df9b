"""Weather that hurts four requests of ten, in all the ways that stores are known to.

`weather.brings(Storm(seed, STORM), times=None)`; drawn from the seed, one draw for each request.
"""

import random
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.adapters.client_s3 import S3Place
from tests.support import weather
from tests.support.damage import silently
from tests.support.weather import Answer, Call, Choice, Fault


@dataclass(frozen=True)
class Trouble:
    """What becomes of this share of the requests, of those that `to` picks."""

    name: str
    share: float
    fault: Fault
    to: Choice = weather.everything


class Storm:
    """A fault that draws its faults; `hurt` counts them, `calls` is how many requests came by."""

    def __init__(self, seed: int, troubles: Sequence[Trouble]) -> None:
        self.calls = 0
        self.hurt: Counter[str] = Counter()
        self.is_dark = False
        self._troubles = tuple(troubles)
        self._said = random.Random(seed)  # noqa: S311  # replayed from it
        self._lock = threading.Lock()

    def __call__(self, call: Call) -> Answer | None:
        trouble = self._drawn(call)
        return call.forward() if trouble is None else trouble.fault(call)

    def clears(self) -> None:
        """Let everything pass from now on; calls are counted anew."""
        with self._lock:
            self._troubles, self.is_dark, self.calls = (), False, 0

    def comes(self, troubles: Sequence[Trouble]) -> None:
        """Hurt requests from now on; calls and hurts are counted anew."""
        with self._lock:
            self._troubles, self.calls = tuple(troubles), 0
            self.hurt.clear()

    def _drawn(self, call: Call) -> Trouble | None:
        with self._lock:
            self.calls += 1
            drawn = self._said.random()
            trouble = _DARKNESS if self.is_dark else self._at(drawn, call)
            if trouble is not None:
                self.hurt[trouble.name] += 1
            return trouble

    def _at(self, drawn: float, call: Call) -> Trouble | None:
        reached = 0.0
        for each in self._troubles:
            if not each.to(call):
                continue
            reached += each.share
            if drawn < reached:
                return each
        return None


def has_body(call: Call) -> bool:
    return call.method == "PUT" and bool(call.body)


def the_answer_is_cut(call: Call) -> Answer | None:
    """Half of the answer comes, or nothing where it has no body."""
    answer = weather.cut_short(call)
    return answer if answer.body else None


_DARKNESS: Final = Trouble("black-out", 1.0, weather.nothing_is_done)


def storm_before(place: S3Place) -> tuple[Trouble, ...]:
    """Return the troubles of about 40 % of the requests."""
    return (
        Trouble("503", 0.2, weather.an_error(503, "SlowDown")),
        Trouble("500", 0.05, weather.an_error(500, "InternalError")),
        Trouble("reset", 0.05, weather.nothing_is_done),
        Trouble("answer lost", 0.05, weather.the_answer_is_lost),
        Trouble(
            "200 with an error", 0.03, weather.an_error(200, "InternalError"), weather.completes
        ),
        Trouble("hangs", 0.02, weather.it_hangs),
        Trouble("answer cut", 0.01, the_answer_is_cut),
        Trouble("byte flips", 0.005, weather.a_bit_flips, has_body),
        Trouble("silent damage", 0.005, silently(place), weather.puts),
        Trouble("silent loss", 0.005, silently(place, short=True), weather.puts),
    )


def damage_before(place: S3Place, share: float) -> tuple[Trouble, ...]:
    """Return what a store does that checks nothing and damages this share of the objects."""
    return (
        Trouble("silent damage", share / 2, silently(place), weather.puts),
        Trouble("silent loss", share / 2, silently(place, short=True), weather.puts),
    )
