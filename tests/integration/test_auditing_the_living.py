"""The auditor and who is at work: after a clock jumped all that is taken looks as if it were left."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.clock_system import SystemClock
from shared.model.webhook import LEASE, DeliveryState
from shared.services.auditing.findings import Kind
from shared.services.claims import ClaimRules
from shared.services.sweeping import SweepService
from tests.support import damages
from tests.support.damages_left import owe
from tests.support.factory import a_factory
from tests.support.grounds import HOUR, Grounds, findings
from tests.support.straight import a_straight_store
from worker.watch import Watch

RULES = ClaimRules(timedelta(seconds=1.2), timedelta(seconds=0.3), max_attempts=3)


@dataclass
class Hurried(SystemClock):
    """Waits for nothing, and lets something happen once it should have for a second."""

    meanwhile: Callable[[], object] = lambda: None
    waited: float = 0.0
    turns: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.waited

    def wait(self, seconds: float) -> None:
        self.waited += seconds
        self.turns.append(seconds)
        if self.waited > 1:
            self.meanwhile()


@pytest.fixture
def grounds(database_url: str, tmp_path: Path) -> Iterator[Grounds]:
    store = a_straight_store(tmp_path)
    with a_factory(tmp_path, database_url, objects=store, claims=RULES) as factory:
        yield Grounds(factory)


def test_a_worker_that_lives_keeps_its_job_after_a_clock_jumped(grounds: Grounds) -> None:
    claim = grounds.claimed()

    with Watch(grounds.factory.claims, claim, lambda: False) as watch:
        the_clock_jumps(grounds)
        result = grounds.run("audit", lease=RULES.lease)
        watch.check()

    assert result["findings"] == {}
    assert claim.job.id not in grounds.factory.bell.processed[1:]
    assert grounds.factory.claims.beat(claim)


def test_a_delivery_under_way_is_not_stuck_after_a_clock_jumped(grounds: Grounds) -> None:
    delivery_id = owe(grounds)
    with grounds.factory.records.begin() as rows:
        delivery = rows.webhooks.claim(delivery_id, LEASE)
    assert delivery is not None
    the_clock_jumps(grounds)

    def answer() -> None:
        with grounds.factory.records.begin() as rows:
            rows.webhooks.settle(
                delivery, DeliveryState.DELIVERED, pause=None, response_status=200, error=None
            )

    result = audited(grounds, Hurried(meanwhile=answer))

    assert result["findings"] == {}
    assert grounds.factory.bell.delivered == []


def test_what_is_taken_is_waited_for_once_and_for_a_lease(grounds: Grounds) -> None:
    planted = damages.lease_long_over(grounds) | damages.delivery_stuck(grounds)
    clock = Hurried()

    result = audited(grounds, clock)

    assert set(findings(result)) == planted
    assert clock.waited == LEASE.total_seconds()
    assert max(clock.turns) <= 1


def test_what_is_only_queued_is_not_waited_for_that_long(grounds: Grounds) -> None:
    planted = damages.job_forgotten(grounds) | damages.delivery_overdue(grounds)
    clock = Hurried()

    result = audited(grounds, clock)

    assert set(findings(result)) == planted
    assert clock.waited < 1


def test_a_run_that_is_to_stop_waits_no_longer_and_says_nothing_of_what_is_taken(
    grounds: Grounds,
) -> None:
    damages.lease_long_over(grounds)
    clock = Hurried()
    service = audit_with(grounds, clock)

    stopped = service.run_if_due("audit", is_stopping=lambda: clock.waited > 3)
    again = service.run_if_due("audit")

    assert (stopped["findings"], stopped["capped"]) == ({}, True)
    assert again["findings"] == {Kind.JOB_STUCK: 1}


def test_a_clock_that_jumped_makes_nothing_forgotten_of_what_has_its_message(
    grounds: Grounds,
) -> None:
    """Those under way want no messages: that they seem to keeps what is queued from its own."""
    owed = owe(grounds)
    with grounds.factory.records.begin() as rows:
        assert rows.webhooks.claim(owed, LEASE)
    claim, _ = grounds.claimed(), (grounds.queued(), owe(grounds))
    the_clock_jumps(grounds)
    grounds.factory.bell.waiting = 1

    def go_on() -> None:
        assert grounds.factory.claims.beat(claim)
        grounds.sql("UPDATE deliveries SET state = 'delivered' WHERE id = :id", id=owed)

    result = audited(grounds, Hurried(meanwhile=go_on))

    assert result["findings"] == {}


def the_clock_jumps(grounds: Grounds) -> None:
    """Let all that the rows of work say be six hours ago."""
    for table, columns in (
        ("jobs", ("lease_until", "dispatched_at", "due_at")),
        ("deliveries", ("lease_until", "updated_at", "due_at")),
    ):
        for row in grounds.factory.query(f"SELECT id FROM {table}"):  # noqa: S608  # names from here
            for column in columns:
                grounds.age(table, column, 6 * HOUR, id=row["id"])


def audited(grounds: Grounds, clock: Hurried) -> dict[str, Any]:
    return audit_with(grounds, clock).run("audit")


def audit_with(grounds: Grounds, clock: Hurried) -> SweepService:
    service = grounds.sweeps(lease=LEASE)
    return replace(service, sweeper=replace(service.sweeper, clock=clock))
