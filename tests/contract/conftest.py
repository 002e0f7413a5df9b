"""One database of each kind for all tests that need not commit."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

import pytest

from shared.adapters.records_sql import SqlRecords
from shared.records import Transaction
from tests.support import servers


class RolledBack(Exception):
    """Raised to leave nothing of a test behind."""


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def kept_empty(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SqlRecords]:
    """A database with all tables, in which nothing is ever committed."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path_factory.mktemp('records') / 'sluice.db'}"
        else:
            server = request.getfixturevalue("postgres_server")
            url = stack.enter_context(servers.postgresql_database(server))
        servers.make_tables(url)
        yield stack.enter_context(closing(SqlRecords(url)))


@pytest.fixture
def rows(kept_empty: SqlRecords) -> Iterator[Transaction]:
    """One transaction that the whole test is in, rolled back at its end."""
    with suppress(RolledBack), kept_empty.begin() as opened:
        yield opened
        raise RolledBack
