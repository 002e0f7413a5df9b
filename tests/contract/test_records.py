"""What every database must do: transactions, uploads, chunks, idempotency keys and quotas."""

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from shared.adapters.records_sql import SqlRecords
from shared.model.lifecycle import FINAL_UPLOADS, UPLOADS, Event, UploadState
from shared.model.upload import Transfer, Upload
from shared.records import Transaction
from tests.support.builders import a_chunk, an_upload

HOUR = timedelta(hours=1)
NOW = timedelta()
ALICE = ("default", "alice")


def test_a_block_that_ends_commits(records: SqlRecords) -> None:
    with records.begin() as rows:
        made = rows.uploads.add(an_upload(), HOUR)

    with records.read() as rows:
        assert rows.uploads.find(made.id) == made


def test_a_block_that_raises_leaves_nothing(records: SqlRecords) -> None:
    upload = an_upload()

    with pytest.raises(KeyError), records.begin() as rows:
        rows.uploads.add(upload, HOUR)
        rows.quotas.reserve("default", 10)
        rows.uploads.remember(ALICE, "key", "f", upload.id)
        raise KeyError

    with records.read() as rows:
        assert rows.uploads.find(upload.id) is None
        assert rows.uploads.remembered(ALICE, "key") is None
    assert quota(records) is None


def test_the_clock_is_the_databases_and_goes_on_inside_a_transaction(records: SqlRecords) -> None:
    with records.begin() as rows:
        first = rows.now()
        rows.uploads.add(an_upload(), HOUR)
        seen = {rows.now() for _ in range(2000)}

    assert min(seen) >= first
    assert len(seen) > 1
    assert first.tzinfo is not None


def test_closing_and_opening_again_finds_what_was_committed(database_url: str) -> None:
    with closing(SqlRecords(database_url)) as records, records.begin() as rows:
        made = rows.uploads.add(an_upload(), HOUR)

    with closing(SqlRecords(database_url)) as records, records.read() as rows:
        assert rows.uploads.find(made.id) == made


def test_what_reads_sees_one_moment_and_what_comes_next_the_news(records: SqlRecords) -> None:
    with records.begin() as rows:
        upload = rows.uploads.add(an_upload(), HOUR)

    with records.read() as rows:
        before = rows.uploads.find(upload.id)
        with records.begin() as others:
            others.uploads.advance(upload.id, Event.SEAL)
        seen = rows.uploads.find(upload.id), rows.uploads.known([upload.id])

    assert seen == (before, {upload.id: before})
    with records.read() as rows:
        assert rows.uploads.known([upload.id])[upload.id].state is UploadState.SEALED


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_writes_sees_the_news_also_on_a_connection_that_read_before(
    database_url: str,
) -> None:
    with (
        closing(SqlRecords(database_url, pool_size=1)) as records,
        closing(SqlRecords(database_url)) as others,
    ):
        with records.read() as rows:
            rows.now()
        with records.begin() as rows:
            upload = an_upload()
            assert rows.uploads.find(upload.id) is None
            with others.begin() as elsewhere:
                elsewhere.uploads.add(upload, HOUR)
            assert rows.uploads.hold(upload.id, UploadState.RECEIVING)


def test_the_check_of_a_database_that_answers_is_silent(records: SqlRecords) -> None:
    records.check()


def test_an_upload_comes_back_as_it_was_added_with_the_databases_times(rows: Transaction) -> None:
    upload = an_upload(
        size=None, expires_in=60, folder="a/b", description="'; -- ☃", sha256="0" * 64
    )

    before = rows.now()
    made = rows.uploads.add(upload, HOUR)

    assert replace(made, **times(upload)) == upload
    assert rows.uploads.find(upload.id) == made
    assert made.created_at >= before
    assert abs(made.expires_at - made.created_at - HOUR) < timedelta(seconds=1)


def test_what_is_not_there_is_none(rows: Transaction) -> None:
    assert rows.uploads.find("nothing") is None
    assert rows.uploads.remembered(ALICE, "nothing") is None
    assert rows.chunks.of("nothing") == []
    assert rows.chunks.names("nothing") == set()


