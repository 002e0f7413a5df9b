"""Claims against each database: one worker holds a job, and whoever lost it changes nothing."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest

from shared.adapters.records_sql import SqlRecords
from shared.errors import Conflict, LeaseLost, OutcomeUnknown, Rejected, Unavailable
from shared.model.caller import Caller, Scope
from shared.model.file import File
from shared.model.job import Job
from shared.model.lifecycle import JobState, UploadState
from shared.services.claims import OUTAGE_LIMIT, OUTAGE_PAUSES, Claim, ClaimRules, ClaimService
from shared.services.reconciling import Reconciled
from tests.support.builders import a_file, a_job, an_upload
from tests.support.cable import a_cable
from tests.support.factory import Factory, a_factory
from tests.support.races import at_once, waiting_for_locks
from tests.support.waiting import eventually
from tests.support.workshop import ALICE
from worker.watch import Stopping, Watch

ADMIN = Caller("root", scopes=frozenset({Scope.ADMIN}))
ERROR = {"code": "x", "detail": "y"}
BAD = Rejected("bad", "It is bad.")
SHORT = ClaimRules(timedelta(seconds=0.4), timedelta(seconds=0.1), max_attempts=100)
HOUR = timedelta(hours=1)


@pytest.fixture
def factory(database_url: str, tmp_path: Path) -> Iterator[Factory]:
    with a_factory(tmp_path, database_url) as made:
        yield made


@pytest.fixture
def job(factory: Factory) -> Job:
    factory.listen()
    return factory.received(b"hello world")


# Every way to write as the holder of a claim.
WRITES: dict[str, Callable[[Factory, Claim], object]] = {
    "note": lambda factory, claim: factory.claims.note(claim, "publish", 5),
    "intend": lambda factory, claim: factory.claims.intend(claim, ["another key"]),
    "started": lambda factory, claim: factory.claims.started(claim, claim.upload.key, "m"),
    "publish": lambda factory, claim: factory.claims.publish(claim, file_of(claim)),
    "reject": lambda factory, claim: factory.claims.reject(claim, BAD),
    "give up": lambda factory, claim: factory.claims.give_up(claim, ERROR),
    "hand back": lambda factory, claim: factory.claims.hand_back(claim),
    "try again": lambda factory, claim: factory.claims.try_again(claim, ERROR),
    "sit out": lambda factory, claim: factory.claims.sit_out(claim, Unavailable("objects", "…")),
    "bury": lambda factory, claim: factory.claims.bury(claim.job),
}
ENDS = {"publish", "reject", "give up", "sit out"}  # the others end it in the same ways


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_whoever_was_taken_over_writes_nothing(
    factory: Factory, job: Job, write: Callable[[Factory, Claim], object]
) -> None:
    first = factory.claim(job)
    factory.claims.intend(first, [first.upload.key])
    factory.take_over(job)
    before = factory.snapshot()

    with pytest.raises(LeaseLost):
        write(factory, first)

    assert not factory.claims.beat(first)
    assert factory.snapshot() == before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("end", sorted(ENDS))
def test_a_claim_that_has_ended_writes_nothing(
    factory: Factory, end: str, write: Callable[[Factory, Claim], object]
) -> None:
    claim = factory.claim(factory.received(b"hello world"))
    factory.claims.intend(claim, [claim.upload.key])
    WRITES[end](factory, claim)
    before = factory.snapshot()

    with pytest.raises(LeaseLost):
        write(factory, claim)

    assert factory.snapshot() == before


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_claim_that_was_cancelled_writes_nothing(
    factory: Factory, job: Job, write: Callable[[Factory, Claim], object]
) -> None:
    claim = factory.claim(job)
    factory.claims.intend(claim, [claim.upload.key])
    factory.services.uploads.cancel(ALICE, job.upload_id)
    before = factory.snapshot()

    with pytest.raises(LeaseLost):
        write(factory, claim)

    assert factory.snapshot() == before
    assert factory.quota() == (0, 0)


def test_of_eight_workers_one_gets_the_job(factory: Factory, job: Job) -> None:
    claims = at_once(partial(factory.claims.claim, job.id, str(n)) for n in range(8))

    (won,) = [claim for claim in claims if claim]
    assert (won.job.fence, won.job.attempts) == (1, 1)
    assert factory.job(job) == won.job
    assert factory.upload(job).state is UploadState.PROCESSING


def test_a_claim_that_is_not_to_be_had_changes_nothing(factory: Factory, job: Job) -> None:
    factory.claims.sit_out(factory.claim(job), Unavailable("objects", "…"))
    before = factory.snapshot()

    assert factory.claims.claim(job.id, "early") is None
    assert factory.claims.claim("nothing", "w") is None

    assert factory.snapshot() == before
    assert factory.upload(job).state is UploadState.SEALED


def test_a_claim_whose_answer_was_lost_is_looked_up(postgres_rows: str, tmp_path: Path) -> None:
    with a_cable(postgres_rows) as cable, a_factory(tmp_path, cable.url) as factory:
        job = factory.received(b"hello world")
        cable.loses_the_answer_to(b"COMMIT")

        claim = factory.claims.claim(job.id, "w")

        assert cable.lost == 1
        assert claim is not None
        assert factory.job(job) == claim.job
        assert (claim.job.fence, claim.job.attempts) == (1, 1)
        factory.claims.intend(claim, [claim.upload.key])
        factory.claims.publish(claim, file_of(claim))
        assert factory.job(job).state is JobState.SUCCEEDED


def test_a_claim_that_was_lost_is_not_mistaken_for_anothers_of_the_same_name(
    factory: Factory, job: Job
) -> None:
    records = Undone(factory.records, lambda: factory.claim(job, "same"))

    with pytest.raises(OutcomeUnknown):
        replace(factory.claims, records=records).claim(job.id, "same")

    assert (factory.job(job).fence, factory.job(job).attempts) == (1, 1)


def test_a_claim_that_did_not_happen_can_be_had_again(factory: Factory, job: Job) -> None:
    before = factory.job(job)

    with pytest.raises(OutcomeUnknown):
        replace(factory.claims, records=Undone(factory.records)).claim(job.id, "w")

    assert factory.job(job) == before
    assert factory.run(job).state is JobState.SUCCEEDED


def test_publishing_makes_the_file_and_settles_everything(factory: Factory, job: Job) -> None:
    claim = factory.claim(job)
    factory.claims.intend(claim, [claim.upload.key])

    factory.claims.publish(claim, file_of(claim))

    assert factory.job(job).state is JobState.SUCCEEDED
    assert factory.upload(job).state is UploadState.READY
    assert (factory.quota(), factory.events()) == ((11, 0), ["file.ready"])
    assert factory.staged() == []
    with factory.records.read() as rows:
        assert [str(each.state) for each in rows.objects.of_upload(job.upload_id)] == ["linked"]
        assert rows.chunks.of(job.upload_id) == []
    shown = factory.board.shown[-1]
    assert (shown.job, shown.file) == (factory.job(job), factory.file(job))
    assert len(factory.bell.delivered) == 1


@pytest.mark.parametrize("whose", ["nobody", "another"])
def test_without_the_row_of_its_key_no_file_is_made(factory: Factory, job: Job, whose: str) -> None:
    claim = factory.claim(job)
    if whose == "another":
        with factory.records.begin() as rows:
            rows.objects.intend(claim.upload.key, whose)
    before = factory.snapshot()

    with pytest.raises(LeaseLost):
        factory.claims.publish(claim, file_of(claim))

    assert factory.snapshot() == before


def test_a_rejection_gives_bytes_and_room_back(factory: Factory, job: Job) -> None:
    factory.claims.reject(factory.claim(job), Rejected("bad", "It is bad.", reason=7))

    ended = factory.job(job)
    assert (ended.state, ended.error) == (
        JobState.REJECTED,
        {"code": "bad", "detail": "It is bad.", "reason": 7},
    )
    upload = factory.upload(job)
    assert (upload.state, upload.reserved) == (UploadState.REJECTED, 0)
    assert (factory.quota(), factory.staged(), factory.events()) == ((0, 0), [], ["file.rejected"])


def test_giving_up_keeps_bytes_and_room_for_a_retry(factory: Factory, job: Job) -> None:
    factory.claims.give_up(factory.claim(job), ERROR)

    assert factory.upload(job).state is UploadState.FAILED
    assert (factory.quota(), len(factory.staged())) == ((0, 11), 1)
    again = factory.services.jobs.retry(ADMIN, job.id)
    assert (again.state, again.attempts, again.outages) == (JobState.QUEUED, 0, 0)
    assert factory.run(job).state is JobState.SUCCEEDED
    assert (factory.quota(), factory.events()) == ((11, 0), ["file.failed", "file.ready"])


def test_only_what_failed_and_is_still_kept_can_be_retried(factory: Factory, job: Job) -> None:
    with pytest.raises(Conflict):
        factory.services.jobs.retry(ADMIN, job.id)
    factory.claims.give_up(factory.claim(job), ERROR)
    factory.shift("uploads", "updated_at", -timedelta(days=8), id=job.upload_id)
    factory.services.sweeps.run("failed-uploads")
    before = factory.snapshot()

    with pytest.raises(Conflict):
        factory.services.jobs.retry(ADMIN, job.id)

    assert factory.snapshot() == before


def test_handing_back_leaves_no_trace_of_the_attempt(factory: Factory, job: Job) -> None:
    factory.claims.hand_back(factory.claim(job))

    back = factory.job(job)
    assert (back.state, back.attempts, back.outages, back.error) == (JobState.QUEUED, 0, 0, None)
    assert factory.bell.processed == [job.id, job.id]
    assert factory.claim(job).job.attempts == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_sitting_out_waits_longer_each_time_and_a_day_at_most(factory: Factory, job: Job) -> None:
    outage = Unavailable("objects", "The object store does not answer.")
    pauses: list[timedelta] = []
    while factory.job(job).state is not JobState.FAILED:
        factory.shift("jobs", "due_at", -timedelta(days=2), id=job.id)
        factory.claims.sit_out(factory.claim(job), outage)
        after = factory.job(job)
        if after.state is JobState.QUEUED:
            pauses.append(after.due_at - after.updated_at)
            assert after.attempts == 0

    assert all(
        abs(pause - planned) < timedelta(seconds=1)
        for pause, planned in zip(pauses, OUTAGE_PAUSES, strict=False)
    )
    assert timedelta(hours=23) < sum(pauses, timedelta()) <= OUTAGE_LIMIT
    assert max(pauses) < timedelta(minutes=6)
    assert factory.events() == ["file.failed"]


def test_a_message_alone_takes_no_job_from_a_worker_that_slept(factory: Factory, job: Job) -> None:
    claim = factory.claim(job)
    factory.shift("jobs", "lease_until", -6 * HOUR, id=job.id)

    assert factory.claims.claim(job.id, "another") is None

    assert factory.claims.beat(claim)
    assert factory.job(job).attempts == 1


def test_a_job_whose_workers_all_died_is_buried(factory: Factory, job: Job) -> None:
    for _ in range(3):
        factory.claim(job)
        factory.lose(job)
    assert factory.claims.claim(job.id, "fourth") is None

    factory.claims.bury(factory.job(job))

    ended = factory.job(job)
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error["code"] == "attempts_exhausted"
    assert (factory.quota(), len(factory.staged())) == ((0, 11), 1)
    assert factory.events() == ["file.failed"]


def test_a_job_whose_last_worker_was_heard_of_since_is_not_buried(
    factory: Factory, job: Job
) -> None:
    last = factory.claim(job)
    factory.shift("jobs", "lease_until", -HOUR, id=job.id)
    left = factory.job(job)
    assert factory.claims.beat(last)

    with pytest.raises(LeaseLost):
        factory.claims.bury(left)

    assert factory.job(job).state is JobState.RUNNING
    assert factory.events() == []


def test_a_cancellation_and_an_end_at_once_are_one_of_the_two(factory: Factory) -> None:
    factory.listen()
    for number, end in enumerate(["publish", "reject", "give up", "hand back"] * 3):
        job = factory.received(b"hello world")
        claim = factory.claim(job)
        factory.claims.intend(claim, [claim.upload.key])

        def finish(end: str = end, claim: Claim = claim) -> None:
            with suppress(LeaseLost):
                WRITES[end](factory, claim)

        def cancel(upload_id: str = job.upload_id) -> None:
            with suppress(Conflict):
                factory.services.uploads.cancel(ALICE, upload_id)

        works: list[Callable[[], None]] = [finish, cancel]
        at_once(works if number % 2 else works[::-1])

        pair = (str(factory.upload(job).state), str(factory.job(job).state))
        assert pair in {
            ("ready", "succeeded"),
            ("rejected", "rejected"),
            ("failed", "failed"),
            ("cancelled", "cancelled"),
        }
        assert (factory.file(job) is not None) is (pair[0] == "ready")


def test_who_cancels_and_who_ends_a_job_do_not_wait_for_each_other(
    postgres_rows: str, tmp_path: Path
) -> None:
    with (
        a_factory(tmp_path, postgres_rows) as factory,
        psycopg.connect(postgres_rows) as holding,
        psycopg.connect(postgres_rows, autocommit=True) as looking,
    ):
        job = factory.received(b"hello world")
        claim = factory.claim(job)
        holding.execute("SELECT 1 FROM uploads WHERE id = %s FOR UPDATE", (job.upload_id,))
        outcomes: list[str] = []

        def do(name: str, work: Callable[[], object]) -> threading.Thread:
            before = waiting_for_locks(looking)
            thread = threading.Thread(target=lambda: outcomes.append(said(name, work)))
            thread.start()
            eventually(lambda: waiting_for_locks(looking) > before)
            return thread

        threads = [
            do("cancel", lambda: factory.services.uploads.cancel(ALICE, job.upload_id)),
            do("reject", lambda: factory.claims.reject(claim, BAD)),
        ]
        began = time.monotonic()
        holding.commit()
        for thread in threads:
            thread.join()

        assert sorted(outcomes) == ["cancel done", "reject LeaseLost"]
        assert time.monotonic() - began < 1  # PostgreSQL finds a deadlock after a second
        assert factory.job(job).state is JobState.CANCELLED


def test_a_watched_claim_outlives_its_lease(sqlite: Factory) -> None:
    claim = sqlite.claim(sqlite.received(b"hello world"))

    seen = {claim.job.lease_until}

    def has_beaten_often() -> bool:
        seen.add(sqlite.job(claim.job).lease_until)
        return len(seen) > 6

    with Watch(sqlite.claims, claim, lambda: False) as watch:
        eventually(has_beaten_often)
        watch.check()
        assert sqlite.claims.claim(claim.job.id, "another") is None

    assert eventually(lambda: sqlite.reconciler().round() == Reconciled(rung=1), 2)
    assert sqlite.claims.claim(claim.job.id, "another") is not None


def test_a_watch_says_that_the_claim_was_taken_over(sqlite: Factory) -> None:
    sqlite = sqlite.with_rules(lease=HOUR)
    claim = sqlite.claim(sqlite.received(b"hello world"))

    with Watch(sqlite.claims, claim, lambda: False) as watch:
        watch.check()
        sqlite.take_over(claim.job)

        assert eventually(lambda: raised(watch.check)) is LeaseLost


def test_a_watch_says_that_the_worker_is_stopping(sqlite: Factory) -> None:
    claim = sqlite.claim(sqlite.received(b"hello world"))

    with Watch(sqlite.claims, claim, lambda: True) as watch, pytest.raises(Stopping):
        watch.check()


def test_a_watch_bears_a_database_that_is_away_until_the_lease_is_over(
    postgres_rows: str, tmp_path: Path
) -> None:
    rules = ClaimRules(timedelta(seconds=1), timedelta(seconds=0.1), max_attempts=3)
    with a_cable(postgres_rows) as cable, a_factory(tmp_path, cable.url, claims=rules) as factory:
        claim = factory.claim(factory.received(b"hello world"))
        with Watch(factory.claims, claim, lambda: False) as watch:
            cable.cut()
            watch.check()
            cable.mend()
            until = factory.job(claim.job).lease_until
            eventually(lambda: factory.job(claim.job).lease_until != until)
            watch.check()
            cable.cut()

            assert eventually(lambda: raised(watch.check)) is Unavailable

        cable.mend()
        with closing(SqlRecords(postgres_rows)) as records, records.read() as rows:
            found = rows.jobs.find(claim.job.id)
        assert found is not None
        assert (found.state, found.fence) == (JobState.RUNNING, 1)


@pytest.mark.parametrize(
    "fault", [Unavailable("records", "…"), RuntimeError("can't start new thread")], ids=repr
)
def test_a_beat_that_failed_is_tried_again_within_a_second(fault: Exception) -> None:
    claims = Faltering(ClaimRules(HOUR, timedelta(seconds=1.5), max_attempts=3), fault)

    with Watch(cast("ClaimService", claims), a_claim(), lambda: False):
        eventually(lambda: len(claims.beats) == 3)

    failed, again, _ = claims.beats
    assert 0.9 < again - failed < 1.4


@dataclass
class Undone:
    """Records whose commits are not answered and do not happen; then `meanwhile` does."""

    inner: SqlRecords
    meanwhile: Callable[[], object] = lambda: None

    def __getattr__(self, verb: str) -> Any:
        return getattr(self.inner, verb)

    @contextmanager
    def begin(self) -> Iterator[Any]:
        lost = OutcomeUnknown("records", "The database does not answer.")
        with suppress(OutcomeUnknown), self.inner.begin() as rows:
            yield rows
            raise lost
        self.meanwhile()
        raise lost


@dataclass
class Faltering:
    """Hears every beat but the first; `beats` is when each came."""

    rules: ClaimRules
    fault: Exception
    beats: list[float] = field(default_factory=list)

    def beat(self, claim: Claim) -> bool:
        del claim
        self.beats.append(time.monotonic())
        if len(self.beats) == 1:
            raise self.fault
        return True


def a_claim() -> Claim:
    return Claim(a_job(), an_upload(), [])


@pytest.fixture
def sqlite(tmp_path: Path, sqlite_url: str) -> Iterator[Factory]:
    with a_factory(tmp_path, sqlite_url, claims=SHORT) as made:
        yield made


def file_of(claim: Claim) -> File:
    upload = claim.upload
    return a_file(id=upload.id, key=upload.key, size=upload.received)


def said(name: str, work: Callable[[], object]) -> str:
    error = raised(work)
    return f"{name} {'done' if error is None else error.__name__}"


def raised(work: Callable[[], object]) -> type[Exception] | None:
    try:
        work()
    except Exception as error:  # noqa: BLE001  # it is what is asked for
        return type(error)
    return None
