"""Who cancels while a worker begins its next step: neither waits for the other for ever."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from shared.errors import LeaseLost
from shared.model.lifecycle import JobState
from tests.support.factory import a_factory
from tests.support.races import waiting_for_locks
from tests.support.waiting import eventually
from tests.support.workshop import ALICE


def test_who_cancels_and_who_begins_a_step_take_the_rows_in_one_order(
    postgres_rows: str, tmp_path: Path
) -> None:
    with (
        a_factory(tmp_path, postgres_rows) as factory,
        psycopg.connect(postgres_rows) as holding,
        psycopg.connect(postgres_rows, autocommit=True) as looking,
    ):
        job = factory.received(b"hello world")
        claim = factory.claim(job)
        factory.claims.begin_step(claim, "inspect", 0)
        holding.execute("SELECT 1 FROM job_steps WHERE job_id = %s FOR UPDATE", (job.id,))
        outcomes: list[str] = []

        def do(name: str, work: Callable[[], object]) -> threading.Thread:
            def run() -> None:
                try:
                    work()
                    outcomes.append(f"{name} done")
                except LeaseLost:
                    outcomes.append(f"{name} lost")

            before, thread = waiting_for_locks(looking), threading.Thread(target=run)
            thread.start()
            eventually(lambda: waiting_for_locks(looking) > before)
            return thread

        threads = [
            do("cancel", lambda: factory.services.uploads.cancel(ALICE, job.upload_id)),
            do("step", lambda: factory.claims.begin_step(claim, "assemble", 0)),
        ]
        began = time.monotonic()
        holding.commit()
        for thread in threads:
            thread.join()

        assert sorted(outcomes) == ["cancel done", "step lost"]
        assert time.monotonic() - began < 1  # PostgreSQL finds a deadlock after a second
        assert factory.job(job).state is JobState.CANCELLED
