"""One row decides: of many at once one wins, and the losers have changed nothing."""

import multiprocessing
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from shared.adapters.records_sql import SqlRecords
from shared.model.lifecycle import Event
from shared.model.webhook import LEASE
from tests.support.builders import a_chunk, a_delivery, a_job, a_webhook, an_upload
from tests.support.races import at_once

HOUR = timedelta(hours=1)
OVER = -timedelta(seconds=1)
ALICE = ("default", "alice")


def test_of_eight_claims_one_wins_and_the_fence_only_grows(records: SqlRecords) -> None:
    with records.begin() as rows:
        job = rows.jobs.add(a_job())

    def claim(worker: str, lease: timedelta) -> tuple[int, str] | None:
        with records.begin() as rows:
            claimed = rows.jobs.claim(job.id, worker, lease, max_attempts=100)
        return None if claimed is None else (claimed.fence, worker)

    fences: list[int] = []
    for round_ in range(5):
        names = [f"{round_}.{n}" for n in range(8)]
        won = [each for each in at_once(partial(claim, name, HOUR) for name in names) if each]
        assert len(won) == 1
        fences.append(won[0][0])
        with records.begin() as rows:
            found = rows.jobs.find(job.id)
            assert found is not None
            assert (found.worker, found.attempts) == (won[0][1], round_ + 1)
            rows.jobs.beat(job.id, found.fence, OVER)
            assert rows.jobs.release(rows.jobs.many([job.id]), HOUR) == [job.id]

    assert fences == sorted(set(fences))


def test_of_eight_who_take_over_at_once_each_gets_a_fence_of_its_own(records: SqlRecords) -> None:
    with records.begin() as rows:
        job = rows.jobs.add(a_job())

    def claim(worker: str) -> int:
        claimed = None
        while claimed is None:
            with records.begin() as rows:
                rows.jobs.release(rows.jobs.many([job.id]), HOUR)
            with records.begin() as rows:
                claimed = rows.jobs.claim(job.id, worker, OVER, max_attempts=100)
        return claimed.fence

    fences = at_once(partial(claim, str(n)) for n in range(8))

    assert sorted(fences) == list(range(1, 9))


def test_of_eight_seals_one_moves_the_upload(records: SqlRecords) -> None:
    with records.begin() as rows:
        upload = rows.uploads.add(an_upload(), HOUR)

    def seal() -> bool:
        with records.begin() as rows:
            if not rows.uploads.advance(upload.id, Event.SEAL):
                return False
            rows.jobs.add(a_job(upload.id))
            return True

    assert sorted(at_once([seal] * 8)) == [False] * 7 + [True]


def test_of_eight_uploads_under_one_key_one_is_made(records: SqlRecords) -> None:
    def open_upload() -> str:
        upload = an_upload()
        with records.begin() as rows:
            if rows.uploads.remember(ALICE, "key", "f", upload.id):
                rows.quotas.reserve("default", 10)
                rows.uploads.add(upload, HOUR)
                return upload.id
            known = rows.uploads.remembered(ALICE, "key")
            assert known is not None
            assert rows.uploads.find(known[1]) is not None
            return known[1]

    answers = at_once([open_upload] * 8)

    assert len(set(answers)) == 1
    assert quota(records) == (0, 10)


def test_sixty_four_reservations_at_a_limit_fill_it_exactly(records: SqlRecords) -> None:
    limit(records, 1000)

    def reserve(size: int) -> int:
        with records.begin() as rows:
            return size if rows.quotas.reserve("default", size) else 0

    reserved = at_once(partial(reserve, 30) for _ in range(64))

    assert sum(reserved) == 990
    assert quota(records) == (0, 990)


def test_reservations_uses_and_releases_at_once_leave_the_sum(records: SqlRecords) -> None:
    limit(records, 10_000)

    def life(number: int) -> int:
        size, used = 10 + number, 5 + number
        with records.begin() as rows:
            assert rows.quotas.reserve("default", size)
        with records.begin() as rows:
            if number % 3 == 0:
                rows.quotas.release("default", size)
                return 0
            rows.quotas.use("default", used, size)
        if number % 3 == 1:
            return used
        with records.begin() as rows:
            rows.quotas.free("default", used)
        return 0

    used = at_once(partial(life, number) for number in range(24))

    assert quota(records) == (sum(used), 0)


def test_a_transaction_that_fails_gives_its_reservation_back(records: SqlRecords) -> None:
    limit(records, 100)

    def reserve(number: int) -> None:
        with suppress(KeyError), records.begin() as rows:
            if rows.quotas.reserve("default", 60) and number % 2:
                raise KeyError

    for _ in range(3):
        at_once(partial(reserve, number) for number in range(1, 16, 2))

    assert quota(records) == (0, 0)


def test_of_eight_who_take_a_lease_one_has_it(records: SqlRecords) -> None:
    def take(holder: str) -> bool:
        with records.begin() as rows:
            return rows.leases.take("sweep", holder, HOUR)

    assert sum(at_once(partial(take, str(n)) for n in range(8))) == 1


