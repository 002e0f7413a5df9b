"""What the broker forgot is rung for again: once a window, and not while the queue holds it."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.adapters.records_sql import SqlTransaction
from shared.adapters.records_sql_uploads import SqlUploadRows
from shared.errors import LeaseLost, Unavailable
from shared.model.job import Job
from shared.model.lifecycle import JobState
from shared.model.upload import Upload
from shared.model.webhook import EventType
from shared.records import Transaction
from shared.services.claims import Claim, ClaimRules
from shared.services.events import Events
from shared.services.reconciling import Reconciled
from shared.services.sight import Sight
from tests.support.cable import a_cable
from tests.support.factory import Factory, a_factory
from tests.support.races import at_once
from tests.support.waiting import eventually
from tests.support.workshop import ALICE
from worker import reconciler
from worker.watch import Watch

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LEASE = timedelta(seconds=15)
WINDOW = timedelta(seconds=15)


@dataclass(frozen=True)
class Unspeakable(Events):
    """Events of which those of one upload can't be told."""

    upload_id: str = ""

    def of_upload(self, rows: Transaction, event: EventType, upload: Upload, job: Job) -> list[str]:
        if upload.id == self.upload_id:
            raise ValueError("an upload that can't be described")
        return super().of_upload(rows, event, upload, job)


@dataclass(frozen=True)
class NoRows:
    """Records that fail at every transaction."""

    error: Exception

    def begin(self) -> AbstractContextManager[Transaction]:
        raise self.error

    def read(self) -> AbstractContextManager[Transaction]:
        raise self.error

    def check(self) -> None: ...

    def close(self) -> None: ...


@dataclass
class Clocks:
    """Ours, and what the database says of its own, which may be set."""

    seconds: float = 100.0
    ahead: float = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds + self.ahead)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    made = Clocks()
    monkeypatch.setattr(SqlTransaction, "now", lambda _: made.now())
    return made


@pytest.fixture
def factory(database_url: str, tmp_path: Path) -> Iterator[Factory]:
    with a_factory(tmp_path, database_url) as made:
        yield made


@pytest.fixture
def job(factory: Factory) -> Job:
    made = factory.received(b"hello world")
    factory.bell.processed.clear()
    return made


def test_a_queued_job_that_nobody_was_told_of_is_rung_for(factory: Factory, job: Job) -> None:
    told_long_ago(factory, job)

    done = factory.reconciler(stale=WINDOW).round()

    assert done == Reconciled(rung=1)
    assert factory.bell.processed == [job.id]


def test_a_job_that_was_told_of_lately_is_left_alone(factory: Factory, job: Job) -> None:
    assert factory.reconciler(stale=WINDOW).round() == Reconciled()

    told_long_ago(factory, job)

    assert factory.reconciler(stale=WINDOW).round() == Reconciled(rung=1)
    assert factory.reconciler(stale=WINDOW).round() == Reconciled()
    assert factory.bell.processed == [job.id]


@pytest.mark.parametrize(("waiting", "rung"), [(0, 1), (1, 0)])
def test_a_ring_that_an_empty_queue_lost_is_rung_again_before_the_window_ends(
    factory: Factory, job: Job, waiting: int, rung: int
) -> None:
    factory.claim(job)
    factory.shift("jobs", "lease_until", -HOUR, id=job.id)
    factory.shift("jobs", "dispatched_at", -WINDOW / 3, id=job.id)
    factory.bell.waiting = waiting

    done = factory.reconciler(stale=WINDOW, echo=WINDOW / 5).round()

    assert done == Reconciled(rung=rung)


def test_a_job_whose_worker_died_is_rung_for_and_runs_again(factory: Factory, job: Job) -> None:
    factory.claim(job)
    told_long_ago(factory, job)
    assert factory.reconciler(stale=WINDOW).round() == Reconciled()
    factory.shift("jobs", "lease_until", -HOUR, id=job.id)

    done = factory.reconciler(stale=WINDOW).round()

    assert (done, factory.bell.processed) == (Reconciled(rung=1), [job.id])
    ended = factory.run(job)
    assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 2)


