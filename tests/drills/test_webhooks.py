"""Receivers that misbehave, and senders that are killed (D14): each event is told, at least once."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from standardwebhooks.webhooks import Webhook

from tests.drills.fleet import Toll, keeping_up
from tests.drills.load import meanwhile
from tests.drills.rig import Rig, a_rig
from tests.drills.timeline import in_words, percentile
from tests.support.api import Api, answered
from tests.support.quick import ASIDE
from tests.support.receiver import Call, Handler, Receiver, Reply, a_receiver, answer, hangs
from tests.support.restless import SECOND
from tests.support.servers import free_port
from tests.support.waiting import eventually

pytestmark = [pytest.mark.measures, pytest.mark.timeout(1800)]
WITHOUT: Final = (SECOND, *ASIDE)
HURRY: Final = "hurried-webhooks"
SETTLED_SECONDS: Final = 900.0  # a receiver hears one thing at a time
DELAYED_SECONDS: Final = 1.0
LATE_SECONDS: Final = 60.0  # of a signature
GOOD: Final = range(200, 300)
EVENTS: Final = ["file.ready", "file.rejected", "file.failed"]
DELIVERED: Final = "SELECT id FROM deliveries WHERE webhook_id = :id AND state = 'delivered'"
_OWED: Final = "SELECT id, webhook_id, attempts, due_at FROM deliveries WHERE state = 'pending'"


@dataclass
class Listener:
    """One endpoint: what it was told, and what it answered to which event."""

    receiver: Receiver
    webhook_id: str
    secret: str
    answered: list[tuple[str, int]] = field(default_factory=list)

    def breaches(self, rows: list[Mapping[str, Any]]) -> Iterator[str]:
        """Hold what was heard against the rows: signed, of one id, and told to its end (I7)."""
        told = {event for event, status in self.answered if status in GOOD}
        heard = {call.headers["webhook-id"] for call in self.receiver.calls}
        for call in self.receiver.calls:
            if not is_signed(call, self.secret):
                yield f"{call.headers['webhook-id']} is not signed right"
        if strange := heard - {row["event_id"] for row in rows}:
            yield f"{len(strange)} events of no row"
        for row in rows:
            if row["event_id"] not in heard and row["error"] != "webhook_disabled":
                yield f"{row['event_id']} was never heard of"
            if row["state"] == "delivered" and row["event_id"] not in told:
                yield f"{row['event_id']} is delivered, and was never taken"
            if row["state"] == "pending":
                yield f"{row['event_id']} is owed after {row['attempts']} attempts"

    def per_event(self) -> float:
        heard = Counter(call.headers["webhook-id"] for call in self.receiver.calls)
        return sum(heard.values()) / max(1, len(heard))


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, shared_seed: int) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("webhooks")
    with a_rig(folder, shared_seed, sabotage=HURRY, without=WITHOUT) as rig:
        yield rig


def test_each_event_is_told_whatever_receivers_do(rig: Rig, *, is_long: bool) -> None:
    events, kills = (1000, 20) if is_long else (8, 1)
    with ExitStack() as open_:
        inside = open_.enter_context(a_receiver())
        moody, leaving = (open_.enter_context(listening(rig)) for _ in range(2))
        nobody = f"http://127.0.0.1:{free_port()}/hook"
        dead = str(open_.enter_context(registered(rig, nobody))["id"])
        moody.receiver.says(*moods(rig.said, 50 * events, moody, inside))
        leaving.receiver.says(*moods(rig.said, events // 2, leaving, inside))
        leaving.receiver.says(*[noted(leaving, 410)] * 50 * events)  # who asks may be killed
        toll, before = Toll(rig), len(rig.ledger.entries)
        with meanwhile(toll.strikes(["worker-io"], kills, (1.0, 3.0))):
            rig.clients.upload_until(
                lambda: toll.is_paid,
                at_least=events,
                at_once=1,
                first=before,
                may_go_on=keeping_up(rig),
            )
            settle(rig)
        breaches = [*moody.breaches(rows_of(rig, moody)), *leaving.breaches(rows_of(rig, leaving))]
        states = Counter(row["state"] for row in rows_of(rig, moody))
        after = told_after(rows_of(rig, moody))

        count = len(rig.ledger.entries) - before
        print(f"{count} events; {dict(states)}; {kills} kills; {in_words(after)}")
        print(
            f"heard {moody.per_event():.2f} times each; the one that left {leaving.per_event():.2f}"
        )
        assert breaches == []
        assert len(rows_of(rig, moody)) == count
        assert inside.calls == []
        assert is_put_aside(rig, leaving.webhook_id)
        assert rig.checker.rows(DELIVERED, id=dead) == []
    assert rig.verdict().breaches == []


def test_calm_receivers_hear_once_and_wait_for_no_dead_one(rig: Rig, *, is_long: bool) -> None:
    events = 300 if is_long else 20
    with ExitStack() as open_:
        calm = [open_.enter_context(listening(rig)) for _ in range(2)]
        before = told_in(rig, calm, events)
        slow = open_.enter_context(listening(rig))
        slow.receiver.says(*[hangs] * 50 * events)
        beside = told_in(rig, calm, events)

        print(f"calm: {in_words(before)}; beside one that hangs: {in_words(beside)}")
        for listener in calm:
            assert list(listener.breaches(rows_of(rig, listener))) == []
            assert listener.per_event() == 1.0
        assert percentile(beside, 0.99) <= percentile(before, 0.99) + DELAYED_SECONDS


@pytest.mark.teeth
def test_a_sender_content_with_any_answer_turns_the_drill_red(tmp_path: Path, seed: int) -> None:
    with (
        a_rig(tmp_path, seed, sabotage=f"{HURRY},any-answer-is-good", without=WITHOUT) as rig,
        listening(rig) as listener,
    ):
        listener.receiver.says(*moods(rig.said, 20, listener, listener.receiver))
        rig.clients.upload_all(8)
        settle(rig)

        breaches = list(listener.breaches(rows_of(rig, listener)))
        print(breaches[:2])
        with pytest.raises(AssertionError):
            assert breaches == []


@contextmanager
def listening(rig: Rig) -> Iterator[Listener]:
    """Register a receiver that takes everything, until it is told what to say or the block ends."""
    with a_receiver() as receiver, registered(rig, receiver.url()) as webhook:
        listener = Listener(receiver, webhook["id"], webhook["secret"])
        receiver.next_reply = lambda: (  # type: ignore[method-assign]  # it notes what it says
            receiver._replies.popleft() if receiver._replies else noted(listener, 204)
        )
        yield listener


def is_signed(call: Call, secret: str) -> bool:
    """Say whether a receiver would have taken it, then: its own check goes by the time now."""
    said = call.headers
    signed_at = datetime.fromtimestamp(int(said["webhook-timestamp"]), UTC)
    signature = Webhook(secret).sign(said["webhook-id"], signed_at, call.body.decode())
    late = abs(call.heard_at - signed_at.timestamp())
    return signature in said["webhook-signature"].split() and late < LATE_SECONDS


@contextmanager
def registered(rig: Rig, url: str) -> Iterator[dict[str, Any]]:
    with Api(rig.stack.base_url, rig.clients.token) as api:
        webhook = answered(api.post("/api/v1/webhooks", json={"url": url, "events": EVENTS}), 201)
        try:
            yield webhook
        finally:
            assert api.delete(f"/api/v1/webhooks/{webhook['id']}").status_code == 204


def noted(listener: Listener, status: int, **headers: Any) -> Reply:
    def reply(handler: Handler) -> None:
        listener.answered.append((last_heard(handler).headers["webhook-id"], status))
        answer(status, **headers)(handler)

    return reply


def last_heard(handler: Handler) -> Call:
    """Return the call that this reply is to: others may have come meanwhile."""
    named = {name.lower(): value for name, value in handler.headers.items()}
    return next(call for call in reversed(handler.server.calls) if call.headers == named)


def resets(handler: Handler) -> None:
    handler.connection.close()


def moods(said: random.Random, count: int, listener: Listener, inside: Receiver) -> list[Reply]:
    """Draw what a receiver says, one call after the other."""
    replies: tuple[tuple[int, Reply], ...] = (
        (30, noted(listener, 500)),
        (10, hangs),
        (5, resets),
        (5, noted(listener, 429, Retry_After="1")),
        (2, noted(listener, 302, Location=inside.url("/inside"))),
        (48, noted(listener, 204)),
    )
    weights, drawn = zip(*replies, strict=True)
    return said.choices(drawn, weights, k=count)


def settle(rig: Rig) -> None:
    """Wait until no job is at work and no delivery is owed."""
    rig.settle()
    eventually(
        lambda: not rig.checker.rows(_OWED), SETTLED_SECONDS, every=0.2, says="something is owed"
    )


def rows_of(rig: Rig, listener: Listener) -> list[Mapping[str, Any]]:
    question = "SELECT * FROM deliveries WHERE webhook_id = :id ORDER BY id"
    return rig.checker.rows(question, id=listener.webhook_id)


def told_in(rig: Rig, listeners: list[Listener], events: int) -> list[float]:
    """Upload so many files; return how long each event took to each of the listeners."""
    before = {row["id"] for each in listeners for row in rows_of(rig, each)}
    rig.clients.upload_until(
        lambda: True,
        at_least=events,
        at_once=2,
        first=len(rig.ledger.entries),
        may_go_on=keeping_up(rig),
    )
    rig.settle()

    def new() -> list[Mapping[str, Any]]:
        rows = [row for each in listeners for row in rows_of(rig, each)]
        return [row for row in rows if row["id"] not in before]

    count = events * len(listeners)
    eventually(lambda: len(told_after(new())) == count, SETTLED_SECONDS, says="not all are told")
    return told_after(new())


def told_after(rows: list[Mapping[str, Any]]) -> list[float]:
    told = [row for row in rows if row["delivered_at"]]
    return sorted((row["delivered_at"] - row["created_at"]) / 1000 for row in told)


def is_put_aside(rig: Rig, webhook_id: str) -> bool:
    row = rig.checker.rows(
        "SELECT enabled, disabled_reason FROM webhooks WHERE id = :id", id=webhook_id
    )
    return (bool(row[0]["enabled"]), row[0]["disabled_reason"]) == (False, "receiver_gone")
