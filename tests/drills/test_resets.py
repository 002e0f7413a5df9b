"""Clients' connections break anywhere, and the web is killed with all requests in it (D1)."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.drills.fleet import Toll
from tests.drills.load import meanwhile
from tests.drills.ragged import a_ragged_way
from tests.drills.rig import a_rig
from tests.drills.timeline import in_words, judged, waits

pytestmark = pytest.mark.timeout(1800)
MOST_BYTES = 200_000  # of a connection: several requests, or a part of one
GOOD = {0, 200, 201, 202, 503}


def test_connections_that_break_lose_and_double_nothing(
    tmp_path: Path, seed: int, *, is_long: bool
) -> None:
    uploads, kills = (1000, 20) if is_long else (30, 1)
    every = (3.0, 6.0) if is_long else (1.5, 3.0)
    with (
        a_rig(tmp_path, seed) as rig,
        a_ragged_way(rig.stack.base_url, MOST_BYTES, rig.said) as way,
    ):
        toll, clients = Toll(rig), replace(rig.clients, base_url=way.url)
        with meanwhile(toll.strikes(["web"], kills, every)):
            clients.upload_until(lambda: toll.is_paid, at_least=uploads, at_once=16)
        settled = rig.settle()
        verdict = judged(rig)
        sent = sum(entry.size for entry in rig.ledger.entries)

        print(f"{verdict}; settled {settled:.1f} s after; {clients.statuses}")
        print(f"{way.breaks} breaks, {kills} kills; {way.up / sent:.2f} bytes sent for each one")
        print(f"requests: {in_words([took for _, took in clients.took])}; {in_words(waits(rig))}")
        assert verdict.breaches == []
        assert verdict.counts["jobs succeeded"] == verdict.counts["uploads"]
        assert clients.statuses.keys() <= GOOD
        assert way.breaks > uploads / 10


@pytest.mark.teeth
def test_a_web_that_takes_cut_bodies_turns_the_drill_red(tmp_path: Path, seed: int) -> None:
    with (
        a_rig(tmp_path, seed, sabotage="cut-bodies-taken") as rig,
        a_ragged_way(rig.stack.base_url, MOST_BYTES // 2, rig.said) as way,
    ):
        clients = replace(rig.clients, base_url=way.url)

        with pytest.raises(AssertionError, match=r"^chunk \d+ of \S+: 409 "):
            clients.upload_all(24)
