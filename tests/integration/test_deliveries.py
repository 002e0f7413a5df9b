"""Deliveries against a real receiver and a real database: signed, retried, put aside."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, delete, select, update
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError
from uuid_utils.compat import uuid7

from shared.adapters.clock_system import SystemClock
from shared.adapters.notify_http import HttpNotifier
from shared.adapters.objects_disk import DiskObjects
from shared.adapters.records_sql import SqlRecords, engine
from shared.adapters.sql_time import db_now
from shared.adapters.tables import deliveries, metadata, webhooks
from shared.model.caller import Caller, Scope
from shared.model.file import File
from shared.model.webhook import LEASE, RETRY_PAUSES, DeliveryState, EventType, NewWebhook, Webhook
from shared.services.deliveries import DeliveryService
from shared.services.describing import Describing
from shared.services.events import Events
from shared.services.webhooks import WebhookService
from tests.support.receiver import (
    Call,
    Handler,
    Receiver,
    Reply,
    a_receiver,
    answer,
    hangs,
    says_raw,
)
from tests.support.waiting import eventually

ALICE = Caller("alice")
ADMIN = Caller("root", scopes=frozenset({Scope.ADMIN}))
ALL = [event.value for event in EventType]


@dataclass(frozen=True)
class Post:
    """The post office: what is owed, and a hand on its rows."""

    records: SqlRecords
    engine: Engine
    events: Events
    webhooks: WebhookService
    deliveries: DeliveryService
    receiver: Receiver

    def webhook(self, caller: Caller = ALICE, path: str = "/hook") -> Webhook:
        return self.webhooks.create(caller, NewWebhook(self.receiver.url(path), ALL))

    def owed(self, owner: str = "alice", tenant: str = "default") -> list[str]:
        with self.records.begin() as rows:
            return self.events.of_file(rows, EventType.READY, a_file(owner, tenant))

    def row(self, delivery_id: str) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(select(deliveries).filter_by(id=delivery_id)).one_or_none()

    def change(self, delivery_id: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(update(deliveries).filter_by(id=delivery_id).values(**values))

    def try_now(self, delivery_id: str) -> Any:
        """Make an attempt as if the pause were over; return the row."""
        self.change(delivery_id, due_at=db_now())
        self.deliveries.deliver(delivery_id)
        return self.row(delivery_id)


@pytest.fixture(scope="module")
def shared_database(postgres_server: str) -> Iterator[str]:
    """One database for all tests here: to make one takes longer than most of them."""
    name = "test_deliveries"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        url = f"{postgres_server.removesuffix('/postgres')}/{name}"
        yield with_tables(url)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("shared_database"))
    return with_tables(f"sqlite:///{tmp_path / 'sluice.db'}")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as made:
        yield made


@pytest.fixture
def post(
    tmp_path: Path, receiver: Receiver, records: SqlRecords, database_url: str
) -> Iterator[Post]:
    made = engine(database_url)
    with made.begin() as connection:
        connection.execute(delete(webhooks))
    objects = DiskObjects(tmp_path / "objects", base_url="http://sluice", secret="s" * 32)
    notifier = HttpNotifier(allow_private=True, deadline_seconds=5)
    yield Post(
        records=records,
        engine=made,
        events=Events(Describing("http://sluice", objects)),
        webhooks=WebhookService(records, notifier),
        deliveries=DeliveryService(records, notifier, SystemClock()),
        receiver=receiver,
    )
    made.dispose()


def with_tables(url: str) -> str:
    made = engine(url)
    metadata.create_all(made)
    made.dispose()
    return url


def a_file(owner: str = "alice", tenant: str = "default") -> File:
    file_id, now = str(uuid7()), SystemClock().now()
    return File(
        id=file_id,
        upload_id=file_id,
        tenant=tenant,
        owner=owner,
        filename="grün.txt",
        folder=None,
        description=None,
        size=3,
        content_type="text/plain",
        declared_type=None,
        category="document",
        sha256="0" * 64,
        etag="e",
        key=f"files/{file_id}",
        is_public=False,
        width=None,
        height=None,
        attributes={},
        tags=[],
        reference=None,
        profile="default",
        created_at=now,
        updated_at=now,
        expires_at=None,
        deleted_at=None,
    )


def pause(row: Any) -> float:
    return float((row.due_at - row.updated_at).total_seconds())


def test_what_arrives_verifies_with_the_librarys_own_verifier(post: Post) -> None:
    webhook = post.webhook()
    [delivery_id] = post.owed()

    post.deliveries.deliver(delivery_id)

    [call] = post.receiver.calls
    row = post.row(delivery_id)
    said = Verifier(webhook.secret).verify(call.body, dict(call.headers))
    assert (said["type"], said["data"]["file"]["filename"]) == ("file.ready", "grün.txt")
    assert call.body == row.payload.encode()
    assert call.headers["webhook-id"] == row.event_id
    assert call.headers["content-type"] == "application/json"
    assert call.headers["user-agent"].startswith("Sluice/")
    assert (row.state, row.attempts, row.response_status, row.error) == ("delivered", 1, 204, None)
    assert row.delivered_at is not None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda call: replace(call, body=call.body + b" "),
        lambda call: replace(call, headers=dict(call.headers) | {"webhook-id": "evt_other"}),
        lambda call: replace(call, headers=dict(call.headers) | {"webhook-timestamp": "1"}),
        lambda call: replace(
            call,
            headers=dict(call.headers)
            | {"webhook-timestamp": str(int(call.headers["webhook-timestamp"]) - 1)},
        ),
    ],
    ids=["body", "id", "old", "another second"],
)
def test_the_signature_covers_body_id_and_time(post: Post, spoil: Callable[[Call], Call]) -> None:
    webhook = post.webhook()
    [delivery_id] = post.owed()
    post.deliveries.deliver(delivery_id)

    spoilt = spoil(post.receiver.calls[0])

    with pytest.raises(WebhookVerificationError):
        Verifier(webhook.secret).verify(spoilt.body, dict(spoilt.headers))


def test_the_time_that_is_signed_is_utc_whatever_zone_the_clock_has(post: Post) -> None:
    class Abroad(SystemClock):
        def now(self) -> datetime:
            return super().now().astimezone(timezone(timedelta(hours=9)))

    webhook = post.webhook()
    [delivery_id] = post.owed()

    replace(post.deliveries, clock=Abroad()).deliver(delivery_id)

    [call] = post.receiver.calls
    assert Verifier(webhook.secret).verify(call.body, dict(call.headers))


def test_all_attempts_carry_one_id_and_one_body_and_are_signed_anew(post: Post) -> None:
    webhook = post.webhook()
    [delivery_id] = post.owed()
    post.receiver.says(answer(500), answer(500))

    for number in range(3):
        later = SystemClock().now() + number * timedelta(seconds=100)
        post.change(delivery_id, due_at=db_now())
        replace(post.deliveries, clock=a_clock(later)).deliver(delivery_id)

    calls = post.receiver.calls
    assert len(calls) == 3
    assert len({(call.body, call.headers["webhook-id"]) for call in calls}) == 1
    assert len({call.headers["webhook-signature"] for call in calls}) == 3
    assert all(Verifier(webhook.secret).verify(call.body, dict(call.headers)) for call in calls)
    assert post.row(delivery_id).state == "delivered"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (301, "redirect"),
        (302, "redirect"),
        (304, "redirect"),
        (308, "redirect"),
        (400, "status_400"),
        (404, "status_404"),
        (429, "status_429"),
        (500, "status_500"),
        (503, "status_503"),
        (199, "status_199"),
        (600, "status_600"),
    ],
)
def test_a_failed_attempt_leaves_its_status_and_our_word_and_nothing_of_theirs(
    post: Post, status: int, error: str
) -> None:
    post.webhook()
    [delivery_id] = post.owed()
    inside = post.receiver.url("/inside")
    post.receiver.says(answer(status, b"theirs", Location=inside, X_Theirs="theirs"))

    post.deliveries.deliver(delivery_id)

    row = post.row(delivery_id)
    assert (row.state, row.attempts) == ("pending", 1)
    assert (row.response_status, row.error) == (status, error)
    assert "theirs" not in str(row)
    assert [call.path for call in post.receiver.calls] == ["/hook"]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_a_yes(post: Post, status: int) -> None:
    post.webhook()
    [delivery_id] = post.owed()
    post.receiver.says(answer(status))

    post.deliveries.deliver(delivery_id)

    assert post.row(delivery_id).state == "delivered"


def test_the_schedule_is_kept_to_a_fifth_and_then_the_delivery_is_put_aside(post: Post) -> None:
    webhook = post.webhook()
    [delivery_id] = post.owed()
    post.receiver.says(*[answer(500)] * 9)
    pauses = []

    for _ in RETRY_PAUSES:
        row = post.try_now(delivery_id)
        assert row.state == "pending"
        pauses.append(pause(row))
    last = post.try_now(delivery_id)

    wanted = [each.total_seconds() for each in RETRY_PAUSES]
    assert all(0.8 * w - 0.1 <= p <= 1.2 * w + 0.1 for w, p in zip(wanted, pauses, strict=True))
    assert pauses != wanted
    assert (last.state, last.attempts, last.error) == ("dead", 8, "status_500")
    assert post.try_now(delivery_id).attempts == 8
    assert len(post.receiver.calls) == 8
    assert post.webhooks.find(ALICE, webhook.id).enabled


@pytest.mark.parametrize(
    ("attempts", "wish", "least", "most"),
    [
        (0, "60", 60, 60),
        (0, "3600", 3600, 3600),
        (0, "86400", 3600, 3600),
        (0, "0", 4, 6),
        (3, "1", 2 * 3600 * 0.8, 2 * 3600 * 1.2),
    ],
)
def test_a_receiver_may_ask_for_a_longer_pause_of_up_to_an_hour(
    post: Post, attempts: int, wish: str, least: float, most: float
) -> None:
    post.webhook()
    [delivery_id] = post.owed()
    post.change(delivery_id, attempts=attempts)
    post.receiver.says(answer(503, Retry_After=wish))

    row = post.try_now(delivery_id)

    assert least - 0.1 <= pause(row) <= most + 0.1


def test_a_wish_does_not_prolong_the_schedule(post: Post) -> None:
    post.webhook()
    [delivery_id] = post.owed()
    post.change(delivery_id, attempts=7)
    post.receiver.says(answer(503, Retry_After="60"))

    assert post.try_now(delivery_id).state == "dead"


def test_gone_switches_the_webhook_off_and_ends_all_it_is_owed(post: Post) -> None:
    webhook, other = post.webhook(), post.webhook(path="/other")
    first, second = post.owed(), post.owed()
    mine = [d for d in first + second if post.row(d).webhook_id == webhook.id]
    others = [d for d in first + second if post.row(d).webhook_id == other.id]
    post.receiver.says(lambda handler: answer(200 if handler.path == "/other" else 410)(handler))

    post.deliveries.deliver(mine[0])

    found = post.webhooks.find(ALICE, webhook.id)
    assert (found.enabled, found.disabled_reason) == (False, "receiver_gone")
    assert post.webhooks.find(ALICE, other.id).enabled
    told, untold = post.row(mine[0]), post.row(mine[1])
    assert (told.state, told.response_status, told.error) == ("dead", 410, "status_410")
    assert (untold.state, untold.attempts, untold.error) == ("dead", 0, "webhook_disabled")
    assert [post.row(each).state for each in others] == ["delivered", "delivered"]
    assert [post.row(each).webhook_id for each in post.owed()] == [other.id]


def test_what_is_in_flight_while_the_webhook_is_switched_off_is_not_tried_again(post: Post) -> None:
    webhook = post.webhook()
    [delivery_id] = post.owed()

    def switch_off(handler: Handler) -> None:
        with post.records.begin() as rows:
            rows.webhooks.disable(webhook.id, "by hand")
        answer(500)(handler)

    post.receiver.says(switch_off)

    post.deliveries.deliver(delivery_id)
    row = post.try_now(delivery_id)

    assert (row.state, row.error) == ("dead", "webhook_disabled")
    assert len(post.receiver.calls) == 1


def test_deleting_a_webhook_ends_what_it_is_owed_even_in_flight(post: Post) -> None:
    webhook = post.webhook()
    [in_flight], [waiting] = post.owed(), post.owed()

    def delete(handler: Handler) -> None:
        post.webhooks.delete(ALICE, webhook.id)
        answer(200)(handler)

    post.receiver.says(delete)

    post.deliveries.deliver(in_flight)
    post.deliveries.deliver(waiting)

    assert post.row(in_flight) is None
    assert post.row(waiting) is None
    assert len(post.receiver.calls) == 1


def test_a_webhook_hears_its_callers_files_and_an_admins_the_whole_tenants(post: Post) -> None:
    post.webhook(ALICE, "/alice")
    post.webhook(ADMIN, "/tenant")
    post.webhook(replace(ADMIN, tenant="other"), "/other")

    for delivery_id in post.owed("alice") + post.owed("bob"):
        post.deliveries.deliver(delivery_id)

    heard = [(call.path, said(call)["data"]["file"]["owner"]) for call in post.receiver.calls]
    assert sorted(heard) == [("/alice", "alice"), ("/tenant", "alice"), ("/tenant", "bob")]


def test_one_event_has_one_id_for_all_who_hear_it(post: Post) -> None:
    post.webhook(ALICE)
    post.webhook(ADMIN)

    for delivery_id in post.owed():
        post.deliveries.deliver(delivery_id)

    assert len({call.headers["webhook-id"] for call in post.receiver.calls}) == 1


def test_what_is_not_due_done_or_not_there_is_left_alone(post: Post) -> None:
    post.webhook()
    [done], [later] = post.owed(), post.owed()
    post.change(later, due_at=db_now(timedelta(seconds=5)))
    post.deliveries.deliver(done)

    for delivery_id in (done, later, str(uuid7())):
        post.deliveries.deliver(delivery_id)

    assert len(post.receiver.calls) == 1
    assert post.row(later).attempts == 0


def test_many_who_are_told_of_one_delivery_call_once(post: Post) -> None:
    post.webhook()
    [delivery_id] = post.owed()
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        post.deliveries.deliver(delivery_id)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(post.receiver.calls) == 1
    assert post.row(delivery_id).attempts == 1


def test_a_call_is_made_outside_any_transaction_with_its_attempt_counted(post: Post) -> None:
    post.webhook()
    [delivery_id] = post.owed()
    seen: list[Any] = []

    def look(handler: Handler) -> None:
        began = time.monotonic()
        with post.records.begin() as rows:
            rows.quotas.release("default", 0)
        seen.extend((time.monotonic() - began, post.row(delivery_id)))
        answer(200)(handler)

    post.receiver.says(look)

    post.deliveries.deliver(delivery_id)

    waited, row = seen
    assert waited < 1
    assert (row.state, row.attempts) == ("pending", 1)
    assert timedelta(seconds=55) < row.lease_until - row.updated_at <= LEASE


def test_a_worker_that_died_after_its_call_means_a_second_one_with_the_same_id(post: Post) -> None:
    post.webhook()
    [delivery_id] = post.owed()
    with post.records.begin() as rows:
        rows.webhooks.claim(delivery_id, LEASE)

    post.deliveries.deliver(delivery_id)
    too_early = len(post.receiver.calls)
    post.change(delivery_id, lease_until=db_now(-timedelta(seconds=1)))
    post.deliveries.deliver(delivery_id)

    row = post.row(delivery_id)
    assert too_early == 0
    assert (row.state, row.attempts) == ("delivered", 2)
    assert post.receiver.calls[0].headers["webhook-id"] == row.event_id


def test_a_delivery_that_kills_its_worker_every_time_is_put_aside(post: Post) -> None:
    post.webhook()
    [delivery_id] = post.owed()
    post.change(delivery_id, attempts=len(RETRY_PAUSES) + 1)

    post.deliveries.deliver(delivery_id)

    row = post.row(delivery_id)
    assert (row.state, row.error) == ("dead", "attempts_exhausted")
    assert post.receiver.calls == []


def test_who_lost_the_lease_during_the_call_changes_nothing(post: Post) -> None:
    post.webhook()
    [delivery_id] = post.owed()

    def lose(handler: Handler) -> None:
        post.change(delivery_id, lease_until=db_now(-timedelta(seconds=1)))
        with post.records.begin() as rows:
            again = rows.webhooks.claim(delivery_id, LEASE)
            assert again is not None
            rows.webhooks.settle(
                again, DeliveryState.DELIVERED, pause=None, response_status=200, error=None
            )
        answer(410)(handler)

    post.receiver.says(lose)

    post.deliveries.deliver(delivery_id)

    row = post.row(delivery_id)
    assert (row.state, row.response_status, row.attempts) == ("delivered", 200, 2)
    assert post.webhooks.page(ALICE, 1).webhooks[0].enabled


def test_a_slow_receiver_is_called_once_at_a_time_and_holds_up_nobody_else(post: Post) -> None:
    slow, quick = post.webhook(path="/slow"), post.webhook(path="/quick")
    by_webhook: dict[str, list[str]] = {slow.id: [], quick.id: []}
    for delivery_id in post.owed() + post.owed():
        by_webhook[post.row(delivery_id).webhook_id].append(delivery_id)
    post.receiver.says(hangs)
    thread = threading.Thread(target=post.deliveries.deliver, args=(by_webhook[slow.id][0],))
    thread.start()
    eventually(lambda: post.receiver.calls)

    for delivery_id in by_webhook[slow.id] + by_webhook[quick.id]:
        post.deliveries.deliver(delivery_id)

    with post.records.read() as rows:
        due = rows.webhooks.due(10)
    assert [call.path for call in post.receiver.calls] == ["/slow", "/quick", "/quick"]
    assert due == []
    post.receiver.stopping.set()
    thread.join()
    with post.records.read() as rows:
        assert rows.webhooks.due(10) == [by_webhook[slow.id][1]]


def test_who_delivers_goes_on_with_what_is_due_in_its_order(post: Post) -> None:
    post.webhook()
    owed = [post.owed()[0] for _ in range(5)]

    post.deliveries.deliver(owed[0])

    heard = [call.headers["webhook-id"] for call in post.receiver.calls]
    assert heard == [post.row(each).event_id for each in owed]


@pytest.mark.parametrize(
    ("says", "heard"),
    [
        (answer(500), 2),
        (answer(503, Retry_After="60"), 1),
        (says_raw(b""), 1),
    ],
)
def test_who_is_turned_away_goes_on_unless_nobody_answers_or_a_pause_is_asked_for(
    post: Post, says: Reply, heard: int
) -> None:
    post.webhook()
    [first], [second] = post.owed(), post.owed()
    post.receiver.says(says)

    post.deliveries.deliver(first)

    assert len(post.receiver.calls) == heard
    assert post.row(second).attempts == heard - 1


def test_a_turn_ends_even_when_more_is_due(post: Post) -> None:
    class Hours(SystemClock):
        hours = 0

        def monotonic(self) -> float:
            self.hours += 1
            return super().monotonic() + 3600 * self.hours

    post.webhook()
    [first], [second] = post.owed(), post.owed()

    replace(post.deliveries, clock=Hours()).deliver(first)

    assert post.row(first).state == "delivered"
    assert post.row(second).state == "pending"


def test_a_turn_ends_when_its_worker_is_stopped(post: Post) -> None:
    post.webhook()
    [first], [second] = post.owed(), post.owed()

    post.deliveries.deliver(first, is_stopping=lambda: True)

    assert post.row(first).state == "delivered"
    assert (post.row(second).state, post.row(second).attempts) == ("pending", 0)


def test_an_address_that_is_private_by_now_is_not_called(post: Post) -> None:
    post.webhook()
    [delivery_id] = post.owed()
    strict = replace(post.deliveries, notifier=HttpNotifier(allow_private=False))

    strict.deliver(delivery_id)

    row = post.row(delivery_id)
    assert (row.state, row.response_status, row.error) == ("pending", None, "private_address")
    assert post.receiver.calls == []


def a_clock(time: datetime) -> SystemClock:
    class Fixed(SystemClock):
        def now(self) -> datetime:
            return time

    return Fixed()


def said(call: Call) -> Any:
    return json.loads(call.body)
