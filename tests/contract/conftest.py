"""One database of each kind for all tests that need not commit; notifiers and who hears them."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from shared.adapters.board_redis import RedisBoard
from shared.adapters.client_s3 import S3Place
from shared.adapters.notify_http import HttpNotifier
from shared.adapters.objects_s3 import S3Objects
from shared.adapters.records_sql import SqlRecords
from shared.ports import Notifier
from shared.records import Transaction
from tests.support import servers, weather
from tests.support.receiver import Receiver, a_receiver

# No test modules: pytest would not explain their assertions.
pytest.register_assert_rewrite(
    "tests.contract.object_store",
    "tests.contract.object_conditions",
    "tests.contract.object_copies",
    "tests.contract.object_writes",
)


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


@pytest.fixture
def strict() -> Notifier:
    return HttpNotifier(allow_private=False)


@pytest.fixture
def notifier() -> Notifier:
    return HttpNotifier(allow_private=True, deadline_seconds=5)


@pytest.fixture
def hasty() -> Notifier:
    return HttpNotifier(allow_private=True, deadline_seconds=0.4)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as made:
        yield made


@pytest.fixture
def connects(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Where connections went; none leaves this host."""
    tried: list[Any] = []

    def connect(self: socket.socket, address: Any) -> None:
        del self
        tried.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return tried


@pytest.fixture(scope="session")
def one_bucket(s3_place: S3Place) -> Iterator[S3Place]:
    """A bucket for all tests that empty it: the first write to a new one takes SeaweedFS long."""
    place = weather.elsewhere(s3_place, bucket=f"objects-{uuid4().hex}")
    S3Objects(place).make_bucket(["*"])
    yield place
    S3Objects(place)._client.delete_bucket(Bucket=place.bucket)


@pytest.fixture
def bucket(one_bucket: S3Place) -> Iterator[S3Place]:
    """That bucket, emptied after each test."""
    yield one_bucket
    store = S3Objects(one_bucket)
    store.delete([each.key for each in store.listing()])
    for each in store.open_multiparts():
        store.abort_multipart(each.key, each.multipart_id)


@pytest.fixture
def prefix() -> str:
    return f"{uuid4().hex}:"


@pytest.fixture
def board(client: Redis, prefix: str) -> RedisBoard:
    """Of the Redis that the module has a client of, under keys of its own."""
    return RedisBoard(client, prefix=prefix)
