"""The migrations make the tables that the code knows, on each database, once."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from shared.adapters.migrate import migrate
from shared.adapters.records_sql import engine
from shared.adapters.tables import metadata
from tests.support import servers
from tests.support.races import at_once


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'sluice.db'}"
        return
    with servers.postgresql_database(request.getfixturevalue("postgres_server")) as url:
        yield url


def test_the_migrations_end_at_the_tables(empty_url: str) -> None:
    for _ in range(2):
        migrate(empty_url)

    assert differences(empty_url) == []


def test_of_four_that_start_at_once_one_migrates(empty_url: str) -> None:
    at_once([partial(migrate, empty_url)] * 4)

    assert differences(empty_url) == []


def differences(url: str) -> list[str]:
    made = engine(url, pool_size=1)
    with made.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        found = [repr(each) for each in compare_metadata(context, metadata)]
    made.dispose()
    return found
