"""The migrations make the tables that the code knows, on each database, once."""

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from shared.adapters.migrate import _LOCK, migrate
from shared.adapters.records_sql import engine
from shared.adapters.tables import metadata
from tests.support import servers
from tests.support.races import at_once

_UPLOAD = (
    "INSERT INTO uploads VALUES ('u1','default','a','receiving','n',NULL,NULL,7,7,NULL,NULL,"
    "'{}','[]',false,NULL,NULL,'default','k',7,7,1,1,1)"
)
_FILE = (
    "INSERT INTO files VALUES ('{id}',NULL,'{tenant}','a','n',NULL,NULL,7,'t',NULL,'c','s','e',"
    "'{id}',false,NULL,NULL,'{{}}','[]',NULL,'default',{at},1,NULL,NULL)"
)
_OLD_ROWS = [
    _UPLOAD,
    "INSERT INTO chunks VALUES ('u1', 0, 0, 7, '0', 'name')",
    "INSERT INTO quotas VALUES ('acme',NULL,0,0),('default',NULL,0,0),('empty',NULL,0,0)",
    _FILE.format(id="f1", tenant="default", at=2),
    _FILE.format(id="f2", tenant="default", at=1),
    _FILE.format(id="f3", tenant="acme", at=3),
]


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


def test_an_index_of_few_rows_is_of_those_that_the_code_asks_for(empty_url: str) -> None:
    migrate(empty_url)

    made = engine(empty_url, pool_size=1)
    with made.connect() as connection:
        found = inspect(connection).get_indexes("uploads")
        few = {
            each["name"]: str(where).strip("()").replace("<>", "!=")
            for each in found
            if (where := each.get("dialect_options", {}).get(f"{made.dialect.name}_where"))
            is not None
        }
    made.dispose()
    assert few == {"ix_uploads_hoarding": "reserved != 0"}


def test_a_table_that_is_made_anew_keeps_what_refers_to_it(empty_url: str) -> None:
    migrate(empty_url, "0003")
    made = engine(empty_url, pool_size=1)
    with made.begin() as connection:
        for statement in _OLD_ROWS:
            connection.execute(text(statement))

    migrate(empty_url)

    with made.connect() as connection:
        chunks = connection.execute(text("SELECT upload_id, length FROM chunks")).all()
        numbers = connection.execute(text("SELECT id, number FROM files ORDER BY id")).all()
        last = connection.execute(text("SELECT tenant, last_number FROM quotas ORDER BY 1")).all()
    made.dispose()
    assert [tuple(row) for row in chunks] == [("u1", 7)]
    assert [tuple(row) for row in numbers] == [("f1", 2), ("f2", 1), ("f3", 1)]
    assert [tuple(row) for row in last] == [("acme", 1), ("default", 2), ("empty", 0)]


def test_keys_are_in_the_order_of_bytes_whatever_the_database_has_for_text(
    postgres_url: str,
) -> None:
    migrate(postgres_url)

    made = engine(postgres_url, pool_size=1)
    with made.connect() as connection:
        found = connection.execute(
            text(
                "SELECT table_name, collation_name FROM information_schema.columns"
                " WHERE column_name = 'key' AND table_name IN ('files', 'objects', 'thumbnails')"
            )
        ).all()
    made.dispose()
    assert {tuple(row) for row in found} == {
        ("files", "C"),
        ("objects", "C"),
        ("thumbnails", "C"),
    }


def test_of_four_that_start_at_once_one_migrates(empty_url: str) -> None:
    at_once([partial(migrate, empty_url)] * 4)

    assert differences(empty_url) == []


def test_a_migration_takes_the_time_it_takes(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as ours:
        name = ours.info.dbname
        for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            ours.execute(f"ALTER DATABASE {name} SET {setting} = '200ms'".encode())
        ours.execute("SET statement_timeout = 0")
        ours.execute("SELECT pg_advisory_lock(%s)", [_LOCK])  # as another starter holds it
        starter = threading.Thread(target=migrate, args=(postgres_url,))
        starter.start()
        ours.execute("SELECT pg_sleep(0.5)")
    starter.join()

    made = engine(postgres_url, pool_size=1)
    with made.connect() as connection:
        assert inspect(connection).has_table("uploads")
    made.dispose()


def test_nothing_of_ours_bounds_the_statements_of_a_migration(postgres_url: str) -> None:
    made = engine(postgres_url, pool_size=1)
    with made.connect() as connection:
        for setting in ("statement_timeout", "lock_timeout"):
            assert connection.execute(text(f"SHOW {setting}")).scalar_one() == "0"
    made.dispose()


def differences(url: str) -> list[str]:
    made = engine(url, pool_size=1)
    with made.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        found = [repr(each) for each in compare_metadata(context, metadata)]
    made.dispose()
    return found
