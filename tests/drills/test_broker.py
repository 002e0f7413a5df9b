"""The broker forgets, travels in time, freezes and fills up (D6), and nobody is told what is not so."""

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from redis import Redis

from tests.drills.fleet import keeping_up, starts, wait_until_back
from tests.drills.load import ANSWERS, Work, ending, meanwhile
from tests.drills.rig import Rig, a_rig, kill
from tests.drills.timeline import in_words, judged, percentile, waits
from tests.drills.watching import Watcher
from tests.support.waiting import eventually

pytestmark = [pytest.mark.measures, pytest.mark.timeout(3600)]
POLLED_AGAIN_SECONDS = 60.0
ANSWERED_SECONDS = 3.0
RECOVERED_SECONDS = 2.5
LATE_SECONDS = 1.0  # nothing comes later than 0.6 s after it was read
FORGOTTEN_SECONDS = 12.0  # a job is rung for again after three
COPY_SECONDS = 6.0  # a copy is older than what the board may show without asking the rows


@dataclass
class Broker:
    """What can happen to it. `frozen` are the times in which it said nothing."""

    rig: Rig
    freeze_seconds: float
    frozen: list[tuple[float, float]] = field(default_factory=list)
    copied_at: float = 0.0

    @property
    def folder(self) -> Path:
        return self.rig.stack.data_dir / "valkey"

    @property
    def copy(self) -> Path:
        return self.folder.with_name("valkey-copy")

    @property
    def client(self) -> Redis:
        return Redis.from_url(self.rig.stack.env["REDIS_URL"])

    def forgets_all(self) -> None:
        """Die without a disk."""
        self.folder.rename(self.folder.with_name(f"valkey-gone-{time.monotonic_ns()}"))
        self._dies()

    def is_flushed(self) -> None:
        with self.client as client:
            client.flushall()

    def is_copied(self) -> None:
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.folder, self.copy)
        self.copied_at = time.monotonic()

    def travels_back(self) -> None:
        """Die, and come back as the copy that was made of it."""
        eventually(lambda: time.monotonic() > self.copied_at + COPY_SECONDS)
        self.folder.rename(self.folder.with_name(f"valkey-gone-{time.monotonic_ns()}"))
        self.copy.rename(self.folder)
        self._dies()
        self.is_copied()

    def freezes(self) -> None:
        # Whoever still leaves it alone since it was away would not notice.
        threading.Event().wait(RECOVERED_SECONDS)
        began = time.monotonic()
        with self.rig.stack.paused("valkey"):
            threading.Event().wait(self.freeze_seconds)
        self.frozen.append((began, time.monotonic()))

    def is_full(self) -> None:
        with self.client as client:
            client.config_set("maxmemory", "1mb")
            threading.Event().wait(self.freeze_seconds / 2)
            client.config_set("maxmemory", "0")

    def _dies(self) -> None:
        before = starts(self.rig, "valkey")
        assert kill(self.rig, "valkey")
        wait_until_back(self.rig, "valkey", before)

    def losses(self, rounds: int) -> Work:
        """Let all of it happen so often, in an order that is drawn."""

        def work(over: threading.Event) -> None:
            self.is_copied()
            deeds = [self.forgets_all, self.is_flushed, self.travels_back]
            deeds = [*deeds, self.freezes, self.is_full] * rounds
            self.rig.said.shuffle(deeds)
            for deed in deeds:
                if over.wait(self.rig.said.uniform(0.5, 1.5)):
                    return
                deed()

        return work


def test_a_broker_that_loses_everything_loses_no_upload(
    tmp_path: Path, seed: int, *, is_long: bool
) -> None:
    uploads, rounds, freeze_seconds = (2000, 9, 10.0) if is_long else (30, 1, 3.0)
    with a_rig(tmp_path, seed, sabotage="dawdling") as rig:
        forgotten(rig)
        print(f"what it forgot settled {rig.settle(FORGOTTEN_SECONDS):.1f} s after")
        watcher, broker, done = Watcher(rig), Broker(rig, freeze_seconds), threading.Event()
        with meanwhile(ending(done, broker.losses(rounds)), watcher.run):
            rig.clients.upload_until(
                done.is_set,
                at_least=uploads,
                at_once=3,
                first=len(rig.ledger.entries),
                may_go_on=keeping_up(rig, 20),
            )
            settled = rig.settle(POLLED_AGAIN_SECONDS)
        verdict = judged(rig)
        frozen = [
            took
            for began, took in rig.clients.took
            if any(start <= began <= end for start, end in broker.frozen)
        ]

        print(f"{verdict}\n{rounds * 5} troubles; settled {settled:.1f} s after the last upload")
        print(f"jobs: {in_words(waits(rig))}; {watcher.polls} polls")
        print(f"requests: {in_words([took for _, took in rig.clients.took])}")
        print(f"while it was frozen: {in_words(frozen)}; {rig.clients.statuses}")
        assert (verdict.breaches, watcher.breaches) == ([], [])
        assert verdict.counts["jobs succeeded"] == verdict.counts["uploads"]
        assert watcher.polls > 0
        assert rig.clients.statuses.keys() <= ANSWERS
        assert frozen, "nobody asked for anything while it was frozen"
        assert percentile(frozen, 0.99) < ANSWERED_SECONDS


@pytest.mark.teeth
def test_a_board_that_takes_old_news_turns_the_drill_red(tmp_path: Path, seed: int) -> None:
    with a_rig(tmp_path, seed, sabotage="board-goes-back,late-puts,dawdling") as rig:
        watcher = Watcher(rig, every_seconds=0.05)
        late_news(rig, watcher, lambda: bool(watcher.breaches))

        print(watcher.breaches[:3])
        assert any(" went from " in said for said in watcher.breaches)


@pytest.mark.teeth
def test_old_news_alone_turns_nothing_red(tmp_path: Path, seed: int) -> None:
    with a_rig(tmp_path, seed, sabotage="late-puts,dawdling") as rig:
        watcher = Watcher(rig, every_seconds=0.05)
        late_news(rig, watcher, lambda: True)

        assert watcher.breaches == []
        assert watcher.polls > 0


@pytest.mark.teeth
def test_a_broker_that_forgets_without_a_reconciler_turns_the_drill_red(
    tmp_path: Path, seed: int
) -> None:
    with a_rig(tmp_path, seed, sabotage="no-reconciler,dawdling") as rig:
        forgotten(rig)

        with pytest.raises(AssertionError, match="jobs are stuck"):
            rig.settle(FORGOTTEN_SECONDS)


def forgotten(rig: Rig, jobs: int = 6) -> None:
    """Let the broker lose what it was told of so many jobs before a worker hears of them.

    Of one that is frozen at most what it had asked for is on its way to it.
    """
    with rig.stack.paused("worker"):
        rig.clients.upload_all(jobs, first=len(rig.ledger.entries))
        Broker(rig, 0).forgets_all()


def late_news(rig: Rig, watcher: Watcher, is_enough: Callable[[], bool]) -> None:
    """Upload while somebody polls, and poll on until what was late has come."""
    with meanwhile(watcher.run):
        rig.clients.upload_until(is_enough, at_least=40, at_once=4)
        rig.settle()
        threading.Event().wait(LATE_SECONDS)
