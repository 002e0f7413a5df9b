"""A new release is rolled out (D4): each part in turn is told to stop, under load, and nobody notices."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.drills.fleet import keeping_up, starts, told_to_stop, wait_until_back
from tests.drills.halves import SIZE, half_sent
from tests.drills.load import Work, ending, meanwhile
from tests.drills.rig import Rig, a_rig
from tests.drills.timeline import in_words, judged, waits
from tests.support.api import Api
from tests.support.quick import ASIDE
from tests.support.restless import SECOND
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(1800)
OUT_SECONDS = 25.0
LATE_SECONDS = 3.0
PARTS = ("worker", "worker-io", "web")
# What a good client takes as "again": no answer at all, and a refusal that says when.
GOOD = {0, 200, 201, 202, 503}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, shared_seed: int) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("rollout")
    with a_rig(folder, shared_seed, sabotage="dawdling", without=(SECOND, *ASIDE)) as rig:
        yield rig


def test_a_roll_out_fails_no_upload(rig: Rig, *, is_long: bool) -> None:
    uploads, rounds = (600, 10) if is_long else (20, 1)
    rolled, done = Rolled(rig), threading.Event()
    with meanwhile(ending(done, rolled.out(PARTS, rounds))):
        upload_until(rig, done.is_set, uploads)
        rig.settle()
    verdict, ends = judged(rig), outcomes(rig)

    for part in PARTS:
        print(f"{part} was out after {in_words(rolled.took(part))}")
    print(f"{verdict}\n{dict(ends)}; {rig.clients.statuses}; jobs: {in_words(waits(rig))}")
    assert verdict.breaches == []
    assert verdict.counts["jobs succeeded"] == verdict.counts["uploads"]
    assert (verdict.counts["most attempts"], ends["lost"]) == (1, 0)
    assert rig.clients.statuses.keys() <= GOOD
    assert max(took for _, took in rolled.times) <= OUT_SECONDS


def test_a_body_on_its_way_is_taken_before_the_web_goes(rig: Rig) -> None:
    body, before = b"b" * SIZE, starts(rig, "web")
    with Api(rig.stack.base_url, rig.clients.token) as api:
        opened = api.open_upload("late.txt", size=SIZE, chunk_size=SIZE)
    with half_sent(rig, opened["id"], body) as line, ThreadPoolExecutor(1) as pool:
        gone = pool.submit(told_to_stop, rig, "web")
        threading.Event().wait(LATE_SECONDS)
        line.sendall(body[SIZE // 2 :])
        said = line.recv(4096)
        took = gone.result()
    wait_until_back(rig, "web", before)

    print(f"the web was out after {took:.2f} s")
    assert said.startswith(b"HTTP/1.1 200 "), said
    assert LATE_SECONDS <= took <= OUT_SECONDS


@pytest.mark.teeth
def test_workers_that_keep_their_jobs_turn_the_drill_red(tmp_path: Path, seed: int) -> None:
    with a_rig(tmp_path, seed, sabotage="hand-back-off,lingering") as rig:
        rig.clients.upload_all(8)
        eventually(lambda: rig.checker.rows("SELECT 1 FROM jobs WHERE state = 'running'"))
        told_to_stop(rig, "worker")
        rig.settle()

        assert outcomes(rig)["lost"] > 0


class Rolled:
    """What was told to stop, and after how many seconds it was gone."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.times: list[tuple[str, float]] = []

    def out(self, parts: Sequence[str], rounds: int) -> Work:
        """Stop each of the parts in turn, the next as soon as one is gone; then wait for all."""

        def work(over: threading.Event) -> None:
            for _ in range(rounds):
                before = {part: starts(self._rig, part) for part in parts}
                for part in parts:
                    if over.wait(self._rig.said.uniform(0.2, 1.0)):
                        return
                    self.times.append((part, told_to_stop(self._rig, part)))
                for part in parts:
                    wait_until_back(self._rig, part, before[part])

        return work

    def took(self, part: str) -> list[float]:
        return [took for each, took in self.times if each == part]


def upload_until(rig: Rig, is_enough: Callable[[], bool], at_least: int) -> None:
    rig.clients.upload_until(
        is_enough, at_least=at_least, at_once=4, large=10, may_go_on=keeping_up(rig, 8)
    )


def outcomes(rig: Rig) -> Counter[str]:
    rows = rig.checker.rows("SELECT outcome, count(*) AS n FROM job_steps GROUP BY outcome")
    return Counter({row["outcome"]: row["n"] for row in rows})
