"""Many do the same at once (D10): one of them wins, and the rest have changed nothing."""

import time
from pathlib import Path

import pytest

from tests.drills import races, races_jobs, races_ways
from tests.drills.arena import Arena, an_arena
from tests.drills.breakage import with_sabotage

RACES = [*races.RACES, *races_jobs.RACES, *races_ways.RACES]
_SHORT_ROUNDS, _LONG_ROUNDS = 1, 200
_TRIES = 5


@pytest.mark.timeout(3600)
def test_of_many_who_race_one_wins_and_nothing_is_lost_or_doubled(
    tmp_path: Path, database_url: str, seed: int, *, is_long: bool
) -> None:
    rounds, began = _LONG_ROUNDS if is_long else _SHORT_ROUNDS, time.monotonic()
    with an_arena(tmp_path, database_url, seed) as arena:
        for number in range(rounds):
            run_round(arena, number)
        took, longest = time.monotonic() - began, arena.longest

    print(
        f"{rounds} rounds of {len(RACES)} races in {took:.0f} s; the longest took {longest:.2f} s"
    )


@pytest.mark.parametrize(
    ("sabotage", "race"),
    [
        ("quota-not-asked", races.sixty_four_open_at_the_quota),
        ("offsets-not-compared", races.streams_append_at_one_offset),
        ("doubles-not-seen", races.fifty_send_the_same_chunk),
        ("keys-not-remembered", races.eight_open_with_one_key),
        ("states-not-asked", races.twenty_complete),
        ("claims-not-exclusive", races_jobs.eight_claim),
        ("room-not-released", races.a_cancel_meets_chunks),
    ],
)
@pytest.mark.teeth
def test_without_its_defence_a_race_has_two_winners(
    tmp_path: Path, sabotage: str, race: races.Race, sqlite_url: str
) -> None:

    def run() -> None:
        with an_arena(tmp_path, sqlite_url, seed=1) as arena:
            for _ in range(_TRIES):
                race(arena)
                breaches = arena.settled()
                assert not breaches, breaches

    assert with_sabotage(sabotage, run) is not None


def run_round(arena: Arena, number: int) -> None:
    """Run every race once, in an order drawn from the seed, and hold all of it against the rules."""
    for race in arena.said.sample(RACES, len(RACES)):
        try:
            race(arena)
        except Exception as error:
            error.add_note(f"in round {number}: {race.__name__}")
            raise
    assert arena.settled() == [], f"after round {number}"
    arena.empty()