def test_a_job_that_has_to_wait_is_rung_for_once_it_is_due(factory: Factory, job: Job) -> None:
    factory.claims.sit_out(factory.claim(job), Unavailable("objects", "…"))
    assert factory.reconciler().round() == Reconciled()

    factory.shift("jobs", "due_at", -HOUR, id=job.id)

    assert factory.reconciler().round() == Reconciled(rung=1)
    assert factory.bell.processed == [job.id]


@pytest.mark.parametrize("waiting", [1, None])
def test_a_dead_workers_job_is_to_be_had_by_a_message_that_is_there(
    factory: Factory, job: Job, waiting: int | None
) -> None:
    lapsed(factory, job)
    factory.bell.waiting = waiting

    assert factory.reconciler().round() == Reconciled()

    assert factory.run(job).state is JobState.SUCCEEDED


def test_who_beats_after_it_was_taken_for_dead_keeps_its_job(factory: Factory, job: Job) -> None:
    claim = factory.claim(job)
    lapsed(factory, job, claimed=False)
    assert factory.reconciler().round() == Reconciled(rung=1)

    assert factory.claims.beat(claim)

    assert factory.claims.claim(job.id, "another") is None
    assert factory.reconciler().round() == Reconciled()


@pytest.mark.parametrize(("waiting", "rung"), [(0, 3), (2, 3), (3, 0), (9, 0)])
def test_queued_jobs_are_not_rung_for_while_the_queue_holds_as_many(
    factory: Factory, waiting: int, rung: int
) -> None:
    for _ in range(3):
        told_long_ago(factory, factory.received(b"hello world"))
    factory.bell.processed.clear()
    factory.bell.waiting = waiting

    assert factory.reconciler().round() == Reconciled(rung=rung)
    assert len(factory.bell.processed) == rung


@pytest.mark.parametrize(("waiting", "rung"), [(0, 4), (2, 4), (3, 1), (4, 0)])
def test_a_dead_workers_job_wants_a_message_beside_those_of_the_queued(
    factory: Factory, job: Job, waiting: int, rung: int
) -> None:
    lapsed(factory, job)
    for _ in range(3):
        told_long_ago(factory, factory.received(b"hello world"))
    factory.bell.processed.clear()
    factory.bell.waiting = waiting

    done = factory.reconciler().round()

    assert done == Reconciled(rung=rung)
    assert factory.bell.processed[:1] == [job.id][:rung]


def test_without_workers_the_rings_for_dead_ones_do_not_pile_up(factory: Factory) -> None:
    jobs = [factory.received(b"hello world") for _ in range(5)]
    for job in jobs:
        lapsed(factory, job)
    factory.bell.processed.clear()

    for _ in range(10):
        factory.bell.waiting = len(factory.bell.processed)
        factory.reconciler().round()

    assert sorted(factory.bell.processed) == sorted(job.id for job in jobs)


@pytest.mark.parametrize("attempts", [1, 3])
def test_after_an_outage_who_lives_has_a_lease_of_time_to_say_so(
    factory: Factory, job: Job, attempts: int
) -> None:
    now = 0.0
    rounds = factory.reconciler(pause=timedelta(seconds=5), sight=Sight(lambda: now))
    for _ in range(attempts - 1):
        lapsed(factory, job)
    claim = taken(factory, job)
    dead = factory.received(b"hello world")
    lapsed(factory, dead)
    lapsed(factory, job, claimed=False)
    factory.bell.processed.clear()

    now += 31
    assert rounds.round() == Reconciled()
    assert factory.claims.beat(claim)
    for _ in range(5):
        now += 5
        assert rounds.round() == Reconciled()
    now += 5

    assert rounds.round() == Reconciled(rung=1)
    assert factory.bell.processed == [dead.id]
    assert factory.job(job).attempts == attempts


