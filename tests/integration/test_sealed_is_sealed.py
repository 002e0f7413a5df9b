"""What was answered with a job goes on with it: who ends what is open comes too late for that."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import update

from shared.adapters.tables import quotas, uploads
from shared.errors import QuotaExceeded
from shared.model.grant import Holder
from shared.model.job import Job
from shared.model.lifecycle import JobState, UploadState
from shared.model.upload import NewUpload
from shared.records import Records, Transaction
from shared.services.reconciling import Reconciled
from shared.services.releasing import give_up
from tests.integration.test_reconciling import told_long_ago
from tests.support.factory import Factory, a_factory
from tests.support.races import waiting_for_locks
from tests.support.straight import StraightObjects
from tests.support.waiting import eventually
from tests.support.workshop import ALICE

TEXT = b"Some notes that are text.\n" * 20


@dataclass
class Interrupted:
    """Records before whose second transaction something else happens."""

    inner: Records
    meanwhile: Callable[[], object]
    begun: int = 0

    def begin(self) -> AbstractContextManager[Transaction]:
        self.begun += 1
        if self.begun == 2:
            self.meanwhile()
        return self.inner.begin()

    def read(self) -> AbstractContextManager[Transaction]:
        return self.inner.read()

    def check(self) -> None:
        self.inner.check()

    def close(self) -> None: ...


@pytest.fixture
def postgres(postgres_rows: str, tmp_path: Path) -> Iterator[Factory]:
    with a_factory(tmp_path, postgres_rows, objects=a_store(tmp_path)) as made:
        yield made


@pytest.fixture
def factory(database_url: str, tmp_path: Path) -> Iterator[Factory]:
    with a_factory(tmp_path, database_url, objects=a_store(tmp_path)) as made:
        yield made


def test_a_revoke_that_meets_a_complete_comes_too_late_for_its_upload(
    postgres: Factory, postgres_rows: str
) -> None:
    services = postgres.services
    grant, capability = services.grants.give(ALICE, None)
    upload_id = sent(postgres, services.grants.enter(capability).holder)
    limited(postgres, None)
    jobs: list[Job] = []
    with (
        psycopg.connect(postgres_rows) as holding,
        psycopg.connect(postgres_rows, autocommit=True) as looking,
    ):
        holding.execute("SELECT 1 FROM quotas FOR UPDATE")
        sealing = threading.Thread(
            target=lambda: jobs.append(services.uploads.complete(ALICE, upload_id))
        )
        revoking = threading.Thread(target=lambda: services.grants.revoke(ALICE, grant.id))
        sealing.start()
        assert eventually(lambda: waiting_for_locks(looking) == 1)
        revoking.start()
        assert eventually(lambda: waiting_for_locks(looking) == 2)
        holding.commit()
        sealing.join()
        revoking.join()

    (job,) = jobs
    assert postgres.upload(job).state is UploadState.SEALED
    assert postgres.run(job).state is JobState.SUCCEEDED


def test_who_found_no_room_does_not_end_what_another_has_sealed_since(factory: Factory) -> None:
    upload_id = sent(factory, Holder(ALICE))
    sealed: list[Job] = []
    limited(factory, len(TEXT) - 1)

    def meanwhile() -> None:
        limited(factory, None)
        sealed.append(factory.services.uploads.complete(ALICE, upload_id))

    service = factory.services.uploads
    direct = replace(service.direct, records=Interrupted(factory.records, meanwhile))

    with pytest.raises(QuotaExceeded):
        replace(service, direct=direct).complete(ALICE, upload_id)

    (job,) = sealed
    assert factory.upload(job).state is UploadState.SEALED
    assert factory.run(job).state is JobState.SUCCEEDED


def test_only_what_is_receiving_is_given_up(factory: Factory) -> None:
    sealed = factory.received(b"hello world")
    running = factory.claim(factory.received(b"hello world")).job
    upload = factory.services.uploads.open(ALICE, NewUpload("notes.txt", size=5))

    with factory.records.begin() as rows:
        given_up = give_up(rows, sealed.upload_id, running.upload_id, upload.id)

    assert given_up == [upload.id]
    assert factory.quota() == (0, 22)
    assert factory.run(sealed).state is JobState.SUCCEEDED


@pytest.mark.parametrize("state", ["cancelled", "expired", "joined"])
def test_a_job_whose_upload_has_ended_without_it_is_cancelled_and_told_of(
    factory: Factory, state: str
) -> None:
    factory.listen()
    job = left_behind(factory, state)
    factory.bell.processed.clear()
    factory.bell.waiting = None

    rounds = [factory.reconciler().round() for _ in range(2)]

    now = factory.job(job)
    assert rounds == [Reconciled(ended=1), Reconciled()]
    assert (now.state, now.error and now.error["code"]) == (
        JobState.CANCELLED,
        "upload_ended",
    )
    assert factory.board.shown[-1].job == now
    assert factory.events() == ["file.failed"]
    assert factory.bell.processed == []


def test_one_whose_lease_runs_is_left_to_its_worker(factory: Factory) -> None:
    job = factory.received(b"hello world")
    factory.claim(job)
    ended(factory, "cancelled")
    told_long_ago(factory, job)

    assert factory.reconciler().round() == Reconciled()


def left_behind(factory: Factory, state: str) -> Job:
    job = factory.received(b"hello world")
    ended(factory, state)
    told_long_ago(factory, job)
    return job


def ended(factory: Factory, state: str) -> None:
    with factory.records._engine.begin() as connection:
        connection.execute(update(uploads).values(state=state, reserved=0))


def a_store(folder: Path) -> StraightObjects:
    return StraightObjects(folder / "objects", base_url="http://sluice", secret="s" * 32)


def sent(factory: Factory, holder: Holder) -> str:
    """Let all bytes of an upload of an unsaid size lie in the store; return its id."""
    opened, targets = factory.services.unsized.open_put(holder, NewUpload("notes.txt"))
    assert isinstance(factory.objects, StraightObjects)
    factory.objects.take(targets.targets[0].url, TEXT)
    return opened.upload.id


def limited(factory: Factory, size: int | None) -> None:
    with factory.records.begin() as rows:
        rows.quotas.reserve("default", 0)
    with factory.records._engine.begin() as connection:
        connection.execute(update(quotas).values(limit_bytes=size))