def test_bytes_are_counted_while_an_upload_is_receiving(rows: Transaction) -> None:
    upload = rows.uploads.add(an_upload(size=None, reserved=0), HOUR)

    assert rows.uploads.add_bytes(upload.id, 3, at=None, reserve=3)
    assert rows.uploads.add_bytes(upload.id, 4, at=3, reserve=4)

    assert counted(rows, upload) == (7, 7)


@pytest.mark.parametrize(("left", "lasts"), [(0.5, 1), (0.995, 0.995), (1.9, 1.9), (5, 1)])
def test_bytes_give_an_upload_time_for_the_next(
    rows: Transaction, left: float, lasts: float
) -> None:
    upload = rows.uploads.add(an_upload(), left * HOUR)

    assert rows.uploads.add_bytes(upload.id, 3, at=None, reserve=0, lifetime=HOUR)

    now = rows.uploads.find(upload.id)
    assert now is not None
    assert abs(now.expires_at - upload.created_at - lasts * HOUR) < timedelta(seconds=5)


def test_bytes_at_another_offset_change_nothing(rows: Transaction) -> None:
    upload = rows.uploads.add(an_upload(received=5), HOUR)

    assert not rows.uploads.add_bytes(upload.id, 3, at=4, reserve=3)

    assert counted(rows, upload) == (5, 10)


@pytest.mark.parametrize("state", sorted(set(UploadState) - {UploadState.RECEIVING}))
def test_bytes_for_an_upload_that_is_not_receiving_change_nothing(
    rows: Transaction, state: UploadState
) -> None:
    upload = rows.uploads.add(an_upload(state=state), HOUR)

    assert not rows.uploads.add_bytes(upload.id, 3, at=None, reserve=0)

    assert counted(rows, upload) == (0, 10)


def test_an_event_moves_an_upload_only_from_where_it_starts(rows: Transaction) -> None:
    for state in UploadState:
        for event in Event:
            upload = rows.uploads.add(an_upload(state=state), HOUR)

            moved = rows.uploads.advance(upload.id, event)

            target = UPLOADS.get((state, event))
            assert moved is (target is not None)
            assert found(rows, upload).state is (target or state)


def test_settling_writes_what_became_known_and_nothing_else(rows: Transaction) -> None:
    upload = rows.uploads.add(an_upload(size=None), HOUR)

    rows.uploads.settle(upload.id, size=7, sha256="f" * 64, reserved=0)

    assert found(rows, upload) == replace(upload, size=7, sha256="f" * 64, reserved=0)


def test_an_idempotency_key_belongs_to_its_first_upload_and_its_caller(rows: Transaction) -> None:
    assert rows.uploads.remember(ALICE, "key", "f1", "u1")
    assert not rows.uploads.remember(ALICE, "key", "f2", "u2")
    assert rows.uploads.remember(("default", "bob"), "key", "f3", "u3")
    assert rows.uploads.remember(("other", "alice"), "key", "f4", "u4")
    assert rows.uploads.remember(ALICE, "another", "f5", "u5")

    assert rows.uploads.remembered(ALICE, "key") == ("f1", "u1")
    assert rows.uploads.remembered(("default", "bob"), "key") == ("f3", "u3")
    assert rows.uploads.remembered(("other", "alice"), "key") == ("f4", "u4")


def test_expired_uploads_are_those_receiving_past_their_time_the_oldest_first(
    rows: Transaction,
) -> None:
    late = rows.uploads.add(an_upload(), -HOUR)
    latest = rows.uploads.add(an_upload(), -2 * HOUR)
    rows.uploads.add(an_upload(), HOUR)
    rows.uploads.add(an_upload(state=UploadState.SEALED), -HOUR)
    straight = rows.uploads.add(an_upload(transfer=Transfer.DIRECT), -3 * HOUR)
    rows.uploads.add(an_upload(transfer=Transfer.DIRECT), -HOUR)

    assert rows.uploads.expired(10, directly=False) == [latest, late]
    assert rows.uploads.expired(1, directly=False) == [latest]
    assert rows.uploads.expired(10, directly=True, older_than=2 * HOUR) == [straight]