def test_a_clock_that_is_set_ends_no_lease_of_who_lives(
    factory: Factory, job: Job, clocks: Clocks
) -> None:
    rounds = factory.reconciler(pause=timedelta(seconds=5), sight=Sight(clocks.monotonic))
    rounds.round()
    claim = factory.claim(job)

    clocks.ahead += 23  # a heartbeat less than a lease
    lapsed(factory, job, claimed=False)

    assert rounds.round() == Reconciled()
    assert factory.claims.beat(claim)


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_clock_that_is_set_amid_a_round_ends_no_lease_of_who_lives(
    factory: Factory, job: Job, clocks: Clocks, monkeypatch: pytest.MonkeyPatch, attempts: int
) -> None:
    rounds = factory.reconciler(pause=timedelta(seconds=5), sight=Sight(clocks.monotonic))
    for _ in range(attempts - 1):
        lapsed(factory, job)
    claim = taken(factory, job)

    def leap(queue: str) -> int:
        if queue == "ingest":
            clocks.ahead += 23
            lapsed(factory, job, claimed=False)
        return 0

    monkeypatch.setattr(factory.bell, "backlog", leap)

    assert rounds.round() == Reconciled()
    assert factory.claims.beat(claim)


@pytest.mark.parametrize(("seconds", "is_rung_for"), [(10.1, True), (16.0, False)])
def test_a_query_that_takes_too_long_in_each_round_spares_no_dead(
    factory: Factory,
    job: Job,
    clocks: Clocks,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    *,
    is_rung_for: bool,
) -> None:
    rounds = factory.reconciler(pause=timedelta(seconds=5), sight=Sight(clocks.monotonic))
    lapsed(factory, job)

    def dawdle(*said: object) -> list[Upload]:
        del said
        clocks.seconds += 6
        return []

    def break_off(*said: object) -> list[Upload]:
        del said
        clocks.seconds += seconds
        raise Unavailable("records", "canceled by its time-out")

    monkeypatch.setattr(SqlUploadRows, "jobless", dawdle)
    monkeypatch.setattr(SqlUploadRows, "hoarding", break_off)
    for _ in range(5):
        factory.bell.processed.clear()
        with pytest.raises(Unavailable):
            rounds.round()
        clocks.seconds += 5

    assert factory.bell.processed == [job.id] * is_rung_for


def test_queued_jobs_need_not_wait_after_an_outage(factory: Factory, job: Job) -> None:
    now = 0.0
    rounds = factory.reconciler(sight=Sight(lambda: now))
    told_long_ago(factory, job)
    now += HOUR.total_seconds()

    assert rounds.round() == Reconciled(rung=1)


def test_rounds_that_come_in_time_and_new_reconcilers_ring_for_the_dead_at_once(
    factory: Factory, job: Job
) -> None:
    now = 0.0
    rounds = factory.reconciler(pause=timedelta(seconds=5), sight=Sight(lambda: now))
    for _ in range(20):
        now += 9  # more than that is a clock that was set: the database's does not go on here
        rounds.round()
    lapsed(factory, job)

    assert rounds.round() == Reconciled(rung=1)
    assert factory.reconciler().round() == Reconciled(rung=1)


def test_a_live_worker_on_its_last_attempt_outlives_an_outage_longer_than_its_lease(
    postgres_rows: str, tmp_path: Path
) -> None:
    lease = timedelta(seconds=1.5)
    rules, stop = ClaimRules(lease, lease / 3, max_attempts=1), threading.Event()
    with a_cable(postgres_rows) as cable, a_factory(tmp_path, cable.url, claims=rules) as factory:
        job = factory.received(b"hello world")
        claim = factory.claim(job)
        rounds = factory.reconciler(lease=lease, pause=timedelta(seconds=0.02))
        thread = threading.Thread(target=reconciler.run, args=(rounds, stop))
        with Watch(factory.claims, claim, lambda: False) as watch:
            thread.start()
            cable.cut()
            threading.Event().wait(1.6 * lease.total_seconds())
            cable.mend()
            threading.Event().wait(2 * lease.total_seconds())
            watch.check()
            live = factory.job(job)
        buried = eventually(lambda: factory.job(job).state is JobState.FAILED)
        stop.set()
        thread.join()

    assert (live.state, live.fence, live.attempts) == (JobState.RUNNING, 1, 1)
    assert buried


