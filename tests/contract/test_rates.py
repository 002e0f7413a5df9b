"""Rates in Redis: what is counted for whom, and what a Redis that says nothing costs."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from time import monotonic
from uuid import uuid4

import psutil
import pytest
from redis import Redis

from shared.adapters.board_redis import redis_client
from shared.adapters.rates_redis import RedisRates
from shared.model.caller import Caller
from tests.support import servers
from tests.support.frost import frozen, valkey_at
from tests.support.races import at_once
from tests.support.waiting import eventually

ALICE = Caller("alice", "one")
BOUND_SECONDS = 0.25


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server of its own: the others are not to be hurt."""
    with servers.valkey_server() as made:
        yield made


@pytest.fixture
def client(url: str) -> Iterator[Redis]:
    with closing(redis_client(url, seconds=BOUND_SECONDS)) as made:
        yield made


def some_rates(client: Redis, text: str, prefix: str | None = None) -> RedisRates:
    return RedisRates(client, {"uploads": text}, prefix=prefix or uuid4().hex)


def passed(rates: RedisRates, caller: Caller = ALICE, name: str = "uploads") -> bool:
    standing = rates.count(name, caller)
    assert standing is not None
    return not standing.is_over


def test_the_request_beyond_the_limit_is_over_and_the_standing_says_how_long(client: Redis) -> None:
    rates = some_rates(client, "3/minute")

    said = [rates.count("uploads", ALICE) for _ in range(4)]

    seen = [(each.remaining, each.is_over) for each in said if each is not None]
    assert seen == [(2, False), (1, False), (0, False), (0, True)]
    last = said[-1]
    assert last is not None
    assert (last.name, last.limit, last.window_seconds) == ("uploads", 3, 60)
    assert 55 <= last.resets_in_seconds <= 60


def test_the_window_moves_with_each_request(client: Redis) -> None:
    rates = some_rates(client, "2/second")
    assert [passed(rates) for _ in range(3)] == [True, True, False]

    eventually(lambda: passed(rates), timeout=3, every=0.1)


def test_a_refused_request_is_not_counted(client: Redis) -> None:
    rates = some_rates(client, "2/2second")
    while passed(rates):
        pass

    began = monotonic()
    eventually(lambda: passed(rates), timeout=5, every=0.02)  # a hundred of them are refused

    assert monotonic() - began < 3


@pytest.mark.parametrize(
    "other", [Caller("alice", "two"), Caller("bob", "one"), Caller("one/alice", "one")]
)
def test_each_user_of_each_tenant_has_a_rate_of_their_own(client: Redis, other: Caller) -> None:
    rates = some_rates(client, "1/minute")

    assert [passed(rates), passed(rates, other), passed(rates)] == [True, True, False]


def test_each_kind_of_request_has_a_rate_of_its_own(client: Redis) -> None:
    both = RedisRates(client, {"uploads": "1/minute", "lists": "1/minute"}, prefix=uuid4().hex)

    assert [passed(both), passed(both, name="lists")] == [True, True]


def test_what_has_no_limit_is_not_counted(client: Redis) -> None:
    before = client.info("commandstats")

    assert some_rates(client, "1/minute").count("deletions", ALICE) is None

    after = client.info("commandstats")
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert after.get("cmdstat_evalsha") == before.get("cmdstat_evalsha")


def test_of_many_at_once_over_many_processes_as_many_pass_as_the_limit_says(url: str) -> None:
    prefix = uuid4().hex
    clients = [redis_client(url) for _ in range(4)]
    processes = [some_rates(each, "10/minute", prefix) for each in clients]

    outcomes = at_once([partial(passed, rates) for rates in processes * 8])

    assert outcomes.count(True) == 10
    for each in clients:
        each.close()


def test_a_count_is_forgotten_with_its_window(client: Redis) -> None:
    prefix = uuid4().hex
    passed(some_rates(client, "5/2second", prefix))

    (key,) = client.keys(f"{prefix}*")

    assert 0 < client.ttl(key) <= 2


def test_a_frozen_server_costs_one_time_out_and_then_nothing(url: str, client: Redis) -> None:
    server: psutil.Process = valkey_at(url)
    rates = some_rates(client, "1/minute")
    assert passed(rates)

    with frozen(server):
        began = monotonic()
        first = rates.count("uploads", ALICE)
        took = monotonic() - began
        began = monotonic()
        later = [rates.count("uploads", ALICE) for _ in range(1000)]
        took_later = monotonic() - began

    assert first is None
    assert set(later) == {None}
    assert took < 12 * BOUND_SECONDS
    assert took_later < 12 * BOUND_SECONDS
    eventually(lambda: rates.count("uploads", ALICE) is not None, timeout=10)


def test_a_server_that_is_away_costs_nothing() -> None:
    with closing(redis_client(f"redis://127.0.0.1:{servers.free_port()}/0")) as nobody:
        rates = some_rates(nobody, "1/minute")
        began = monotonic()
        said = [rates.count("uploads", ALICE) for _ in range(100)]

    assert set(said) == {None}
    assert monotonic() - began < 0.2


def test_a_server_that_is_full_lets_requests_pass(url: str, client: Redis) -> None:
    rates = some_rates(client, "1/minute")
    with Redis.from_url(url) as operator:
        operator.config_set("maxmemory", "1")
        try:
            assert [rates.count("uploads", ALICE) for _ in range(3)] == [None] * 3
        finally:
            operator.config_set("maxmemory", "0")

    assert passed(rates)