def test_bytes_of_many_chunks_at_once_are_all_counted(records: SqlRecords) -> None:
    with records.begin() as rows:
        upload = rows.uploads.add(an_upload(size=None, reserved=0), HOUR)

    def receive(number: int) -> None:
        with records.begin() as rows:
            assert rows.uploads.add_bytes(upload.id, number, at=None, reserve=number)
            assert rows.chunks.add([a_chunk(upload.id, number, length=number)])

    at_once(partial(receive, number) for number in range(1, 17))

    with records.read() as rows:
        found = rows.uploads.find(upload.id)
        assert found is not None
        assert found.received == found.reserved == sum(range(1, 17))
        assert [chunk.number for chunk in rows.chunks.of(upload.id)] == list(range(1, 17))


def test_of_eight_appends_at_one_offset_one_is_counted(records: SqlRecords) -> None:
    with records.begin() as rows:
        upload = rows.uploads.add(an_upload(size=None), HOUR)

    def append() -> bool:
        with records.begin() as rows:
            return rows.uploads.add_bytes(upload.id, 5, at=0, reserve=0)

    assert sum(at_once([append] * 8)) == 1


def test_no_chunk_is_added_to_an_upload_that_is_sealed_meanwhile(records: SqlRecords) -> None:
    for _ in range(5):
        with records.begin() as rows:
            upload = rows.uploads.add(an_upload(size=None), HOUR)

        def receive(number: int, upload_id: str = upload.id) -> bool:
            with records.begin() as rows:
                if not rows.uploads.add_bytes(upload_id, 1, at=None, reserve=0):
                    return False
                return rows.chunks.add([a_chunk(upload_id, number)])

        def seal(upload_id: str = upload.id) -> bool:
            with records.begin() as rows:
                rows.uploads.advance(upload_id, Event.SEAL)
                found = rows.uploads.find(upload_id)
                assert found is not None
                assert found.received == len(rows.chunks.of(upload_id))
                rows.uploads.settle(upload_id, size=found.received)
            return False

        works: list[Callable[[], bool]] = [partial(receive, number) for number in range(6)]
        added = sum(at_once([*works, seal]))

        with records.read() as rows:
            found = rows.uploads.find(upload.id)
            assert found is not None
            assert found.size == found.received == added == len(rows.chunks.of(upload.id))


def test_of_eight_who_claim_a_delivery_one_makes_the_call(records: SqlRecords) -> None:
    with records.begin() as rows:
        delivery = a_delivery(rows.webhooks.add(a_webhook()).id)
        rows.webhooks.owe([delivery])

    def claim() -> bool:
        with records.begin() as rows:
            return rows.webhooks.claim(delivery.id, LEASE) is not None

    assert sum(at_once([claim] * 8)) == 1


def test_one_event_owed_by_many_at_once_is_owed_once(records: SqlRecords) -> None:
    with records.begin() as rows:
        webhook = rows.webhooks.add(a_webhook())

    def owe() -> None:
        with records.begin() as rows:
            rows.webhooks.owe([a_delivery(webhook.id, event_id="evt")])

    at_once([owe] * 8)

    with records.read() as rows:
        assert len(rows.webhooks.due(10)) == 1


def write_much(url: str, name: str, failed: Any) -> None:
    records = SqlRecords(url)

    def write(thread: int) -> None:
        for number in range(12):
            with records.begin() as rows:
                assert rows.uploads.find("nothing") is None  # a read before the first write
                upload = rows.uploads.add(an_upload(), HOUR)
                rows.chunks.add([a_chunk(upload.id, each) for each in range(5)])
                rows.quotas.reserve("default", 1)
                rows.leases.take(f"{name}.{thread}.{number}", name, HOUR)

    try:
        at_once(partial(write, thread) for thread in range(16))
    except BaseException:
        failed.set()
        raise
    finally:
        records.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_sixteen_writers_in_each_of_two_processes_never_find_sqlite_locked(
    database_url: str,
) -> None:
    context = multiprocessing.get_context("spawn")
    failed = context.Event()
    writers = [
        context.Process(target=write_much, args=(database_url, name, failed)) for name in "ab"
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    records = SqlRecords(database_url)
    counted = quota(records)
    records.close()
    assert not failed.is_set()
    assert counted == (0, 2 * 16 * 12)


def limit(records: SqlRecords, size: int) -> None:
    statement = (
        "INSERT INTO quotas (tenant, limit_bytes, used, reserved) VALUES ('default', :n, 0, 0)"
    )
    with records._engine.begin() as connection:
        connection.execute(text(statement), {"n": size})


def quota(records: SqlRecords) -> tuple[int, int]:
    statement = "SELECT used, reserved FROM quotas WHERE tenant = 'default'"
    with records._engine.connect() as connection:
        row = connection.execute(text(statement)).one()
    return row.used, row.reserved
