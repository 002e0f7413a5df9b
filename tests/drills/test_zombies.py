"""Who was frozen and wakes up when others have taken over changes nothing any more (D5)."""

import hashlib
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
from redis import Redis

from tests.drills.fleet import FIRST_NODE, another_worker, send, starts, wait_until_back
from tests.drills.halves import SIZE, half_sent, server_of
from tests.drills.load import ANSWERS
from tests.drills.rig import Rig, a_rig
from tests.drills.timeline import in_words, judged, unfenced, waits
from tests.support.api import Api, answered
from tests.support.waiting import eventually

LEASE_SECONDS: Final = 3.0
MORE_ROUNDS: Final = 12
pytestmark = pytest.mark.timeout(1800)
HURRY: Final = {"LEASE_SECONDS": "3", "RECONCILE_SECONDS": "0.5"}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, shared_seed: int) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("zombies")
    with a_rig(folder, shared_seed, sabotage="dawdling", **HURRY) as rig:
        yield rig


def test_a_worker_that_wakes_up_late_changes_nothing(rig: Rig, *, is_long: bool) -> None:
    rounds = 20 if is_long else 2
    with another_worker(rig):
        zombies = [frozen_at_work(rig, is_over=number % 2 == 0) for number in range(rounds)]
        rig.settle()
    verdict = judged(rig)
    verdict.breaches += meddled(rig)

    print(f"{verdict}; {zombies} zombies of jobs, all of which said that they had lost")
    assert verdict.breaches == []
    assert sum(zombies) >= rounds
    assert rig.clients.statuses.keys() <= ANSWERS
    assert verdict.counts["jobs succeeded"] == verdict.counts["jobs"]


def test_what_a_frozen_worker_had_taken_is_done_by_others(rig: Rig, *, is_long: bool) -> None:
    rounds = 50 if is_long else 2
    jobs: list[str | None] = []
    swallowed = 0
    # It asks for a second each time: some are frozen too late in that to be given anything.
    for number in range(rounds + MORE_ROUNDS):
        if number >= rounds and swallowed:
            break
        eventually(lambda: rig.checker.open_jobs() == 0, 30)
        before = starts(rig, "worker")
        worker = rig.stack.process("worker")
        send(worker, signal.SIGSTOP)
        waiting = queued(rig)
        entries = rig.clients.upload_all(2, first=len(rig.ledger.entries))
        swallowed += waiting + len(entries) - queued(rig)
        send(worker, signal.SIGKILL)
        jobs += [entry.job_id for entry in entries]
        wait_until_back(rig, "worker", before)
    rig.settle()

    print(f"{len(jobs)} jobs, two in a round; {swallowed} were called for in vain")
    print(in_words(waits(rig, jobs)))
    assert judged(rig).breaches == []
    assert len(waits(rig, jobs)) == len(jobs) >= 2 * rounds
    assert swallowed > 0
    assert rig.clients.statuses.keys() <= ANSWERS


