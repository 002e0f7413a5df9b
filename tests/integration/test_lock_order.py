"""Rows are taken in one order: uploads by id, keys, quotas. Nobody waits for another for ever."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shared.errors import NameTaken
from shared.model.layout import Layout
from shared.model.upload import NewUpload, Transfer, Upload
from shared.services.copies import NewCopy
from shared.services.joining import Parts
from tests.support.factory import UPLOADS, Factory, a_factory
from tests.support.races import waiting_for_locks
from tests.support.straight import StraightObjects
from tests.support.waiting import eventually
from tests.support.workshop import ALICE, Bytes

BARE = Layout("{name}")
SOON = 1  # seconds, after which PostgreSQL finds a deadlock


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
        assert time.monotonic() - began < SOON


def test_who_revokes_a_grant_takes_all_uploads_before_the_quota(
    postgres_rows: str, tmp_path: Path
) -> None:
    store = StraightObjects(tmp_path / "objects", base_url="http://sluice", secret="s" * 32)
    with (
        a_factory(tmp_path, postgres_rows, objects=store) as factory,
        psycopg.connect(postgres_rows) as cancelling,
        psycopg.connect(postgres_rows, autocommit=True) as looking,
    ):
        grant, _ = factory.services.grants.give(ALICE, None)
        new = NewUpload("notes.txt", size=5, transfer=Transfer.DIRECT, grant_id=grant.id)
        _, last = (factory.services.uploads.open(ALICE, new) for _ in range(2))
        cancelling.execute("UPDATE uploads SET state = 'cancelled' WHERE id = %s", [last.id])
        revoking = threading.Thread(target=lambda: factory.services.grants.revoke(ALICE, grant.id))
        revoking.start()
        assert eventually(lambda: waiting_for_locks(looking) == 1)

        began = time.monotonic()
        cancelling.execute("UPDATE quotas SET reserved = reserved - 5")
        cancelling.commit()
        revoking.join()

        assert time.monotonic() - began < SOON
        assert factory.quota() == (0, 0)


def test_last_bytes_of_uploads_that_wait_for_the_same_parts_never_wait_for_each_other(
    postgres_rows: str, tmp_path: Path
) -> None:
    with (
        a_factory(tmp_path, postgres_rows) as factory,
        psycopg.connect(postgres_rows) as holding,
        psycopg.connect(postgres_rows, autocommit=True) as looking,
    ):
        one, two, first, second = (a_part(factory) for _ in range(4))
        for part in (one, two):
            append(factory, part)()
        join(factory, two, one, first)
        join(factory, one, two, second)
        holding.execute("SELECT 1 FROM uploads WHERE id = %s FOR UPDATE", [two.id])
        threads = [threading.Thread(target=append(factory, part)) for part in (first, second)]
        for number, thread in enumerate(threads, 1):
            thread.start()
            assert eventually(partial(are_waiting, looking, number))

        began = time.monotonic()
        holding.commit()
        for thread in threads:
            thread.join()

        assert time.monotonic() - began < SOON
        assert len(factory.query("SELECT 1 FROM jobs")) == 1
        states = factory.query("SELECT state FROM uploads WHERE state = 'joined'")
        assert len(states) == 3


def are_waiting(looking: psycopg.Connection[Any], number: int) -> bool:
    return waiting_for_locks(looking) == number


def a_part(factory: Factory) -> Upload:
    resuming = factory.services.resuming
    new = NewUpload("u", 5, transfer=Transfer.PART)
    return resuming.enter(resuming.open(ALICE, new, None).capability)


def append(factory: Factory, part: Upload) -> Callable[[], object]:
    return lambda: factory.services.resuming.append(ALICE, part, 0, Bytes(b"hello"))


def join(factory: Factory, *parts: Upload) -> None:
    ids = [part.id for part in parts]
    factory.services.resuming.join(ALICE, NewUpload("notes.txt"), None, Parts(ids, repr(ids)))
