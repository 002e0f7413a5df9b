"""A PostgreSQL that is frozen holds nobody for long, and hardly anybody a second time."""

import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from time import monotonic

import psutil
import pytest
from sqlalchemy import text

from shared.adapters.records_sql import SqlRecords
from shared.errors import Unavailable
from shared.records import Transaction
from tests.support import servers
from tests.support.frost import frozen, postgresql_at
from tests.support.races import at_once
from tests.support.waiting import eventually

END_SECONDS = 4.0


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server of its own: the others are not to be frozen."""
    with servers.postgresql() as made:
        yield made


@pytest.fixture
def server(url: str) -> psutil.Process:
    return postgresql_at(url)


@pytest.fixture
def records(url: str) -> Iterator[SqlRecords]:
    with closing(SqlRecords(url, pool_size=4, transaction_seconds=END_SECONDS)) as made:
        yield made


def test_of_many_requests_none_waits_long_and_the_next_not_at_all(
    records: SqlRecords, server: psutil.Process
) -> None:
    at_once([records.check] * 8)

    with frozen(server):
        first = at_once([lambda: refused_after(records)] * 64)
        later = [refused_after(records) for _ in range(10)]

    assert max(first) < 6
    assert max(later) < 1


def test_one_that_comes_first_waits_two_seconds_for_a_connection(
    records: SqlRecords, server: psutil.Process
) -> None:
    with frozen(server):
        took = refused_after(records)

    assert took < 6
    eventually(lambda: answers(records), 5)


def test_it_is_used_again_soon_after_it_wakes(records: SqlRecords, server: psutil.Process) -> None:
    records.check()
    with frozen(server):
        refused_after(records)
        refused_after(records)

    eventually(lambda: answers(records), 5)


def test_a_transaction_under_way_ends_at_its_end(
    records: SqlRecords, server: psutil.Process
) -> None:
    with pytest.raises(Unavailable), records.begin() as rows:
        rows.now()
        began = monotonic()
        with frozen(server):
            rows.now()

    assert monotonic() - began < END_SECONDS + 1


def test_whoever_waits_for_a_connection_is_told_before_those_end_that_hold_them(
    url: str, server: psutil.Process
) -> None:
    with closing(SqlRecords(url, pool_size=1, transaction_seconds=8)) as records:
        inside, go = threading.Semaphore(0), threading.Event()

        def hangs() -> None:
            with suppress(Unavailable), records.begin() as rows:
                inside.release()
                go.wait()
                rows.now()

        holders = [threading.Thread(target=hangs) for _ in range(2)]
        for holder in holders:
            holder.start()
            inside.acquire()
        with frozen(server):
            go.set()
            waited, later = refused_after(records), refused_after(records)
        for holder in holders:
            holder.join()

    assert waited < 4
    assert later < 0.1


def test_a_statement_that_takes_too_long_is_unavailable_and_no_silence(
    records: SqlRecords,
) -> None:
    began = monotonic()
    with pytest.raises(Unavailable), records.begin() as rows:
        said(rows, "SELECT pg_sleep(30)")

    assert monotonic() - began < END_SECONDS + 1
    records.check()


def test_time_that_we_take_ourselves_ends_no_transaction(url: str) -> None:
    with closing(SqlRecords(url, transaction_seconds=0)) as records, records.begin() as rows:
        assert said(rows, "SELECT pg_sleep(0.3) IS NOT NULL")


def test_the_server_ends_a_statement_before_we_do(records: SqlRecords) -> None:
    with records.read() as rows:
        assert said(rows, "SHOW statement_timeout") == "10s"
        assert said(rows, "SHOW lock_timeout") == "8s"


def said(rows: Transaction, statement: str) -> object:
    connection = rows.uploads._connection  # type: ignore[attr-defined]  # SqlUploadRows
    answer: object = connection.execute(text(statement)).scalar_one()
    return answer


def refused_after(records: SqlRecords) -> float:
    began = monotonic()
    with pytest.raises(Unavailable):
        records.check()
    return monotonic() - began


def answers(records: SqlRecords) -> bool:
    try:
        records.check()
    except Unavailable:
        return False
    return True
