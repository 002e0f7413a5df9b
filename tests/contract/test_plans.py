"""How databases plan: a page of a list is read from an index, never sorted; what is rare has its own."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from shared.adapters.records_sql import SqlRecords
from shared.model.file import FileQuery
from shared.model.lifecycle import UploadState
from shared.records import Transaction
from tests.support.builders import an_upload


@pytest.fixture
def records(sqlite_url: str) -> Iterator[SqlRecords]:
    with closing(SqlRecords(sqlite_url)) as made:
        yield made


@pytest.mark.parametrize("owner", ["alice", None])
@pytest.mark.parametrize("sort", ["created_at", "filename", "size"])
@pytest.mark.parametrize("descending", [True, False])
def test_a_page_comes_in_the_order_of_an_index(
    records: SqlRecords, owner: str | None, sort: str, *, descending: bool
) -> None:
    query = FileQuery("default", owner, sort=sort, descending=descending)

    plan = plan_of(records, query)

    assert "USING INDEX ix_files_tenant" in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize("owner", ["alice", None])
def test_a_prefix_is_a_range_of_an_index(records: SqlRecords, owner: str | None) -> None:
    query = FileQuery("default", owner, prefix="uploads/2024", sort="key", descending=False)

    plan = plan_of(records, query)

    assert "key>? AND key<?" in plan
    assert "USING INDEX ix_files_tenant" in plan
    assert "TEMP B-TREE" not in plan


def test_those_that_have_ended_and_hold_room_are_found_without_reading_the_others(
    database_url: str,
) -> None:
    with closing(SqlRecords(database_url)) as records:
        with records.begin() as rows:
            for _ in range(1000):
                rows.uploads.add(an_upload(state=UploadState.READY, reserved=0), timedelta())
            hoarder = rows.uploads.add(an_upload(state=UploadState.REJECTED), timedelta())
        if records._engine.dialect.name == "postgresql":  # which does that by itself, in time
            with records._engine.begin() as connection:
                connection.execute(text("ANALYZE uploads"))

        plan = plan_of_asking(records, lambda rows: rows.uploads.hoarding(timedelta(), 500))
        with records.read() as rows:
            found = rows.uploads.hoarding(timedelta(), 500)

    assert "ix_uploads_hoarding" in plan
    assert found == [hoarder]


def plan_of(records: SqlRecords, query: FileQuery) -> str:
    return plan_of_asking(records, lambda rows: rows.files.page(query))


def plan_of_asking(records: SqlRecords, ask: Callable[[Transaction], object]) -> str:
    said: list[tuple[str, Any]] = []

    def hear(connection: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        del connection, cursor
        said.append((statement, values))

    event.listen(records._engine, "before_cursor_execute", hear)
    with records.read() as rows:
        ask(rows)
    event.remove(records._engine, "before_cursor_execute", hear)
    statement, values = next(
        each for each in said if "FROM files" in each[0] or "FROM uploads" in each[0]
    )
    explain = "EXPLAIN" if records._engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    with records._engine.connect() as connection:
        explained = connection.exec_driver_sql(f"{explain} {statement}", values)
        return "\n".join(row[-1] for row in explained)