def test_failed_uploads_are_listed_while_they_hold_bytes_or_room(rows: Transaction) -> None:
    failed = {"state": UploadState.FAILED}
    with_room = rows.uploads.add(an_upload(**failed), HOUR)
    with_bytes = rows.uploads.add(an_upload(reserved=0, **failed), HOUR)
    rows.chunks.add([a_chunk(with_bytes.id)])
    rows.uploads.add(an_upload(reserved=0, **failed), HOUR)
    rows.uploads.add(an_upload(), HOUR)

    assert ids(rows.uploads.failed(NOW, 10)) == {with_room.id, with_bytes.id}
    assert len(rows.uploads.failed(NOW, 1)) == 1
    assert rows.uploads.failed(HOUR, 10) == []


def test_holding_an_upload_changes_nothing_of_it(rows: Transaction) -> None:
    upload = rows.uploads.add(an_upload(state=UploadState.FAILED), HOUR)

    assert rows.uploads.hold(upload.id, UploadState.FAILED)
    assert not rows.uploads.hold(upload.id, UploadState.READY)

    assert found(rows, upload) == upload


def test_ended_uploads_hold_neither_bytes_nor_room_nor_intents(rows: Transaction) -> None:
    def ended(**said: object) -> Upload:
        return rows.uploads.add(
            an_upload(**{"state": UploadState.READY, "reserved": 0, **said}), HOUR
        )

    done = {ended(state=state).id for state in FINAL_UPLOADS}
    linked = ended()
    rows.objects.intend("linked", linked.id)
    rows.objects.link(["linked"])
    rows.objects.intend("intended", ended().id)
    rows.chunks.add([a_chunk(ended().id)])
    ended(reserved=1)
    ended(state=UploadState.RECEIVING)

    assert ids(rows.uploads.ended(NOW, 20)) == done | {linked.id}
    assert rows.uploads.ended(HOUR, 20) == []


def test_known_uploads_are_those_that_are_there(rows: Transaction) -> None:
    one, two = (rows.uploads.add(an_upload(), HOUR) for _ in range(2))

    assert rows.uploads.known([one.id, "nothing", two.id]) == {one.id: one, two.id: two}
    assert rows.uploads.known([]) == {}


def test_a_dropped_upload_takes_its_chunks_and_keys_along(rows: Transaction) -> None:
    upload, other = (rows.uploads.add(an_upload(), HOUR) for _ in range(2))
    rows.chunks.add([a_chunk(upload.id), a_chunk(other.id)])
    rows.uploads.remember(ALICE, "key", "f", upload.id)

    rows.uploads.drop([upload.id])

    assert rows.uploads.find(upload.id) is None
    assert rows.chunks.of(upload.id) == []
    assert rows.uploads.remembered(ALICE, "key") is None
    assert rows.uploads.find(other.id) == other
    assert len(rows.chunks.of(other.id)) == 1


def test_chunks_come_back_in_the_files_order(rows: Transaction) -> None:
    upload = rows.uploads.add(an_upload(), HOUR)
    last, first, middle = (
        a_chunk(upload.id, 10, crc64=0),
        a_chunk(upload.id, 2, offset=0, crc64=2**64 - 1),
        a_chunk(upload.id, 2, offset=4, length=2**40),
    )

    assert rows.chunks.add([last])
    assert rows.chunks.add([middle, first])

    assert rows.chunks.of(upload.id) == [first, middle, last]
    assert rows.chunks.of(upload.id, 2) == [first, middle]
    assert rows.chunks.of(upload.id, 3) == []
    assert rows.chunks.names(upload.id) == {first.name, middle.name, last.name}


def test_of_many_chunks_with_one_that_is_there_none_stays(records: SqlRecords) -> None:
    with records.begin() as rows:
        upload = rows.uploads.add(an_upload(), HOUR)
        there = a_chunk(upload.id, 5)
        rows.chunks.add([there])

    with pytest.raises(KeyError), records.begin() as rows:
        assert not rows.chunks.add([a_chunk(upload.id, number) for number in range(10)])
        raise KeyError

    with records.read() as rows:
        assert rows.chunks.of(upload.id) == [there]


