"""What the bell must do on a real Valkey: ring, count, and never hold a request for long."""

import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from time import monotonic

import pytest
from redis import Redis

from shared.adapters.clock_system import SystemClock
from shared.adapters.dispatch_celery import CeleryDispatcher, ringing_app
from tests.support import servers
from tests.support.cable import Cable, a_cable
from tests.support.frost import frozen, valkey_at
from tests.support.races import at_once
from tests.support.waiting import eventually


@pytest.fixture
def url(valkey_url: str) -> Iterator[str]:
    """A database of its own of the Valkey, empty before and after."""
    own = valkey_url.removesuffix("/0") + "/9"
    with closing(Redis.from_url(own)) as client:
        client.flushdb()
        yield own
        client.flushdb()


@pytest.fixture
def bell(url: str) -> CeleryDispatcher:
    return CeleryDispatcher(ringing_app(url))


def test_what_was_rung_for_waits_in_the_queue_of_its_kind(bell: CeleryDispatcher) -> None:
    assert (bell.backlog("ingest"), bell.backlog("webhooks")) == (0, 0)

    assert bell.process("one")
    assert bell.process("one")
    assert bell.deliver("two")

    assert (bell.backlog("ingest"), bell.backlog("webhooks")) == (2, 1)


def test_a_message_names_the_task_and_one_id_and_nothing_else(
    bell: CeleryDispatcher, url: str
) -> None:
    bell.process("the-id")

    with closing(Redis.from_url(url)) as client:
        (message,) = client.lrange("ingest", 0, -1)
    assert b'"task": "ingest.process"' in message
    assert b"the-id" in message


class TestOutage:
    @pytest.fixture
    def cable(self, url: str) -> Iterator[Cable]:
        with a_cable(url) as made:
            yield made

    def test_a_broker_that_is_down_is_told_nothing_and_counts_nothing(self, cable: Cable) -> None:
        bell, began = CeleryDispatcher(ringing_app(cable.url)), SystemClock().now()
        cable.cut()

        assert bell.backlog("ingest") is None
        assert not bell.process("one")
        assert not bell.deliver("two")

        assert SystemClock().now() - began < timedelta(seconds=2)

    def test_a_broker_that_comes_back_is_rung_again(self, cable: Cable) -> None:
        bell = CeleryDispatcher(ringing_app(cable.url))
        assert bell.process("one")
        cable.cut()
        assert not bell.process("two")
        cable.mend()

        eventually(lambda: bell.process("three"), 5)
        assert bell.backlog("ingest") == 2

    def test_a_broker_that_hangs_holds_one_request_for_two_seconds_and_the_next_not_at_all(
        self,
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
            bell, began = CeleryDispatcher(ringing_app(url)), SystemClock().now()

            assert not any(bell.process(str(number)) for number in range(100))

        assert SystemClock().now() - began < timedelta(seconds=3)

    def test_of_many_that_ring_a_frozen_broker_none_waits_for_the_others(self) -> None:
        with servers.valkey_server() as own:
            bell = CeleryDispatcher(ringing_app(own))
            at_once([lambda: bell.process("before")] * 8)

            with frozen(valkey_at(own)):
                first = at_once([lambda: unheard_after(bell)] * 60)
                later = [unheard_after(bell) for _ in range(50)]

            eventually(lambda: bell.process("after"), 5)
        assert max(first) < 2.5
        assert max(later) < 0.1

    def test_a_broker_that_freezes_while_it_is_asked_counts_nothing(self) -> None:
        with servers.valkey_server() as own:
            bell, server = CeleryDispatcher(ringing_app(own)), valkey_at(own)
            assert bell.backlog("ingest") == 0

            with frozen(server):
                assert bell.backlog("ingest") is None


def unheard_after(bell: CeleryDispatcher) -> float:
    began = monotonic()
    assert not bell.process("nobody hears")
    return monotonic() - began
