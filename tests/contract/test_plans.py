"""How SQLite plans the lists: a page is read from an index, never sorted."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from shared.adapters.records_sql import SqlRecords
from shared.model.file import FileQuery
from tests.support import servers


@pytest.fixture
def records(tmp_path: Path) -> Iterator[SqlRecords]:
    url = f"sqlite:///{tmp_path / 'sluice.db'}"
    servers.make_tables(url)
    with closing(SqlRecords(url)) as made:
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


def plan_of(records: SqlRecords, query: FileQuery) -> str:
    said: list[tuple[str, Any]] = []

    def hear(connection: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        del connection, cursor
        said.append((statement, values))

    event.listen(records._engine, "before_cursor_execute", hear)
    with records.read() as rows:
        rows.files.page(query)
    event.remove(records._engine, "before_cursor_execute", hear)
    statement, values = next(each for each in said if "FROM files" in each[0])
    with records._engine.connect() as connection:
        explained = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        return "\n".join(row[-1] for row in explained)