def test_who_died_is_rung_for_as_soon_as_the_lease_runs_out(
    database_url: str, tmp_path: Path
) -> None:
    lease = timedelta(seconds=1)
    rules, stop = ClaimRules(lease, lease / 3, max_attempts=3), threading.Event()
    with a_factory(tmp_path, database_url, claims=rules) as factory:
        job = factory.received(b"hello world")
        factory.bell.processed.clear()
        factory.claim(job)
        rounds = factory.reconciler(lease=HOUR, pause=HOUR)
        thread = threading.Thread(target=reconciler.run, args=(rounds, stop))
        thread.start()
        try:
            eventually(lambda: factory.bell.processed, 5)
        finally:
            stop.set()
            thread.join()

    assert factory.bell.processed == [job.id]


def test_a_broker_that_does_not_answer_is_not_rung(factory: Factory, job: Job) -> None:
    told_long_ago(factory, job)
    factory.bell.waiting = None

    assert factory.reconciler().round() == Reconciled()

    factory.bell.waiting = 0
    assert factory.reconciler().round() == Reconciled(rung=1)


def test_a_ring_that_did_not_get_through_is_tried_again(factory: Factory, job: Job) -> None:
    told_long_ago(factory, job)
    factory.bell.is_deaf = True
    assert factory.reconciler(stale=WINDOW).round() == Reconciled()
    factory.bell.is_deaf = False

    assert factory.reconciler(stale=WINDOW).round() == Reconciled(rung=1)


def test_jobs_that_used_their_attempts_up_are_buried_even_without_a_broker(
    factory: Factory, job: Job
) -> None:
    factory.listen()
    for _ in range(3):
        lapsed(factory, job)
    factory.bell.waiting = None

    assert factory.reconciler().round() == Reconciled(buried=1)

    ended = factory.job(job)
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error["code"] == "attempts_exhausted"
    assert factory.events() == ["file.failed"]
    assert factory.bell.processed == []
    factory.bell.waiting = 0
    assert factory.reconciler().round() == Reconciled(deliveries=1)


def test_a_queued_job_is_never_buried_however_often_it_was_tried(
    factory: Factory, job: Job
) -> None:
    with factory.records.begin() as rows:
        claimed = rows.jobs.claim(job.id, "w", HOUR, 3)
        assert claimed is not None
    factory.claims.try_again(factory.take_over(job), {"code": "x"})
    stricter = factory.with_rules(max_attempts=1)

    factory.shift("jobs", "due_at", -HOUR, id=job.id)
    assert stricter.reconciler().round() == Reconciled(rung=1)

    assert stricter.run(job).state is JobState.SUCCEEDED


def test_of_two_reconcilers_one_works(factory: Factory, job: Job) -> None:
    told_long_ago(factory, job)
    one, two = (factory.reconciler(name, lease=HOUR, stale=WINDOW) for name in ("one", "two"))

    assert one.round() == Reconciled(rung=1)
    assert two.round() is None
    assert one.round() == Reconciled()
    factory.shift("leases", "lease_until", -2 * HOUR, name="reconciler")
    assert two.round() == Reconciled()
    assert one.round() is None
    assert factory.bell.processed == [job.id]


def test_of_eight_reconcilers_at_once_one_works(factory: Factory, job: Job) -> None:
    told_long_ago(factory, job)

    rounds = at_once(factory.reconciler(str(n), lease=HOUR, stale=WINDOW).round for n in range(8))

    assert rounds.count(None) == 7
    assert factory.bell.processed == [job.id]


