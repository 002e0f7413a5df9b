"""A database that goes away is `Unavailable`, not a bug; and it is used again once it is back."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, ProgrammingError

from shared.adapters.records_sql import SqlRecords
from shared.errors import Unavailable
from tests.support import servers
from tests.support.builders import an_upload
from tests.support.cable import Cable, a_cable

HOUR = timedelta(hours=1)
ALICE = ("default", "alice")


@pytest.fixture
def cable(postgres_rows: str) -> Iterator[Cable]:
    """A way to a PostgreSQL with all tables."""
    with a_cable(postgres_rows) as made:
        yield made


@pytest.fixture
def far(cable: Cable) -> Iterator[SqlRecords]:
    with closing(SqlRecords(cable.url)) as made:
        yield made


def test_a_stopped_postgresql_is_unavailable() -> None:
    with servers.postgresql() as url:
        servers.make_tables(url)
        records = SqlRecords(url)
        records.check()

    with closing(records):
        for open_one in (records.begin, records.read):
            with pytest.raises(Unavailable), open_one() as rows:
                rows.now()
        with pytest.raises(Unavailable):
            records.check()


def test_a_postgresql_that_comes_back_is_used_again(far: SqlRecords, cable: Cable) -> None:
    far.check()
    cable.cut()
    with pytest.raises(Unavailable) as refusal:
        far.check()
    cable.mend()

    far.check()

    assert (refusal.value.code, refusal.value.retryable) == ("records_unavailable", True)


def test_a_transaction_that_is_cut_leaves_nothing(far: SqlRecords, cable: Cable) -> None:
    upload = an_upload()

    with pytest.raises(Unavailable), far.begin() as rows:
        rows.uploads.add(upload, HOUR)
        cable.cut()
        rows.quotas.reserve("default", 10)

    cable.mend()
    with far.read() as rows:
        assert rows.uploads.find(upload.id) is None


def test_a_connection_that_is_cut_before_the_commit_is_unavailable(
    far: SqlRecords, cable: Cable
) -> None:
    upload = an_upload()

    with pytest.raises(Unavailable), far.begin() as rows:
        rows.uploads.add(upload, HOUR)
        cable.cut()

    cable.mend()
    with far.read() as rows:
        assert rows.uploads.find(upload.id) is None


def test_a_commit_whose_answer_is_lost_has_happened_and_can_be_found(
    far: SqlRecords, cable: Cable
) -> None:
    upload = an_upload()
    cable.loses_the_answer_to(b"COMMIT")

    with pytest.raises(Unavailable), far.begin() as rows:
        rows.uploads.remember(ALICE, "key", "f", upload.id)
        rows.uploads.add(upload, HOUR)

    with far.begin() as rows:
        assert not rows.uploads.remember(ALICE, "key", "f", "another")
        assert rows.uploads.find(upload.id) is not None
    assert cable.lost == 1


def test_an_error_in_our_sql_stays_one(far: SqlRecords) -> None:
    with pytest.raises(ProgrammingError), far.begin() as rows:
        rows.uploads._connection.execute(text("SELEKT"))  # type: ignore[attr-defined]  # SqlUploadRows


def test_an_sqlite_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    with (
        closing(SqlRecords(f"sqlite:///{tmp_path / 'nowhere' / 'sluice.db'}")) as records,
        pytest.raises(Unavailable),
    ):
        records.check()


def test_an_sqlite_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "sluice.db"
    path.write_bytes(b"something else, and much longer than the header of a database" * 100)

    with closing(SqlRecords(f"sqlite:///{path}")) as records, pytest.raises(Unavailable):
        records.check()


def test_an_error_in_our_sql_stays_one_in_sqlite(tmp_path: Path) -> None:
    with (
        closing(SqlRecords(f"sqlite:///{tmp_path / 'sluice.db'}")) as records,
        pytest.raises(OperationalError),
        records.read() as rows,
    ):
        rows.uploads.find("there are no tables")


def test_a_postgresql_that_has_become_read_only_is_unavailable(postgres_rows: str) -> None:
    url = f"{postgres_rows}?options=-c%20default_transaction_read_only%3Don"
    with (
        closing(SqlRecords(url)) as records,
        pytest.raises(Unavailable),
        records.begin() as rows,
    ):
        rows.uploads.add(an_upload(), HOUR)


def test_a_session_that_an_operator_ends_is_unavailable(postgres_rows: str) -> None:
    with (
        closing(SqlRecords(postgres_rows)) as records,
        psycopg.connect(postgres_rows, autocommit=True) as operator,
        pytest.raises(Unavailable),
        records.begin() as rows,
    ):
        rows.now()
        operator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        rows.now()


def test_a_new_sqlite_that_another_writes_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "sluice.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("CREATE TABLE anything (x)")
        other.execute("BEGIN IMMEDIATE")
        ends = threading.Timer(0.3, lambda: other.execute("COMMIT"))
        ends.start()

        with closing(SqlRecords(f"sqlite:///{path}")) as records:
            records.check()
        ends.join()
