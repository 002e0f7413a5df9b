"""What clients are told of their jobs: from the board while it is good, else from the rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import NoReturn, cast

import pytest
from sqlalchemy.event import listen, remove
from uuid_utils.compat import uuid7

from shared.adapters.clock_system import SystemClock
from shared.adapters.records_sql import SqlRecords
from shared.errors import NotFound, Unavailable, Unprocessable
from shared.model.caller import Caller, Scope
from shared.model.job import Job, JobStatus, Shown
from shared.model.lifecycle import Event, JobState
from shared.records import Records
from shared.services.jobs import FRESH, MOST_IDS, JobService
from tests.support.builders import a_file, a_job
from tests.support.workshop import ALICE, BOB, EmptyBoard, RecordingDispatcher

NOW = SystemClock().now()
HOUR = timedelta(hours=1)


@dataclass
class MemoryBoard(EmptyBoard):
    """All that is shown has been so for `age`."""

    shown: dict[str, JobStatus] = field(default_factory=dict)
    age: timedelta = timedelta()

    def put(self, status: JobStatus) -> None:
        self.shown[status.job.id] = status

    def find(self, job_ids: Sequence[str]) -> dict[str, Shown]:  # type: ignore[override]  # narrower
        here = [job_id for job_id in job_ids if job_id in self.shown]
        return {job_id: Shown(self.shown[job_id], self.age) for job_id in here}


@dataclass
class HandClock:
    """Time goes on only where somebody waits; `meanwhile` is what happens then.

    The time of day is nobody's business here.
    """

    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None

    def now(self) -> datetime:
        raise AssertionError

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.seconds += seconds
        self.meanwhile()


class Away:
    """A database that does not answer."""

    def read(self) -> NoReturn:
        raise Unavailable("records", "The database does not answer.")


@dataclass
class Desk:
    records: SqlRecords
    board: MemoryBoard
    clock: HandClock
    jobs: JobService

    def added(self, **said: object) -> Job:
        with self.records.begin() as rows:
            return rows.jobs.add(a_job(**said))  # type: ignore[arg-type]  # a builder

    def claimed(self, job: Job) -> Job:
        with self.records.begin() as rows:
            claimed = rows.jobs.claim(job.id, "w", timedelta(seconds=30), 3)
        assert claimed is not None
        return claimed


@pytest.fixture
def desk(sqlite_url: str) -> Iterator[Desk]:
    records, board, clock = SqlRecords(sqlite_url), MemoryBoard(), HandClock()
    with records.begin() as rows:
        rows.quotas.reserve("default", 0)  # files are numbered in its row
    yield Desk(records, board, clock, JobService(records, board, RecordingDispatcher(), clock))
    records.close()


def test_a_rejection_is_believed_of_the_board_however_old(desk: Desk) -> None:
    job = a_job(state=JobState.REJECTED)
    desk.board.put(JobStatus(job, None, NOW))
    desk.board.age = timedelta(days=1)

    status = desk.jobs.status(ALICE, job.id)

    assert (status.job, status.seen_at) == (job, NOW + desk.board.age)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_an_end_that_may_not_be_the_last_is_read_again_once_it_is_old(
    desk: Desk, state: JobState
) -> None:
    job = desk.added()
    desk.board.put(JobStatus(replace(job, state=state), None, NOW))
    desk.board.age = timedelta(days=1)

    assert desk.jobs.status(ALICE, job.id).job == job


@pytest.mark.parametrize("said_at", [NOW, NOW - HOUR, NOW + HOUR])
def test_a_status_that_is_not_final_is_believed_while_the_board_calls_it_fresh(
    desk: Desk, said_at: datetime
) -> None:
    job = desk.added()
    shown = replace(job, step="assemble", version=7)
    desk.board.put(JobStatus(shown, None, said_at))
    desk.board.age = FRESH
    assert desk.jobs.status(ALICE, job.id).job == shown

    desk.board.age += timedelta(milliseconds=1)

    assert desk.jobs.status(ALICE, job.id).job == job
    assert desk.board.shown[job.id].job == job


def test_an_empty_board_is_filled_from_the_rows_with_the_file(desk: Desk) -> None:
    job = desk.added(state=JobState.SUCCEEDED)
    with desk.records.begin() as rows:
        file = rows.files.add(a_file(id=job.upload_id), None)

    status = desk.jobs.status(ALICE, job.id)

    assert (status.job, status.file) == (job, file)
    assert desk.board.shown == {job.id: status}


def test_a_file_is_shown_with_its_job_until_its_time_is_over(desk: Desk) -> None:
    file = a_file(expires_at=NOW + FRESH)
    job = a_job(file.id, state=JobState.SUCCEEDED)
    desk.board.put(JobStatus(job, file, NOW))
    assert desk.jobs.status(ALICE, job.id).visible_file == file

    desk.board.age = FRESH

    status = desk.jobs.status(ALICE, job.id)
    assert (status.visible_file, status.file) == (None, file)


@pytest.mark.parametrize("how", ["hidden", "removed"])
def test_a_file_that_the_board_did_not_hear_of_is_shown_for_seconds_at_most(
    desk: Desk, how: str
) -> None:
    job = desk.added(state=JobState.SUCCEEDED)
    with desk.records.begin() as rows:
        file = rows.files.add(a_file(id=job.upload_id), None)
    desk.board.put(JobStatus(job, file, NOW))
    with desk.records.begin() as rows:  # by a web that is killed before it can say so
        assert rows.files.mark_deleted(file.id) if how == "hidden" else rows.files.drop(file.id)

    desk.board.age = FRESH + timedelta(milliseconds=1)
    first = desk.jobs.status(ALICE, job.id)
    desk.board.age = timedelta(days=1)

    for status in (first, desk.jobs.status(ALICE, job.id)):
        assert (status.job, status.visible_file) == (job, None)


def test_ends_that_are_shown_are_told_while_the_database_is_away(desk: Desk) -> None:
    job, failed, running = a_job(), a_job(state=JobState.FAILED), a_job()
    done = replace(job, state=JobState.SUCCEEDED)
    file = a_file(id=done.upload_id)
    for status in (JobStatus(done, file, NOW), JobStatus(failed, None, NOW)):
        desk.board.put(status)
    desk.board.put(JobStatus(running, None, NOW))
    desk.board.age = HOUR
    away = replace(desk.jobs, records=cast("Records", Away()))

    found = away.statuses(ALICE, [done.id, failed.id])

    assert [(status.job, status.file) for status in found] == [(done, file), (failed, None)]
    with pytest.raises(Unavailable):
        away.statuses(ALICE, [done.id, running.id])


@pytest.mark.parametrize("hidden", ["deleted", "expired"])
def test_a_hidden_file_of_the_rows_is_not_shown_with_its_job(desk: Desk, hidden: str) -> None:
    job = desk.added(state=JobState.SUCCEEDED)
    with desk.records.begin() as rows:
        file = rows.files.add(a_file(id=job.upload_id), -HOUR if hidden == "expired" else HOUR)
        if hidden == "deleted":
            rows.files.mark_deleted(file.id)

    for status in (desk.jobs.status(ALICE, job.id), desk.jobs.status(ALICE, job.id)):
        assert status.visible_file is None
        assert status.file is not None


def test_a_hundred_jobs_take_as_many_queries_as_one(desk: Desk) -> None:
    def asked(count: int) -> list[str]:
        made = [desk.added(state=JobState.SUCCEEDED) for _ in range(count)]
        with desk.records.begin() as rows:
            for job in made:
                rows.files.add(a_file(id=job.upload_id), None)
        told: list[str] = []
        note = partial(noted, told)
        listen(desk.records._engine, "before_cursor_execute", note)
        found = desk.jobs.statuses(ALICE, [job.id for job in made][::-1])
        remove(desk.records._engine, "before_cursor_execute", note)
        assert [status.job for status in found] == made[::-1]
        assert all(status.file for status in found)
        desk.board.age = HOUR
        told.append("once more, from a board that shows all of them")
        listen(desk.records._engine, "before_cursor_execute", note)
        assert [each.file for each in desk.jobs.statuses(ALICE, [job.id for job in made])]
        remove(desk.records._engine, "before_cursor_execute", note)
        desk.board.age = timedelta()
        return told

    def noted(told: list[str], _connection: object, _cursor: object, said: str, *_: object) -> None:
        told.append(said.partition("IN (")[0])

    assert asked(1) == asked(100)


def test_jobs_of_others_are_not_there_on_the_board_or_off(desk: Desk) -> None:
    admin = Caller("root", "other", scopes=frozenset({Scope.ADMIN}))
    boss = Caller("boss", scopes=frozenset({Scope.ADMIN}))
    job = desk.added()

    for _ in range(2):
        for caller in (BOB, admin):
            with pytest.raises(NotFound):
                desk.jobs.status(caller, job.id)
        assert desk.jobs.status(boss, job.id).job == job


def test_many_are_answered_in_the_order_asked_for_each_once(desk: Desk) -> None:
    one, two, bobs = desk.added(), desk.added(), desk.added(owner="bob")
    desk.board.put(JobStatus(two, None, NOW))

    found = desk.jobs.statuses(ALICE, [two.id, "not an id", bobs.id, one.id, str(uuid7()), two.id])

    assert [status.job.id for status in found] == [two.id, one.id]


def test_more_than_a_hundred_at_once_are_refused(desk: Desk) -> None:
    with pytest.raises(Unprocessable):
        desk.jobs.statuses(ALICE, ["x"] * (MOST_IDS + 1))


def test_waiting_ends_with_the_job(desk: Desk) -> None:
    job = desk.claimed(desk.added())

    def finish() -> None:
        if len(desk.clock.waits) == 3:
            with desk.records.begin() as rows:
                ended = rows.jobs.advance(job.id, Event.REJECT, fence=job.fence)
            assert ended is not None
            desk.board.put(JobStatus(ended, None, NOW))

    desk.clock.meanwhile = finish

    status = desk.jobs.wait(ALICE, desk.jobs.begun(ALICE, job), 30)

    assert status.job.state is JobState.REJECTED
    assert len(desk.clock.waits) == 3


def test_waiting_ends_with_the_time(desk: Desk) -> None:
    job = desk.added()

    status = desk.jobs.wait(ALICE, desk.jobs.begun(ALICE, job), 2)

    assert status.job == job
    assert sum(desk.clock.waits) == pytest.approx(2)


def test_what_was_just_committed_is_known_without_rows(desk: Desk) -> None:
    job = desk.added()
    blind = replace(desk.jobs, records=cast("Records", Away()))

    status = blind.begun(ALICE, job)
    waited = blind.wait(ALICE, status, 2)

    assert (status.job, status.file) == (job, None)
    assert waited == status
    assert sum(desk.clock.waits) == pytest.approx(2)


def test_a_file_of_an_earlier_request_is_not_told_of_without_rows(desk: Desk) -> None:
    job = replace(desk.added(), state=JobState.SUCCEEDED)
    blind = replace(desk.jobs, records=cast("Records", Away()))

    with pytest.raises(Unavailable):
        blind.begun(ALICE, job)


def test_waiting_for_news_ends_with_a_newer_version(desk: Desk) -> None:
    job = desk.added()
    desk.clock.meanwhile = lambda: desk.board.put(
        JobStatus(replace(job, version=job.version + 1), None, NOW)
    )

    begun = desk.jobs.begun(ALICE, job)

    status = desk.jobs.wait(ALICE, begun, 30, known=job.version)

    assert status.job.version == job.version + 1
    assert len(desk.clock.waits) == 1
    assert desk.jobs.wait(ALICE, begun, 30, known=0).job.version > 0
    assert len(desk.clock.waits) == 1


def test_an_announced_job_is_shown_and_rung_for(desk: Desk) -> None:
    job = desk.added()

    desk.jobs.announce(job)

    assert desk.board.shown[job.id] == JobStatus(job, None, job.updated_at)
    assert isinstance(desk.jobs.dispatcher, RecordingDispatcher)
    assert desk.jobs.dispatcher.processed == [job.id]
