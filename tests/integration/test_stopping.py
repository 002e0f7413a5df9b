"""A worker that is being stopped: its flag outlives children that are killed, its job is back soon."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from shared.errors import Unavailable
from shared.model.lifecycle import JobState
from shared.model.stored import Part
from shared.ports import ObjectStore
from shared.records import Records
from tests.integration.test_stopping_io import is_gone
from tests.support.factory import Factory, a_factory
from tests.support.waiting import eventually
from worker import watch
from worker.processing import Processing

NINE_MIB = 9 * 1024**2
LATE_SECONDS = 4.0

# Thirty children do nothing but look, and are killed in the middle of it; the last one sees it set.
SCRIPT = """
import os, signal, threading
from worker import stopping

def child():
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        while not stopping.is_stopping():
            pass
        os._exit(0)
    threading.Event().wait(0.02)
    return pid

signal.alarm(20)
for _ in range(30):
    killed = child()
    os.kill(killed, signal.SIGKILL)
    os.waitpid(killed, 0)
last = child()
assert not stopping.is_stopping()
stopping.stop()
assert stopping.is_stopping()
assert os.waitpid(last, 0)[1] == 0
"""

# What Celery does at a signal comes second; a child that was forked since is told of nothing.
SIGNALS = """
import os, signal
from worker import stopping

said = []
numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

def first(number, frame):
    said.append((number, stopping.is_stopping()))
    signal.signal(number, lambda number, frame: said.append((number, "harder")))

signal.alarm(20)
for number in numbers:
    signal.signal(number, first)
stopping.stop_at_signals()
child = os.fork()
if child == 0:
    for number in numbers:
        os.kill(os.getpid(), number)
    os._exit(len(said))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
assert not stopping.is_stopping()
for number in numbers:
    os.kill(os.getpid(), number)
    os.kill(os.getpid(), number)
assert said == [each for number in numbers for each in ((number, True), (number, "harder"))], said
"""

# A worker that can't begin another thread, with a child that nobody else would end.
SHORT_OF_THREADS = """
import signal
import threading
from billiard import Process
from worker import leaving, stopping

def refuse(self):
    raise RuntimeError("can't start new thread")

def work():
    signal.alarm(20)
    signal.pause()

leaving.LATEST_SECONDS = 0.1
child = Process(target=work)
child.start()
print(child.pid, flush=True)
leaving.leave_in_time()
threading.Thread.start = refuse
stopping.stop()
signal.alarm(20)
signal.pause()
"""


def test_a_child_that_is_killed_while_it_looks_blocks_nobody() -> None:
    done = ran(SCRIPT)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_signal_raises_the_flag_before_celery_hears_of_it() -> None:
    done = ran(SIGNALS)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_worker_that_can_t_even_say_that_it_leaves_work_takes_its_children_along() -> None:
    done = ran(SHORT_OF_THREADS)

    assert done.returncode == 0
    eventually(lambda: is_gone(int(done.stdout)))


@pytest.fixture
def factory(tmp_path: Path, sqlite_url: str) -> Iterator[Factory]:
    with a_factory(tmp_path, sqlite_url) as made:
        yield made


@dataclass
class Hung:
    """A store that says nothing of the second part, nor of an abort, until `over`."""

    inner: ObjectStore
    hangs: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def __getattr__(self, verb: str) -> Any:
        return getattr(self.inner, verb)

    def put_part(self, key: str, multipart_id: str, number: int, *said: Any) -> Part:
        if number > 1:
            self._hang()
        return self.inner.put_part(key, multipart_id, number, *said)

    def abort_multipart(self, key: str, multipart_id: str) -> None:
        self._hang()
        self.inner.abort_multipart(key, multipart_id)

    def _hang(self) -> None:
        self.hangs.set()
        if not self.over.is_set():
            self.over.wait(30)
            raise Unavailable("objects", "The object store does not answer.")


@dataclass
class Blinking:
    """Records that do not answer the next `left` times."""

    inner: Records
    left: int = 0

    def __getattr__(self, verb: str) -> Any:
        return getattr(self.inner, verb)

    def begin(self) -> Any:
        if self.left:
            self.left -= 1
            raise Unavailable("records", "The database does not answer.")
        return self.inner.begin()


@dataclass
class Silent(Hung):
    """A store that stores a file and does not say so until `over`."""

    def put(self, *said: Any, **more: Any) -> Any:
        stored = self.inner.put(*said, **more)
        self.hangs.set()
        self.over.wait(30)
        return stored


def test_a_job_whose_store_hangs_is_back_before_the_store_is_waited_for(factory: Factory) -> None:
    store = Hung(factory.objects)
    job = factory.received(b"a" * NINE_MIB)
    services = factory.with_objects(store).services

    began = time.monotonic()
    worker = threading.Thread(
        target=Processing(services, "w", store.hangs.is_set).process, args=(job.id,)
    )
    worker.start()
    back = eventually(lambda: queued(factory, job.id), LATE_SECONDS)
    worker.join(LATE_SECONDS)
    took, is_over = time.monotonic() - began, not worker.is_alive()
    store.over.set()
    worker.join()

    assert is_over
    assert took < 2 * LATE_SECONDS
    assert (back.attempts, back.outages, back.error) == (0, 0, None)
    assert factory.bell.processed == [job.id, job.id]
    ended = factory.run(job)
    assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 1)


def test_a_job_that_waits_for_a_silent_store_is_given_back_all_the_same(
    factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "STUCK_SECONDS", 0.5)
    store = Silent(factory.objects)
    job = factory.received(b"hello world")
    services = factory.with_objects(store).services

    worker = threading.Thread(
        target=Processing(services, "w", store.hangs.is_set).process, args=(job.id,)
    )
    worker.start()
    back = eventually(lambda: queued(factory, job.id), LATE_SECONDS)
    ended = factory.run(job)
    is_still_there = worker.is_alive()
    store.over.set()
    worker.join()

    assert (back.attempts, back.outages, back.error) == (0, 0, None)
    assert factory.bell.processed == [job.id, job.id]
    assert is_still_there
    assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 1)
    assert factory.job(job) == ended


def test_a_job_is_handed_back_though_the_database_is_away_for_a_moment(factory: Factory) -> None:
    job = factory.received(b"hello world")
    stopping: list[bool] = []
    blinking = Blinking(factory.records)

    def stop() -> None:
        stopping.append(True)
        blinking.left = 2

    factory.board.before["publish"] = stop
    claims = replace(factory.claims, records=cast("Records", blinking))
    services = replace(factory.services, claims=claims)

    Processing(services, "w", lambda: bool(stopping)).process(job.id)

    back = queued(factory, job.id)
    assert (blinking.left, back.attempts, back.outages) == (0, 0, 0)


def test_what_was_begun_is_taken_back_once_the_job_is_back(factory: Factory) -> None:
    job = factory.received(b"a" * NINE_MIB)
    stopping: list[bool] = []
    factory.board.before["thumbnail"] = lambda: stopping.append(True)

    back = factory.run(job, is_stopping=lambda: bool(stopping))

    assert (back.state, back.attempts) == (JobState.QUEUED, 0)
    assert factory.multiparts() == []


def queued(factory: Factory, job_id: str) -> Any:
    with factory.records.read() as rows:
        job = rows.jobs.find(job_id)
    assert job is not None
    return job if job.state is JobState.QUEUED and job.fence else None


def ran(script: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=50
    )
