"""What beat asks for."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from celery.beat import PersistentScheduler

from shared.adapters.dispatch_celery import celery_app
from shared.services.sweeping import ASKED_EVERY
from shared.services.sweeps import SWEEPS
from worker.schedule import SCHEDULE


@pytest.fixture
def beat(tmp_path: Path) -> Iterator[PersistentScheduler]:
    app = celery_app("memory://")
    app.conf.beat_schedule = SCHEDULE
    made = PersistentScheduler(app=app, schedule_filename=str(tmp_path / "beat"))
    yield made
    made.close()


def test_every_sweep_is_asked_for_by_name_every_minute_in_its_own_queue() -> None:
    asked = {entry["args"][0]: entry["schedule"].run_every for entry in SCHEDULE.values()}

    assert asked == {sweep.name: ASKED_EVERY for sweep in SWEEPS}
    assert {entry["task"] for entry in SCHEDULE.values()} == {"maintenance.sweep"}


def test_no_call_expires_by_the_clock_of_another_host() -> None:
    assert [entry["options"] for entry in SCHEDULE.values()] == [{"queue": "maintenance"}] * len(
        SWEEPS
    )


def test_a_beat_without_a_memory_asks_within_a_minute(beat: PersistentScheduler) -> None:
    for name in SCHEDULE:
        _, pause = beat.schedule[name].is_due()
        assert pause <= ASKED_EVERY.total_seconds()


def test_a_clock_that_was_put_back_holds_nothing_up(beat: PersistentScheduler) -> None:
    entry = beat.schedule["audit"]
    assert entry.last_run_at is not None
    entry.last_run_at += timedelta(days=1)

    assert tuple(entry.is_due()) == (True, ASKED_EVERY.total_seconds())
