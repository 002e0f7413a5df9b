"""PostgreSQL is killed, restarted, frozen, full, and cut off from us while it commits.

Clients are told to come again, at once and with nothing else; what they were told was done was done,
once. A commit whose answer was lost is looked up.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import create_engine

from tests.drills.postgres import Postgres, a_postgres
from tests.drills.rig import Rig, a_rig
from tests.drills.witness import Witness, witnessed
from tests.support.cable import Cable, a_cable
from tests.support.frost import frozen
from tests.support.waiting import eventually

pytestmark = pytest.mark.measures
_AWAY: Final = frozenset({503})
_DONE: Final = frozenset({200, 201, 202})
_FROZEN_SECONDS: Final = 5.0
# Who is in the middle of a transaction when the server freezes waits for its end.
_SLOWEST_SECONDS: Final = _FROZEN_SECONDS + 3.0
_DRILL_SECONDS: Final = 1800


@dataclass(frozen=True)
class Scene:
    rig: Rig
    witness: Witness
    server: Postgres
    cable: Cable

    def under_load(self, trouble: Callable[[], None], first: int) -> None:
        """Let `trouble` be done while clients upload; return when it is, and they are at rest."""
        over = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            load = pool.submit(
                self.witness.upload_until, over.is_set, at_least=8, at_once=4, first=first
            )
            try:
                trouble()
            finally:
                over.set()
            load.result()


@contextmanager
def a_scene(folder: Path, seed: int, sabotage: str | None = None) -> Iterator[Scene]:
    """Start the stack on a PostgreSQL behind a cable; the checker is in front of it."""
    with a_postgres() as server, a_cable(server.url) as cable:
        said = {"DATABASE_URL": cable.url}
        with a_rig(folder, seed, sabotage=sabotage, **said) as calm:
            rig, witness = witnessed(calm)
            engine = create_engine(server.url, pool_pre_ping=True)
            checker = replace(rig.checker, engine=engine)
            try:
                yield Scene(replace(rig, checker=checker), witness, server, cable)
            finally:
                engine.dispose()


@pytest.mark.timeout(_DRILL_SECONDS)
def test_whatever_becomes_of_the_database_nothing_is_lost_or_doubled(
    tmp_path: Path, seed: int, *, is_long: bool
) -> None:
    kills, restarts, lost, frosts, crowds = (10, 5, 50, 3, 3) if is_long else (1, 1, 6, 1, 1)
    with a_scene(tmp_path, seed) as scene:
        scene.under_load(lambda: answers_lost(scene, lost), 0)
        assert scene.witness.refusals == []  # each was looked up, and found

        troubles: list[tuple[str, int, Callable[[], None]]] = [
            ("kills", kills, scene.server.kill),
            ("restarts", restarts, scene.server.restart),
            ("frosts", frosts, lambda: freeze(scene)),
            ("crowds", crowds, lambda: crowd(scene)),
        ]
        for number, (name, times, trouble) in enumerate(troubles):
            before = len(scene.witness.refusals)
            scene.under_load(lambda t=trouble, n=times: repeat(scene, t, n), (number + 1) * 10_000)  # type: ignore[misc]
            slowest = max((each.seconds for each in scene.witness.refusals[before:]), default=0.0)
            refused = len(scene.witness.refusals) - before
            print(f"{times} {name}: {refused} refused, the slowest after {slowest:.1f} s")
        judge(scene)


@pytest.mark.teeth
def test_who_repeats_blindly_what_was_not_answered_turns_the_drill_red(
    tmp_path: Path, seed: int
) -> None:
    with a_scene(tmp_path, seed, "repeats-blindly") as scene:
        scene.under_load(lambda: answers_lost(scene, 12), 0)
        scene.rig.settle()

        assert any(said.startswith("I2: ") for said in scene.rig.verdict().breaches)


def judge(scene: Scene) -> None:
    rig, witness = scene.rig, scene.witness
    settled = rig.settle(120)
    verdict = rig.verdict()
    print(f"{verdict}; settled {settled:.1f} s after; {witness.statuses}; {witness.codes()}")
    print(f"{scene.cable.lost} answers lost, {scene.server.deaths} deaths")
    assert verdict.breaches == []
    assert witness.rude(_AWAY) == []
    assert set(witness.statuses) <= _DONE | _AWAY
    assert witness.slowest() <= _SLOWEST_SECONDS


def answers_lost(scene: Scene, times: int) -> None:
    """Lose the answers to so many commits, one after the other."""
    for _ in range(times):
        before = scene.cable.lost
        scene.cable.loses_the_answer_to(b"COMMIT")
        eventually(lambda n=before: scene.cable.lost > n, 30, every=0.005)  # type: ignore[misc]


def freeze(scene: Scene) -> None:
    with frozen(scene.server.process):
        threading.Event().wait(_FROZEN_SECONDS)


def crowd(scene: Scene) -> None:
    """Let others have all the connections, when ours have just been cut."""
    scene.cable.cut()
    taken = scene.server.occupy()
    scene.cable.mend()
    assert taken > 0
    before = len(scene.witness.refusals)
    eventually(lambda: len(scene.witness.refusals) > before + 5, 20, says="nobody is refused")
    scene.server.release()


def repeat(scene: Scene, trouble: Callable[[], None], times: int) -> None:
    """Do it so often; each time uploads have to go on before the next."""
    for _ in range(times):
        trouble()
        before = scene.witness.statuses.get(202, 0)
        eventually(
            lambda n=before: scene.witness.statuses.get(202, 0) > n,  # type: ignore[misc]
            30,
            says="no upload goes on",
        )