def test_a_web_process_that_wakes_up_late_changes_nothing(rig: Rig) -> None:
    theirs, ours = b"z" * SIZE, b"a" * SIZE
    with Api(rig.stack.base_url, rig.clients.token) as api:
        opened = api.open_upload("frozen.txt", size=SIZE, chunk_size=SIZE)
    with half_sent(rig, opened["id"], theirs) as line:
        zombie = eventually(lambda: server_of(rig, line), says="nobody has taken the connection")
        assert zombie is not None
        zombie.suspend()
        try:
            with Api(rig.stack.base_url, rig.clients.token) as api:
                answered(api.put_chunk(opened["id"], 0, ours), 200)
                job = api.ended(api.complete(opened["id"])["id"])
        finally:
            zombie.resume()
        line.sendall(theirs[SIZE // 2 :])
        said = line.recv(4096)

    with Api(rig.stack.base_url, rig.clients.token) as api:
        content = api.download(job["file_id"]).content
    assert said.startswith(b"HTTP/1.1 409 "), said
    assert hashlib.sha256(content).digest() == hashlib.sha256(ours).digest()
    assert judged(rig).breaches == []


@pytest.mark.teeth
def test_without_fences_the_drill_goes_red(tmp_path: Path, seed: int) -> None:
    with a_rig(tmp_path, seed, sabotage="unfenced,lingering", **HURRY) as rig:
        found: list[str] = []
        with another_worker(rig):
            for _ in range(3):
                if not found:
                    frozen_at_work(rig, is_over=False, has_lost=False)
                    rig.settle()
                    found = [*unfenced(rig), *meddled(rig)]

        print(found[:2])
        with pytest.raises(AssertionError):
            assert found == []


def frozen_at_work(rig: Rig, *, is_over: bool, has_lost: bool = True) -> int:
    """Freeze the worker in mid-job until others have its jobs; return how many it had.

    With `is_over` until they have done them, and for two leases at least.
    """
    rig.clients.upload_all(6, first=len(rig.ledger.entries))
    held = frozen_in_time(rig)
    until = time.monotonic() + 2 * LEASE_SECONDS
    lost = said_lost(rig)
    fences = tuple(f"(id = '{job_id}' AND fence = {fence})" for job_id, fence in held.items())
    mine = f"SELECT id FROM jobs WHERE {' OR '.join(fences)}"  # noqa: S608  # our own ids
    try:
        eventually(lambda: not rig.checker.rows(mine), 30, says="nobody takes over")
        if is_over:
            eventually(lambda: time.monotonic() > until and rig.checker.open_jobs() == 0, 30)
        before = ended_rows(rig, held)
    finally:
        rig.stack.resume("worker")
    if has_lost:
        eventually(lambda: said_lost(rig) >= lost + len(held), 20, says="a zombie is silent")
        after = ended_rows(rig, held)
        assert {name: after[name] for name in before} == before
    return len(held)


def frozen_in_time(rig: Rig) -> dict[str, int]:
    """Freeze the worker while it has jobs and no transaction, which would hold all of SQLite."""
    of_worker = f"state = 'running' AND worker LIKE '{FIRST_NODE}%'"
    question = f"SELECT id, fence FROM jobs WHERE {of_worker}"  # noqa: S608  # our own words

    def frozen() -> dict[str, int] | None:
        threading.Event().wait(rig.said.uniform(0, 0.5))
        worker = rig.stack.process("worker")
        send(worker, signal.SIGSTOP)
        held = {row["id"]: row["fence"] for row in rig.checker.rows(question)}
        if held and is_writable(rig):
            return held
        send(worker, signal.SIGCONT)
        rig.clients.upload_all(2, first=len(rig.ledger.entries))
        return None

    return eventually(frozen, 30, says="the worker is never at work") or {}


def queued(rig: Rig) -> int:
    """Return how many messages the broker has that it has given to no worker."""
    with Redis.from_url(rig.stack.env["REDIS_URL"]) as client:
        return int(client.llen("ingest"))


def is_writable(rig: Rig) -> bool:
    path = urlsplit(rig.stack.env["DATABASE_URL"]).path
    with closing(sqlite3.connect(path, timeout=0.3, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return False
    return True


def meddled(rig: Rig) -> list[str]:
    """Return the steps that were ended by somebody else than who was at them."""
    question = (
        "SELECT job_id, step, outcome FROM job_steps WHERE outcome NOT IN ('finished', 'lost')"
    )
    return [f"I10: {dict(row)}" for row in rig.checker.rows(question)]


def said_lost(rig: Rig) -> int:
    return sum("job_lost" in line for line in rig.stack.log)


def ended_rows(rig: Rig, job_ids: dict[str, int]) -> dict[str, object]:
    """Return the rows of those jobs that are final: nothing may change them."""
    rows = rig.checker.rows("SELECT * FROM jobs WHERE finished_at IS NOT NULL")
    return {row["id"]: row for row in rows if row["id"] in job_ids}
