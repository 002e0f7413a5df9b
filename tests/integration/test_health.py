"""Parts that hang hold the answer for two seconds and one thread each, however often it is asked."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, cast

import pytest

from shared.errors import Unavailable
from shared.services.health import Health
from tests.support.races import at_once
from tests.support.waiting import eventually

PARTS = ("database", "redis", "s3", "staging", "worker")


@dataclass
class Part:
    """Any part: it hangs until `thaw`, or answers at once."""

    fault: Exception | None = None
    thaw: threading.Event = field(default_factory=threading.Event)
    asked: int = 0

    def check(self) -> None:
        self.asked += 1
        self.thaw.wait()
        if self.fault is not None:
            raise self.fault

    def free_bytes(self) -> int:
        self.check()
        return 100

    def workers(self) -> list[str]:
        self.check()
        return ["ingest@host"]


@pytest.fixture
def part() -> Iterator[Part]:
    made = Part()
    made.thaw.set()
    yield made
    made.thaw.set()


@pytest.fixture
def hung() -> Iterator[Part]:
    made = Part()
    yield made
    made.thaw.set()


def test_all_parts_that_hang_share_two_seconds(hung: Part) -> None:
    health = of(hung)
    began = monotonic()

    said = health.checks()

    assert monotonic() - began < 2.5
    assert said == dict.fromkeys(PARTS, "no answer in 2 s")


def test_a_part_that_hangs_holds_one_thread_and_the_later_askers_not_at_all(
    part: Part, hung: Part
) -> None:
    health = Health(
        records=cast("Any", part),
        staging=cast("Any", part),
        objects=cast("Any", hung),
        board=cast("Any", part),
        floor=1,
    )
    before = set(threading.enumerate())  # some of these may end meanwhile

    first = at_once([health.checks] * 20)
    began = monotonic()
    later = [health.checks() for _ in range(20)]

    well = dict.fromkeys(PARTS)
    assert first == later == [{**well, "s3": "no answer in 2 s"}] * 20
    assert monotonic() - began < 0.5
    assert (hung.asked, len(set(threading.enumerate()) - before)) == (1, 1)
    hung.thaw.set()
    eventually(lambda: health.checks() == well, 5)
    eventually(lambda: set(threading.enumerate()) <= before, 5)


def test_what_a_part_said_is_shared_for_a_second(part: Part) -> None:
    health = of(part)

    at_once([health.checks] * 20)

    assert part.asked == len(PARTS)
    eventually(lambda: health.checks() and part.asked == 2 * len(PARTS), 3)


def test_a_part_that_is_not_well_says_why(part: Part) -> None:
    part.fault = Unavailable("board", "No.")

    assert of(part).checks() == dict.fromkeys(PARTS, "No.")


def of(part: Part) -> Health:
    any_part = cast("Any", part)
    return Health(any_part, any_part, any_part, any_part, 1)