def test_no_chunks_and_thousands_of_chunks_are_added(rows: Transaction) -> None:
    upload = rows.uploads.add(an_upload(), HOUR)

    assert rows.chunks.add([])
    assert rows.chunks.add([a_chunk(upload.id, n, name=str(n)) for n in range(11_000)])
    assert not rows.chunks.add([a_chunk(upload.id, n, name=str(n)) for n in range(10_999, 12_500)])

    assert len(rows.chunks.names(upload.id)) == 12_500


def test_short_chunks_of_an_upload_are_counted(rows: Transaction) -> None:
    upload, other = (rows.uploads.add(an_upload(), HOUR) for _ in range(2))
    lengths = (1, 2, 3, 3)
    rows.chunks.add([a_chunk(upload.id, n, length=each) for n, each in enumerate(lengths)])
    rows.chunks.add([a_chunk(other.id, length=1)])

    assert [rows.chunks.below(upload.id, length) for length in (1, 2, 3, 4)] == [0, 1, 2, 4]


def test_dropped_chunks_are_gone(rows: Transaction) -> None:
    upload = rows.uploads.add(an_upload(), HOUR)
    rows.chunks.add([a_chunk(upload.id)])

    for _ in range(2):
        rows.chunks.drop(upload.id)

    assert rows.chunks.of(upload.id) == []


def test_without_a_limit_every_reservation_fits(records: SqlRecords) -> None:
    with records.begin() as rows:
        assert rows.quotas.reserve("default", 2**60)
        assert rows.quotas.reserve("default", 2**60)

    assert quota(records) == (0, 2**61)


def test_a_reservation_fits_up_to_the_last_byte_of_the_limit(records: SqlRecords) -> None:
    limit(records, 100)

    with records.begin() as rows:
        assert rows.quotas.reserve("default", 60)
        rows.quotas.use("default", 50, 60)
        assert not rows.quotas.reserve("default", 51)
        assert rows.quotas.reserve("default", 50)
        assert not rows.quotas.reserve("default", 1)
        assert rows.quotas.reserve("other", 1)

    assert quota(records) == (50, 50)


def test_room_that_is_given_back_can_be_reserved_again(records: SqlRecords) -> None:
    limit(records, 100)

    with records.begin() as rows:
        rows.quotas.reserve("default", 100)
        rows.quotas.release("default", 40)
        assert rows.quotas.reserve("default", 40)
        rows.quotas.use("default", 100, 100)
        rows.quotas.free("default", 30)
        assert rows.quotas.reserve("default", 30)
        assert not rows.quotas.reserve("default", 1)

    assert quota(records) == (70, 30)


def times(upload: Upload) -> dict[str, Any]:
    return {
        "created_at": upload.created_at,
        "updated_at": upload.updated_at,
        "expires_at": upload.expires_at,
    }


def found(rows: Transaction, upload: Upload) -> Upload:
    row = rows.uploads.find(upload.id)
    assert row is not None
    return replace(row, updated_at=upload.updated_at)


def counted(rows: Transaction, upload: Upload) -> tuple[int, int]:
    row = found(rows, upload)
    return row.received, row.reserved


def ids(uploads: list[Upload]) -> set[str]:
    return {upload.id for upload in uploads}


def limit(records: SqlRecords, size: int) -> None:
    statement = (
        "INSERT INTO quotas (tenant, limit_bytes, used, reserved) VALUES ('default', :n, 0, 0)"
    )
    with records._engine.begin() as connection:
        connection.execute(text(statement), {"n": size})


def quota(records: SqlRecords) -> tuple[int, int] | None:
    statement = "SELECT used, reserved FROM quotas WHERE tenant = 'default'"
    with records._engine.connect() as connection:
        row = connection.execute(text(statement)).first()
    return None if row is None else (row.used, row.reserved)
