"""News for the main service: owed with the file, sent where the settings say, at any address."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from shared.adapters.clock_system import SystemClock
from shared.adapters.notify_http import HttpNotifier
from shared.adapters.objects_disk import DiskObjects
from shared.adapters.records_sql import SqlRecords
from shared.model.file import File
from shared.model.main_service import ID, PROFILE, MainService, event_of
from shared.model.webhook import Delivery, DeliveryState, EventType
from shared.services.deliveries import DISABLED, DeliveryService
from shared.services.describing import Describing
from shared.services.events import Events
from shared.services.main_service import MainServiceNews
from tests.support.builders import a_file
from tests.support.receiver import Receiver, a_receiver, answer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # of these tests


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as made:
        yield made


@dataclass(frozen=True)
class Post:
    records: SqlRecords
    events: Events
    deliveries: DeliveryService
    news: MainServiceNews

    def owed(self, file: File, event: EventType = EventType.READY) -> list[str]:
        with self.records.begin() as rows:
            return self.events.of_file(rows, event, file)

    def delivery(self, file: File) -> Delivery:
        with self.records.read() as rows:
            found = rows.webhooks.of_event(ID, event_of(file.id))
        assert found is not None
        return found


@pytest.fixture
def post(records: SqlRecords, receiver: Receiver, tmp_path: Any) -> Post:
    main, clock = MainService(receiver.url(), SECRET), SystemClock()
    objects = DiskObjects(tmp_path / "objects", base_url="http://sluice", secret="s" * 32)
    strict, trusting = HttpNotifier(allow_private=False), HttpNotifier(allow_private=True)
    return Post(
        records,
        Events(Describing("http://sluice", objects), tells=True),
        DeliveryService(records, strict, clock, main, trusting),
        MainServiceNews(records, clock, main),
    )


def a_numbered_file(**said: Any) -> File:
    return a_file(**{"profile": PROFILE, "reference": "123", **said})


def test_it_is_told_at_a_private_address_and_signed(post: Post, receiver: Receiver) -> None:
    file = a_numbered_file()
    [delivery_id] = post.owed(file)

    post.deliveries.deliver(delivery_id)

    [call] = receiver.calls
    Verifier(SECRET).verify(call.body, dict(call.headers))
    assert post.delivery(file).state is DeliveryState.DELIVERED
    assert post.news.is_accepted(file.id, 0)


def test_without_a_secret_it_is_told_unsigned(post: Post, receiver: Receiver) -> None:
    [delivery_id] = post.owed(a_numbered_file())
    unsigned = replace(post.deliveries, main=MainService(receiver.url(), None))

    unsigned.deliver(delivery_id)

    assert "webhook-signature" not in receiver.calls[0].headers


def test_what_is_owed_goes_to_where_it_is_by_now(post: Post, receiver: Receiver) -> None:
    owed = [post.owed(a_numbered_file())[0] for _ in range(2)]
    moved = replace(post.deliveries, main=MainService(receiver.url("/moved"), SECRET))

    moved.deliver(owed[0])

    assert [call.path for call in receiver.calls] == ["/moved", "/moved"]


def test_without_a_main_service_what_is_owed_ends(post: Post, receiver: Receiver) -> None:
    file = a_numbered_file()
    [delivery_id] = post.owed(file)

    replace(post.deliveries, main=None).deliver(delivery_id)

    delivery = post.delivery(file)
    assert (delivery.state, delivery.error) == (DeliveryState.DEAD, DISABLED)
    assert receiver.calls == []
    assert not post.news.is_accepted(file.id, 5)


@pytest.mark.parametrize("status", [410, 500])
def test_no_answer_ends_what_it_is_told(post: Post, receiver: Receiver, status: int) -> None:
    file = a_numbered_file()
    [delivery_id] = post.owed(file)
    receiver.says(answer(status))

    post.deliveries.deliver(delivery_id)

    assert post.delivery(file).state is DeliveryState.PENDING
    assert not post.news.is_accepted(file.id, 30)  # without a wait: the first attempt is over
    with post.records.read() as rows:
        anchor = rows.webhooks.find(ID)
    assert anchor is not None
    assert anchor.enabled


@pytest.mark.parametrize(
    "said", [{"profile": "default"}, {"reference": None}, {"reference": "a1"}, {"reference": "٣"}]
)
def test_it_hears_of_no_file_that_it_has_not_numbered(post: Post, said: dict[str, Any]) -> None:
    file = a_numbered_file(**said)

    assert post.owed(file) == []
    assert not post.news.is_accepted(file.id, 5)


def test_it_hears_of_a_file_once_and_not_of_its_deletion(post: Post) -> None:
    file = a_numbered_file()

    post.owed(file)
    post.owed(file)

    with post.records.read() as rows:
        assert len(rows.webhooks.due(10)) == 1
    assert post.owed(file, EventType.DELETED) == []


def test_nobody_sees_the_row_that_its_deliveries_hang_on(post: Post) -> None:
    post.owed(a_numbered_file())

    with post.records.read() as rows:
        assert rows.webhooks.page("default", None, 10, None) == []
        assert rows.webhooks.listening("default", "alice", "file.ready") == []