def test_deliveries_that_are_due_are_rung_for_unless_the_queue_holds_as_many(
    factory: Factory, job: Job
) -> None:
    factory.listen()
    factory.listen(owner=None)
    factory.run(job)
    factory.bell.delivered.clear()

    factory.bell.waiting = 2
    assert factory.reconciler().round() == Reconciled()
    factory.bell.waiting = 1
    assert factory.reconciler().round() == Reconciled(deliveries=2)
    assert len(set(factory.bell.delivered)) == 2


def test_ended_jobs_are_left_alone(factory: Factory, job: Job) -> None:
    factory.run(job)
    cancelled = factory.received(b"hello world")
    factory.services.uploads.cancel(ALICE, cancelled.upload_id)
    factory.claims.reject(factory.claim(factory.received(b"hello world")), Unavailable("x", "y"))
    before = factory.snapshot()
    factory.bell.processed.clear()

    assert factory.reconciler().round() == Reconciled()

    after = factory.snapshot()
    assert {name for name in after if after[name] != before[name]} <= {"leases"}
    assert factory.bell.processed == []


def test_a_sealed_upload_without_a_job_gets_one_and_ends(factory: Factory, job: Job) -> None:
    with factory.records.begin() as rows:
        rows.jobs.drop([job.id])
    assert factory.reconciler(stale=WINDOW).round() == Reconciled()
    factory.shift("uploads", "updated_at", -HOUR, id=job.upload_id)

    done = factory.reconciler(stale=WINDOW).round()

    with factory.records.read() as rows:
        again = rows.jobs.of_upload(job.upload_id)
    assert done == Reconciled(queued=1)
    assert again is not None
    assert factory.run(again).state is JobState.SUCCEEDED
    assert factory.reconciler(stale=WINDOW).round() == Reconciled()


def test_the_room_of_an_upload_that_ended_is_given_back_once(factory: Factory, job: Job) -> None:
    factory.run(job)
    with factory.records.begin() as rows:
        rows.quotas.reserve(job.tenant, 70)
        rows.uploads.settle(job.upload_id, reserved=70)
    factory.shift("uploads", "updated_at", -HOUR, id=job.upload_id)

    done = [factory.reconciler(stale=WINDOW).round() for _ in range(2)]

    assert done == [Reconciled(released=1), Reconciled()]
    assert factory.quota() == (11, 0)


def test_room_that_its_quota_does_not_know_of_is_not_taken_from_others(
    factory: Factory, job: Job
) -> None:
    factory.run(job)
    factory.received(b"of another")
    with factory.records.begin() as rows:
        rows.uploads.settle(job.upload_id, reserved=500)
    factory.shift("uploads", "updated_at", -HOUR, id=job.upload_id)

    done = factory.reconciler(stale=WINDOW).round()

    assert done == Reconciled(released=1)
    assert factory.quota() == (11, 10)


def test_a_failed_upload_keeps_its_room_for_a_retry(factory: Factory, job: Job) -> None:
    claim = factory.claim(job)
    factory.claims.give_up(claim, {"code": "internal_error", "detail": "a test"})
    factory.shift("uploads", "updated_at", -HOUR, id=job.upload_id)

    assert factory.reconciler(stale=WINDOW).round() == Reconciled()
    assert factory.quota() == (0, 11)


@pytest.mark.parametrize("column", ["due_at", "dispatched_at"])
def test_what_a_clock_that_was_ahead_has_put_off_is_rung_for(
    factory: Factory, job: Job, column: str
) -> None:
    told_long_ago(factory, job)
    factory.shift("jobs", column, DAY, id=job.id)

    assert factory.reconciler(stale=WINDOW).round() == Reconciled(rung=1)
    assert factory.claims.claim(job.id, "worker") is not None


