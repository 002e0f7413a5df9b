"""A worker that is told to stop in the midst of what takes an hour, or never ends."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import psutil
import pytest

from shared.adapters.dispatch_celery import celery_app
from shared.adapters.records_sql import SqlRecords
from tests.support import servers
from tests.support.waiting import eventually

ROOT: Final = Path(__file__).parents[2]
OUT_SECONDS: Final = 8.0
# The worker as it is, in less patience, but for its audits: one finds always more to look at, the
# other waits for a part that never says anything.
AUDITS: Final = """
import os
import threading
from datetime import timedelta
from itertools import count
from pathlib import Path

import worker.tasks
from shared.services.sweeps.runs import Run, Sweep, Sweeper
from worker import leaving
from worker.app import app, services

leaving.LATEST_SECONDS = 3.0


def endless(sweeper: Sweeper, run: Run) -> None:
    Path("begun").write_text(str(os.getpid()))
    for _ in run.through(count()):
        threading.Event().wait(0.1)
    Path("ended").write_text("it was told")


def silent(sweeper: Sweeper, run: Run) -> None:
    Path("begun").write_text(str(os.getpid()))
    threading.Event().wait()


audit = {"endless": endless, "silent": silent}[os.environ["AUDIT"]]
hour = timedelta(hours=1)
object.__setattr__(services().sweeps, "sweeps", [Sweep("audit", hour, audit, "", hour)])
"""


@dataclass(frozen=True)
class Stopped:
    """A worker that is gone: after how many seconds, and who of it had the sweep."""

    took: float
    status: int
    pid: int


def test_a_worker_is_out_soon_whatever_sweep_it_is_in(tmp_path: Path, valkey_url: str) -> None:
    stopped = stopped_in("endless", "threads", tmp_path, valkey_url)

    records = SqlRecords(database_in(tmp_path))
    with records.begin() as rows:
        last = rows.leases.find("sweep:audit")
        is_free = rows.leases.take("sweep:audit", "another", timedelta(hours=1))
    records.close()
    assert stopped.took <= OUT_SECONDS
    assert last is not None
    assert last["result"]["stopped"]
    assert is_free


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_worker_is_out_soon_though_a_part_is_silent(
    pool: str, tmp_path: Path, valkey_url: str
) -> None:
    stopped = stopped_in("silent", pool, tmp_path, valkey_url)

    assert stopped.took <= OUT_SECONDS
    assert stopped.status == 0
    eventually(lambda: is_gone(stopped.pid))


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_worker_is_out_soon_and_its_work_left_though_nobody_reads_what_it_says(
    pool: str, tmp_path: Path, valkey_url: str
) -> None:
    stopped = stopped_in("endless", pool, tmp_path, valkey_url, is_heard=False)

    assert (stopped.took <= OUT_SECONDS, stopped.status) == (True, 0)
    assert written(tmp_path / "ended") == "it was told"
    eventually(lambda: is_gone(stopped.pid))


def stopped_in(
    audit: str, pool: str, folder: Path, valkey_url: str, *, is_heard: bool = True
) -> Stopped:
    """Tell a worker to stop once it is in that audit; return when it is gone.

    What it says is read, or it waits for ever in a pipe that is full.
    """
    servers.make_tables(database_in(folder))
    (folder / "audits.py").write_text(AUDITS)
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": f"{ROOT}:{folder}",
        "DATA_DIR": str(folder),
        "DATABASE_URL": database_in(folder),
        "REDIS_URL": f"{valkey_url.rpartition('/')[0]}/9",
        "STORAGE_BACKEND": "local",
        "JWT_SECRET_KEY": "for-tests-only-" * 3,
        "WORKER_CONCURRENCY": "1",
        "AUDIT": audit,
    }
    command = f"{sys.executable} -m celery -A audits worker -Q maintenance -n io@test -P {pool}"
    with (
        an_output(folder, is_heard=is_heard) as (output, fill),
        subprocess.Popen(
            command.split(), cwd=folder, env=environment, stdout=output, stderr=output
        ) as worker,
    ):
        try:
            asking = celery_app(environment["REDIS_URL"])
            asking.send_task("maintenance.sweep", args=["audit"], queue="maintenance")
            begun = eventually(lambda: written(folder / "begun"), 30)
            fill()
            began = time.monotonic()
            worker.send_signal(signal.SIGTERM)
            status = worker.wait(2 * OUT_SECONDS)
            return Stopped(time.monotonic() - began, status, int(begun))
        finally:
            worker.kill()


@contextmanager
def an_output(folder: Path, *, is_heard: bool) -> Iterator[tuple[int, Callable[[], object]]]:
    """Yield what a process may write to, and what fills it up unless it `is_heard`."""
    if is_heard:
        with (folder / "told").open("w") as told:
            yield told.fileno(), lambda: None
        return
    unread, output = os.pipe()
    with ExitStack() as stack:
        stack.callback(os.close, unread)
        stack.callback(os.close, output)

        def fill() -> None:
            yes = stack.enter_context(subprocess.Popen(["yes"], stdout=output))
            stack.callback(yes.kill)
            eventually(lambda: not select.select([], [output], [], 0)[1])

        yield output, fill


def written(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def is_gone(pid: int) -> bool:
    try:
        return (
            psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        )  # nobody has asked for its end yet
    except psutil.NoSuchProcess:
        return True


def database_in(folder: Path) -> str:
    return f"sqlite:///{folder / 'sluice.db'}"
