"""When a reconciler may believe that whose lease ran out is dead: not right after an outage."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from shared.services.sight import Sight

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HEARTBEAT, PATIENCE, LEASE = (timedelta(seconds=each) for each in (10, 15, 30))


@dataclass
class Time:
    seconds: float = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def sight(time: Time) -> Sight:
    return Sight(time.monotonic)


def test_who_has_just_begun_sees_clearly(sight: Sight) -> None:
    assert not sight.regain(PATIENCE, LEASE)
    assert sight.is_clear


def test_looks_that_come_in_time_stay_clear(sight: Sight, time: Time) -> None:
    for _ in range(20):
        time.seconds += 15

        assert not sight.regain(PATIENCE, LEASE)
        assert sight.is_clear


def test_after_a_gap_nothing_is_clear_for_one_lease(sight: Sight, time: Time) -> None:
    time.seconds += 15.1

    assert sight.regain(PATIENCE, LEASE)

    assert not sight.is_clear
    time.seconds += 29.9
    assert not sight.is_clear
    time.seconds += 0.1
    assert sight.is_clear


def test_a_second_gap_begins_the_time_anew(sight: Sight, time: Time) -> None:
    for _ in range(3):
        time.seconds += 20
        assert sight.regain(PATIENCE, LEASE)

    time.seconds += 14
    assert not sight.regain(PATIENCE, LEASE)
    assert not sight.is_clear
    time.seconds += 16
    assert sight.is_clear


def test_work_that_takes_long_is_no_gap(sight: Sight, time: Time) -> None:
    sight.regain(PATIENCE, LEASE)
    time.seconds += 100
    sight.keep()
    time.seconds += 5

    assert not sight.regain(PATIENCE, LEASE)


@pytest.mark.parametrize(
    ("seconds", "was_set"),
    [(10.0, False), (20.0, False), (21.0, True), (0.0, False), (-1.0, True), (-3600.0, True)],
)
def test_after_the_databases_clock_was_set_nothing_is_clear_for_one_lease(
    sight: Sight, time: Time, seconds: float, *, was_set: bool
) -> None:
    assert not sight.was_set(NOON, time.seconds, HEARTBEAT, LEASE)

    time.seconds += 10
    told = NOON + timedelta(seconds=seconds)
    assert sight.was_set(told, time.seconds, HEARTBEAT, LEASE) == was_set

    assert sight.is_clear != was_set
    time.seconds += 30
    assert sight.is_clear
    assert not sight.was_set(told + timedelta(seconds=30), time.seconds, HEARTBEAT, LEASE)


def test_an_answer_that_takes_long_is_no_clock_that_was_set(sight: Sight, time: Time) -> None:
    for moment in (
        0.0,
        30.0,
        30.0,
        60.0,
    ):  # said at the end of one question, at the beginning of another
        asked_at = time.seconds
        time.seconds += 30

        assert not sight.was_set(NOON + timedelta(seconds=moment), asked_at, HEARTBEAT, LEASE)