def test_a_dead_workers_lease_from_a_clock_that_was_ahead_keeps_nobody_from_its_job(
    factory: Factory, job: Job
) -> None:
    dead = factory.claim(job)
    factory.shift("jobs", "lease_until", DAY, id=job.id)

    assert factory.reconciler().round() == Reconciled(rung=1)
    heir = factory.claim(job)

    assert not factory.claims.beat(dead)
    with pytest.raises(LeaseLost):
        factory.claims.hand_back(dead)
    assert factory.job(job).fence == heir.job.fence


def test_a_reconciler_that_died_while_its_clock_was_ahead_is_followed(
    factory: Factory, job: Job
) -> None:
    told_long_ago(factory, job)
    factory.reconciler("dead", lease=LEASE).round()
    factory.shift("leases", "lease_until", DAY, name="reconciler")
    told_long_ago(factory, job)

    assert factory.reconciler("new", lease=LEASE).round() == Reconciled(rung=1)


def test_a_row_that_nothing_can_be_done_with_keeps_nobody_else_waiting(
    factory: Factory, job: Job
) -> None:
    spent, dead = (factory.received(b"hello world") for _ in range(2))
    for _ in range(3):
        lapsed(factory, spent)
        lapsed(factory, dead)
    told_long_ago(factory, job)
    factory.bell.processed.clear()
    events = Unspeakable(factory.claims.events.describing, upload_id=spent.upload_id)
    claims = replace(factory.claims, events=events)

    done = replace(factory.reconciler(), claims=claims).round()

    assert done == Reconciled(rung=1, buried=1)
    assert factory.bell.processed == [job.id]
    states = {factory.job(each).state for each in (spent, dead)}
    assert states == {JobState.RUNNING, JobState.FAILED}


def test_uploads_that_can_not_be_given_a_job_keep_nobody_else_waiting(
    factory: Factory, job: Job
) -> None:
    jobless = factory.received(b"hello world")
    with factory.records.begin() as rows:
        rows.jobs.drop([jobless.id])
    factory.shift("uploads", "updated_at", -HOUR, id=jobless.upload_id)
    told_long_ago(factory, job)
    factory.bell.processed.clear()
    broken = replace(factory.services.jobs, records=NoRows(ValueError("a row like no other")))

    done = replace(factory.reconciler(), jobs=broken).round()

    assert done == Reconciled(rung=1)
    assert factory.bell.processed == [job.id]


def test_a_round_ends_when_the_rows_do_not_answer(factory: Factory, job: Job) -> None:
    lapsed(factory, job)
    lapsed(factory, job)
    lapsed(factory, job)
    away = replace(factory.claims, records=NoRows(Unavailable("records", "…")))

    with pytest.raises(Unavailable):
        replace(factory.reconciler(), claims=away).round()


def test_a_job_that_takes_too_long_to_bury_keeps_nobody_from_being_rung_for(
    factory: Factory, job: Job
) -> None:
    dead = factory.received(b"hello world")
    for _ in range(3):
        lapsed(factory, job)
    lapsed(factory, dead)
    factory.bell.processed.clear()
    away = replace(factory.claims, records=NoRows(Unavailable("records", "held by another")))

    with pytest.raises(Unavailable):
        replace(factory.reconciler(), claims=away).round()

    assert factory.bell.processed == [dead.id]


def lapsed(factory: Factory, job: Job, *, claimed: bool = True) -> None:
    """Let a worker claim the job, and its lease run out long ago."""
    if claimed:
        taken(factory, job)
    factory.shift("jobs", "lease_until", -HOUR, id=job.id)


def taken(factory: Factory, job: Job) -> Claim:
    """Let a worker claim the job, and whoever had it be taken for dead."""
    is_held = factory.job(job).state is JobState.RUNNING
    return factory.take_over(job) if is_held else factory.claim(job)


def told_long_ago(factory: Factory, job: Job) -> None:
    factory.shift("jobs", "dispatched_at", -HOUR, id=job.id)
