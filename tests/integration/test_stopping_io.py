"""The worker of sweeps and deliveries, told to stop in the midst of one that takes an hour."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

from shared.adapters.dispatch_celery import celery_app
from shared.adapters.records_sql import SqlRecords
from tests.support import servers
from tests.support.waiting import eventually

ROOT: Final = Path(__file__).parents[2]
OUT_SECONDS: Final = 25.0
# The worker as it is, but for an audit that finds always more to look at.
ENDLESS: Final = """
import threading
from datetime import timedelta
from itertools import count

import worker.tasks
from shared.services.sweeps.runs import Run, Sweep, Sweeper
from worker.app import app, services


def endless(sweeper: Sweeper, run: Run) -> None:
    print("begun", flush=True)
    for _ in run.through(count()):
        threading.Event().wait(0.1)


hour = timedelta(hours=1)
object.__setattr__(services().sweeps, "sweeps", [Sweep("audit", hour, endless, "", hour)])
"""


def test_a_worker_is_out_soon_whatever_sweep_it_is_in(tmp_path: Path, valkey_url: str) -> None:
    url = f"sqlite:///{tmp_path / 'sluice.db'}"
    servers.make_tables(url)
    (tmp_path / "endless.py").write_text(ENDLESS)
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": f"{ROOT}:{tmp_path}",
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": url,
        "REDIS_URL": f"{valkey_url.rpartition('/')[0]}/9",
        "STORAGE_BACKEND": "local",
        "JWT_SECRET_KEY": "for-tests-only-" * 3,
    }
    command = f"{sys.executable} -m celery -A endless worker -Q maintenance -n io@test -P threads"
    told = tmp_path / "told"
    with (
        told.open("w") as log,
        subprocess.Popen(
            command.split(), cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT
        ) as worker,
    ):
        try:
            asking = celery_app(environment["REDIS_URL"])
            asking.send_task("maintenance.sweep", args=["audit"], queue="maintenance")
            eventually(lambda: "begun" in told.read_text(), 30)
            began = time.monotonic()
            worker.send_signal(signal.SIGTERM)
            worker.wait(OUT_SECONDS)
            took = time.monotonic() - began
        finally:
            worker.kill()

    records = SqlRecords(url)
    with records.begin() as rows:
        last = rows.leases.find("sweep:audit")
        is_free = rows.leases.take("sweep:audit", "another", timedelta(hours=1))
    records.close()
    assert took <= OUT_SECONDS
    assert last is not None
    assert last["result"]["stopped"]
    assert is_free
