"""Fixtures everyone needs: servers for the whole session, names of one's own in each for a test."""

import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import settings

from shared.adapters.client_s3 import S3Place, s3_client
from shared.adapters.records_sql import SqlRecords
from tests.support import servers

pytest_plugins = ["tests.support.fixtures", "tests.support.clients"]

# A busy host is no reason to fail; what takes long is seen in the durations.
settings.register_profile("sluice", deadline=None, max_examples=60)
settings.load_profile("sluice")


# What runs in the background ignores Ctrl-C, and so would all that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """A Valkey that all tests of the session share: use keys of your own."""
    with servers.valkey_server() as url:
        yield url


@pytest.fixture(scope="session")
def s3_place() -> Iterator[S3Place]:
    """A SeaweedFS with one bucket that all tests of the session share."""
    with servers.seaweedfs() as place:
        yield place


@pytest.fixture
def a_bucket(s3_place: S3Place) -> Iterator[S3Place]:
    """A bucket of this test alone."""
    place = replace(s3_place, bucket=f"test-{uuid4().hex}")
    client = s3_client(place, place.endpoint)
    client.create_bucket(Bucket=place.bucket)
    yield place
    client.delete_bucket(Bucket=place.bucket)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with servers.postgresql() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """An empty database of this test alone."""
    with servers.postgresql_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_tables(postgres_server: str) -> Iterator[str]:
    """A database with all tables, which tests use one after the other."""
    with servers.postgresql_database(postgres_server) as url:
        servers.make_tables(url)
        yield url


@pytest.fixture
def postgres_rows(postgres_tables: str) -> Iterator[str]:
    """A database with all tables, empty; to make one for each test would take ten times as long."""
    yield postgres_tables
    servers.empty_tables(postgres_tables)


@pytest.fixture(scope="session")
def sqlite_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all tables, to be copied."""
    path = tmp_path_factory.mktemp("tables") / "sluice.db"
    servers.make_tables(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(sqlite_tables: Path, tmp_path: Path) -> str:
    """A database of this test alone with all tables."""
    return f"sqlite:///{shutil.copy(sqlite_tables, tmp_path)}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A database of this test alone with all tables, once of each kind."""
    wanted = {"sqlite": "sqlite_url", "postgresql": "postgres_rows"}[request.param]
    return str(request.getfixturevalue(wanted))


@pytest.fixture
def records(database_url: str) -> Iterator[SqlRecords]:
    made = SqlRecords(database_url)
    yield made
    made.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("drills")
    group.addoption("--long", action="store_true", help="run the drills in their long form")
    group.addoption("--seed", type=int, help="replay a drill from the seed that it printed")
