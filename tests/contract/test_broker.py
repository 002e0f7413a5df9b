"""A connection to the broker that has ended is told as that, by whoever still uses it."""

from typing import Any

import kombu.transport
import pytest

from shared.adapters.broker_redis import Transport
from shared.adapters.dispatch_celery import celery_app


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process of ours: nobody has asked kombu for its own transport before."""
    monkeypatch.setattr(kombu.transport, "_transport_cache", {})


def test_a_channel_that_outlived_its_connection_says_so(valkey_url: str) -> None:
    with celery_app(valkey_url).connection_for_write() as connection:
        assert isinstance(connection.transport, Transport)
        channel: Any = connection.channel()
        errors = connection.connection_errors
        channel.connection.client = None  # as the connection leaves it that was lost

        with pytest.raises(errors):
            channel._get_pool()


def test_the_address_of_the_broker_stays_what_it_is(valkey_url: str) -> None:
    connection = celery_app(valkey_url).connection_for_write()

    assert connection.as_uri(include_password=True).startswith("redis://")
    assert isinstance(connection.transport, Transport)
