"""What every database must do with webhooks and the deliveries owed to them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from shared.adapters.records_sql import SqlRecords
from shared.model.webhook import Delivery, DeliveryState, Webhook
from shared.records import Transaction
from tests.support.builders import a_delivery, a_webhook

LEASE = timedelta(seconds=60)
OVER = -timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NOW = timedelta()


@pytest.fixture
def webhook(rows: Transaction) -> Webhook:
    return rows.webhooks.add(a_webhook())


def test_a_webhook_comes_back_as_it_was_added(rows: Transaction) -> None:
    webhook = a_webhook(owner=None, description="ours", enabled=False, disabled_reason="off")

    made = rows.webhooks.add(webhook)

    assert rows.webhooks.find(webhook.id) == made
    assert replace(made, created_at=webhook.created_at, updated_at=webhook.updated_at) == webhook
    assert rows.webhooks.find("nothing") is None


def test_pages_are_of_one_tenant_the_newest_first(rows: Transaction) -> None:
    made = [rows.webhooks.add(a_webhook()) for _ in range(5)]
    bobs = rows.webhooks.add(a_webhook(created_by="bob"))
    rows.webhooks.add(a_webhook(tenant="other"))

    first = rows.webhooks.page("default", "alice", 3, None)
    second = rows.webhooks.page("default", "alice", 3, first[-1].id)

    assert first + second == made[::-1]
    assert rows.webhooks.page("default", None, 1, None) == [bobs]
    assert (rows.webhooks.count("default"), rows.webhooks.count("nobody")) == (6, 0)


def test_those_listen_who_are_enabled_and_hear_the_owner_and_the_event(rows: Transaction) -> None:
    heard = {
        rows.webhooks.add(a_webhook(**said)).id
        for said in ({}, {"owner": None}, {"events": ["file.deleted", "file.ready"]})
    }
    for said in (
        {"enabled": False},
        {"owner": "bob"},
        {"tenant": "other"},
        {"events": ["file.read", "file.failed"]},
    ):
        rows.webhooks.add(a_webhook(**said))

    listening = rows.webhooks.listening("default", "alice", "file.ready")

    assert {webhook.id for webhook in listening} == heard


def test_an_event_is_owed_once_to_each_webhook(rows: Transaction, webhook: Webhook) -> None:
    other = rows.webhooks.add(a_webhook())
    first = a_delivery(webhook.id, event_id="evt")
    rows.webhooks.owe([first, a_delivery(other.id, event_id="evt")])

    rows.webhooks.owe([a_delivery(webhook.id, event_id="evt")])
    rows.webhooks.owe([])

    assert len(rows.webhooks.due(10)) == 2
    assert first.id in rows.webhooks.due(10)


def test_a_claim_counts_the_attempt_and_hides_the_delivery(
    rows: Transaction, webhook: Webhook
) -> None:
    delivery = owed(rows, webhook)

    claimed = rows.webhooks.claim(delivery.id, LEASE)

    assert claimed is not None
    assert (claimed.attempts, claimed.fence, claimed.payload) == (1, 1, delivery.payload)
    assert rows.webhooks.claim(delivery.id, LEASE) is None
    assert rows.webhooks.claim("nothing", LEASE) is None
    assert rows.webhooks.due(10) == []


def test_a_claim_that_never_ended_can_be_taken_over(rows: Transaction, webhook: Webhook) -> None:
    delivery = owed(rows, webhook)
    first = claim(rows, delivery, OVER)

    second = claim(rows, delivery)

    assert (second.attempts, second.fence) == (2, 2)
    assert not settle(rows, first, DeliveryState.DELIVERED)
    assert settle(rows, second, DeliveryState.DELIVERED)


def test_a_clock_that_was_ahead_keeps_no_delivery_back(rows: Transaction, webhook: Webhook) -> None:
    delivery = owed(rows, webhook)
    first = claim(rows, delivery, DAY)
    assert rows.webhooks.due(10) == [delivery.id]

    second = claim(rows, delivery)
    assert not settle(rows, first, DeliveryState.DELIVERED)
    rows.webhooks.settle(second, DeliveryState.PENDING, pause=DAY, response_status=None, error=None)

    assert rows.webhooks.due(10) == [delivery.id]
    assert claim(rows, delivery).fence == 3


def test_while_one_delivery_is_in_flight_the_webhooks_others_wait(
    rows: Transaction, webhook: Webhook
) -> None:
    other = rows.webhooks.add(a_webhook())
    first, second, elsewhere = owed(rows, webhook), owed(rows, webhook), owed(rows, other)
    claimed = claim(rows, first)

    assert rows.webhooks.due(10) == [elsewhere.id]
    assert rows.webhooks.claim(second.id, LEASE) is None
    settle(rows, claimed, DeliveryState.DELIVERED)
    assert set(rows.webhooks.due(10)) == {second.id, elsewhere.id}


@pytest.mark.parametrize(
    ("state", "pause", "due"),
    [
        (DeliveryState.PENDING, HOUR, False),
        (DeliveryState.PENDING, NOW, True),
        (DeliveryState.DELIVERED, None, False),
        (DeliveryState.DEAD, None, False),
    ],
)
def test_a_settled_delivery_is_due_again_only_after_its_pause(
    rows: Transaction,
    webhook: Webhook,
    state: DeliveryState,
    pause: timedelta | None,
    due: bool,
) -> None:
    claimed = claim(rows, owed(rows, webhook))

    assert settle(rows, claimed, state, pause=pause, response_status=503, error="status_503")

    assert rows.webhooks.due(10) == ([claimed.id] if due else [])
    ended = state is not DeliveryState.PENDING
    assert rows.webhooks.settled(NOW, 10) == ([claimed.id] if ended else [])
    assert rows.webhooks.settled(HOUR, 10) == []


def test_what_is_due_comes_in_the_order_it_was_owed(rows: Transaction) -> None:
    made = [owed(rows, rows.webhooks.add(a_webhook())).id for _ in range(5)]

    assert rows.webhooks.due(10) == made
    assert rows.webhooks.due(2) == made[:2]


def test_a_disabled_webhook_is_owed_nothing_any_more(rows: Transaction, webhook: Webhook) -> None:
    delivered = claim(rows, owed(rows, webhook))
    settle(rows, delivered, DeliveryState.DELIVERED)
    pending = owed(rows, webhook)

    rows.webhooks.disable(webhook.id, "receiver_gone")

    found = rows.webhooks.find(webhook.id)
    assert found is not None
    assert (found.enabled, found.disabled_reason) == (False, "receiver_gone")
    assert rows.webhooks.due(10) == []
    assert set(rows.webhooks.settled(NOW, 10)) == {delivered.id, pending.id}


def test_a_dropped_webhook_takes_its_deliveries_along(records: SqlRecords) -> None:
    with records.begin() as rows:
        webhook = rows.webhooks.add(a_webhook())
        owed(rows, webhook)

        assert rows.webhooks.drop(webhook.id)
        assert not rows.webhooks.drop(webhook.id)

    with records._engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM deliveries")).scalar_one() == 0


def test_forgotten_deliveries_are_gone(rows: Transaction, webhook: Webhook) -> None:
    one, two = owed(rows, webhook), owed(rows, webhook)

    rows.webhooks.forget([one.id, "nothing"])

    assert rows.webhooks.due(10) == [two.id]


def owed(rows: Transaction, webhook: Webhook) -> Delivery:
    delivery = a_delivery(webhook.id)
    rows.webhooks.owe([delivery])
    return delivery


def claim(rows: Transaction, delivery: Delivery, lease: timedelta = LEASE) -> Delivery:
    claimed = rows.webhooks.claim(delivery.id, lease)
    assert claimed is not None
    return claimed


def settle(rows: Transaction, delivery: Delivery, state: DeliveryState, **said: Any) -> bool:
    facts = {"pause": None, "response_status": 204, "error": None} | said
    return rows.webhooks.settle(delivery, state, **facts)
