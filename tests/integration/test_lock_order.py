"""Rows of keys are taken before those of quotas: nobody who wants both waits for another for ever."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from shared.errors import NameTaken
from shared.model.layout import Layout
from shared.model.upload import NewUpload
from shared.services.copies import NewCopy
from tests.support.factory import UPLOADS, Factory, a_factory
from tests.support.races import waiting_for_locks
from tests.support.waiting import eventually
from tests.support.workshop import ALICE

BARE = Layout("{name}")


def opening(factory: Factory) -> Callable[[], object]:
    new = NewUpload("notes.txt", size=5, layout=BARE, replace=True)
    return lambda: factory.services.uploads.open(ALICE, new)


def copying(factory: Factory) -> Callable[[], object]:
    source = factory.run(factory.received(b"another", "other.txt")).upload_id
    service = replace(factory.services.copies, rules=replace(UPLOADS, layout=BARE))
    return lambda: service.copy(ALICE, source, NewCopy(filename="notes.txt"))


@pytest.mark.parametrize("what", ["open", "copy"])
def test_who_claims_a_key_and_who_deletes_its_file_never_wait_for_each_other(
    postgres_rows: str, tmp_path: Path, what: str
) -> None:
    with (
        a_factory(tmp_path, postgres_rows) as factory,
        psycopg.connect(postgres_rows) as holding,
        psycopg.connect(postgres_rows, autocommit=True) as looking,
    ):
        file_id = factory.run(factory.received(b"hello", "notes.txt", layout=BARE)).upload_id
        claiming = opening(factory) if what == "open" else copying(factory)
        holding.execute("SELECT 1 FROM quotas FOR UPDATE")
        outcomes: list[str] = []

        def do(name: str, work: Callable[[], object]) -> threading.Thread:
            def run() -> None:
                try:
                    work()
                    outcomes.append(f"{name} done")
                except NameTaken:
                    outcomes.append(f"{name} refused")

            before, thread = waiting_for_locks(looking), threading.Thread(target=run)
            thread.start()
            # Who is refused by the key alone never comes to the quota.
            assert eventually(lambda: waiting_for_locks(looking) > before or not thread.is_alive())
            return thread

        threads = [
            do(what, claiming),
            do("delete", lambda: factory.services.files.delete(ALICE, file_id, hard=True)),
        ]
        began = time.monotonic()
        holding.commit()
        for thread in threads:
            thread.join()

        assert sorted(outcomes) == sorted(
            ["delete done", "open done" if what == "open" else "copy refused"]
        )
        assert time.monotonic() - began < 1  # PostgreSQL finds a deadlock after a second
