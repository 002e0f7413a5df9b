"""The schedule of deliveries."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.model.webhook import JITTER, MOST_ATTEMPTS, RETRY_PAUSES, pause_after

SPREADS = st.floats(min_value=-1, max_value=1)


def test_the_pauses_are_those_that_clients_were_promised() -> None:
    hours = timedelta(hours=1)

    assert [pause_after(attempts, 0) for attempts in range(1, MOST_ATTEMPTS)] == [
        timedelta(seconds=5),
        timedelta(minutes=5),
        timedelta(minutes=30),
        2 * hours,
        5 * hours,
        8 * hours,
        8 * hours,
    ]


@given(st.integers(min_value=1, max_value=MOST_ATTEMPTS - 1), SPREADS)
def test_a_pause_lies_within_a_fifth_of_its_plan(attempts: int, spread: float) -> None:
    pause, planned = pause_after(attempts, spread), RETRY_PAUSES[attempts - 1]

    assert pause is not None
    assert abs(pause - planned) <= JITTER * planned + timedelta(microseconds=1)
    assert pause > timedelta()


@given(st.integers(min_value=MOST_ATTEMPTS, max_value=1000), SPREADS)
def test_after_the_last_attempt_there_is_none(attempts: int, spread: float) -> None:
    assert pause_after(attempts, spread) is None


@given(st.lists(SPREADS, min_size=MOST_ATTEMPTS, max_size=MOST_ATTEMPTS))
def test_every_delivery_ends_within_two_days(spreads: list[float]) -> None:
    pauses = [pause_after(attempts, spreads[attempts - 1]) for attempts in range(1, MOST_ATTEMPTS)]

    assert sum((pause for pause in pauses if pause), timedelta()) < timedelta(days=2)
