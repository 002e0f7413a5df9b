"""What every database must do with jobs: claims, fences, leases; and with the leases of sweeps."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.adapters.records_sql import SqlRecords
from shared.model.job import LONGEST_PAUSE, Job
from shared.model.lifecycle import FINAL_JOBS, JOBS, Event, JobState
from shared.records import Transaction
from tests.support.builders import a_job

LEASE = timedelta(seconds=30)
OVER = -timedelta(seconds=1)  # a lease that has run out as soon as it is taken
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PAUSE = LONGEST_PAUSE
MOST = 3


def test_a_job_comes_back_as_it_was_added_and_is_due_at_once(rows: Transaction) -> None:
    job = a_job(error={"code": "x", "nested": [1, None]}, total=2**40)

    made = rows.jobs.add(job)

    times = {name: getattr(made, name) for name in ("created_at", "updated_at", "due_at")}
    assert made == replace(job, **times)
    assert rows.jobs.find(job.id) == rows.jobs.of_upload(job.upload_id) == made
    assert rows.jobs.queued() == 1


def test_what_is_not_there_is_none(rows: Transaction) -> None:
    assert rows.jobs.find("nothing") is None
    assert rows.jobs.of_upload("nothing") is None
    assert rows.jobs.many([]) == rows.jobs.many(["nothing"]) == []
    assert rows.jobs.claim("nothing", "w", LEASE, MOST) is None


def test_many_finds_those_that_are_there(rows: Transaction) -> None:
    one, two = (rows.jobs.add(a_job()) for _ in range(2))

    assert {job.id for job in rows.jobs.many([two.id, "nothing", one.id])} == {one.id, two.id}


def test_an_upload_has_one_job(records: SqlRecords) -> None:
    with records.begin() as rows:
        job = rows.jobs.add(a_job())

    with pytest.raises(Exception, match=r"(?i)unique"), records.begin() as rows:
        rows.jobs.add(a_job(job.upload_id))


def test_a_claim_counts_the_attempt_and_begins_a_lease(rows: Transaction) -> None:
    job = rows.jobs.add(a_job(step="publish", done=7, error={"code": "x"}))

    claimed = rows.jobs.claim(job.id, "worker", LEASE, MOST)

    assert claimed is not None
    assert claimed == rows.jobs.find(job.id)
    assert (claimed.state, claimed.worker) == (JobState.RUNNING, "worker")
    assert (claimed.fence, claimed.attempts, claimed.version) == (1, 1, 2)
    assert (claimed.step, claimed.done, claimed.error) == (None, 0, None)
    assert claimed.started_at is not None
    assert claimed.lease_until is not None
    assert abs(claimed.lease_until - claimed.started_at - LEASE) < timedelta(seconds=1)


def test_a_claimed_job_is_not_to_be_had_before_its_lease_ran_out(rows: Transaction) -> None:
    job = rows.jobs.add(a_job())
    first = rows.jobs.claim(job.id, "one", LEASE, MOST)

    assert rows.jobs.claim(job.id, "two", LEASE, MOST) is None

    assert rows.jobs.find(job.id) == first


def test_fence_and_attempts_grow_with_every_claim_until_the_last(rows: Transaction) -> None:
    job = rows.jobs.add(a_job())

    claims = []
    for number in range(MOST + 1):
        claims.append(rows.jobs.claim(job.id, str(number), OVER, MOST))
        lose(rows, job)

    assert [(each.fence, each.attempts) for each in claims if each] == [(1, 1), (2, 2), (3, 3)]
    assert claims[-1] is None
    started = {each.started_at for each in claims if each}
    assert len(started) == 1


@pytest.mark.parametrize("lease", [OVER, DAY])
def test_a_lease_that_ran_out_lets_nobody_have_the_job_before_it_is_released(
    rows: Transaction, lease: timedelta
) -> None:
    first = a_claim(rows, lease=lease)

    assert rows.jobs.claim(first.id, "two", LEASE, MOST) is None
    assert rows.jobs.release([first], LEASE) == [first.id]

    assert rows.jobs.lapsed(LEASE) == 1
    assert [job.id for job in rows.jobs.waiting(OVER, LEASE, 10)] == [first.id]
    second = rows.jobs.claim(first.id, "two", LEASE, MOST)
    assert second is not None
    assert (second.fence, second.attempts) == (2, 2)
    assert not rows.jobs.beat(first.id, first.fence, LEASE)
    assert rows.jobs.claim(first.id, "three", LEASE, MOST) is None


def test_a_worker_that_beats_after_its_release_keeps_the_job(rows: Transaction) -> None:
    first = a_claim(rows, lease=OVER)
    rows.jobs.release([first], LEASE)

    assert rows.jobs.beat(first.id, first.fence, LEASE)

    assert rows.jobs.claim(first.id, "two", LEASE, MOST) is None
    assert rows.jobs.lapsed(LEASE) == 0


def test_only_what_lapsed_and_nobody_has_extended_since_is_released(rows: Transaction) -> None:
    held, queued = a_claim(rows), rows.jobs.add(a_job())
    beaten, left = a_claim(rows, lease=OVER), a_claim(rows, lease=OVER)
    rows.jobs.beat(beaten.id, beaten.fence, 2 * OVER)
    ended = a_claim(rows, lease=OVER)
    rows.jobs.advance(ended.id, Event.GIVE_UP, fence=ended.fence)
    before = [rows.jobs.find(each.id) for each in (held, queued, beaten, ended)]

    assert rows.jobs.release([held, queued, beaten, ended, left], LEASE) == [left.id]
    assert rows.jobs.release([], LEASE) == []

    assert [rows.jobs.find(each.id) for each in (held, queued, beaten, ended)] == before


def test_a_job_is_buried_only_as_it_was_left(rows: Transaction) -> None:
    left = a_claim(rows, lease=OVER)
    rows.jobs.beat(left.id, left.fence, 2 * OVER)
    said: dict[str, Any] = {"fence": left.fence}

    assert rows.jobs.advance(left.id, Event.GIVE_UP, until=left.lease_until, **said) is None

    now = rows.jobs.find(left.id)
    assert now is not None
    assert rows.jobs.advance(left.id, Event.GIVE_UP, until=now.lease_until, **said) is not None


def test_a_job_that_was_put_back_is_taken_however_often_it_was_tried(rows: Transaction) -> None:
    job = rows.jobs.add(a_job(attempts=MOST))

    assert rows.jobs.claim(job.id, "worker", LEASE, MOST) is not None


def test_a_job_that_has_to_wait_is_not_to_be_had_before_it_is_due(rows: Transaction) -> None:
    claimed = a_claim(rows)

    rows.jobs.advance(claimed.id, Event.HAND_BACK, fence=claimed.fence, pause=PAUSE)

    assert rows.jobs.claim(claimed.id, "worker", LEASE, MOST) is None
    assert rows.jobs.queued() == 0
    assert rows.jobs.waiting(timedelta(), LEASE, 10) == []


@pytest.mark.parametrize("state", sorted(FINAL_JOBS))
def test_an_ended_job_is_not_to_be_had(rows: Transaction, state: JobState) -> None:
    job = rows.jobs.add(a_job(state=state))

    assert rows.jobs.claim(job.id, "worker", LEASE, MOST) is None


def test_a_beat_extends_the_lease_and_shows_no_new_version(rows: Transaction) -> None:
    claimed = a_claim(rows)

    assert rows.jobs.beat(claimed.id, claimed.fence, HOUR)

    after = rows.jobs.find(claimed.id)
    assert after is not None
    assert after.lease_until is not None
    assert claimed.lease_until is not None
    assert after.lease_until - claimed.lease_until > timedelta(minutes=59)
    assert after == replace(claimed, lease_until=after.lease_until)


def test_a_note_shows_where_a_job_is(rows: Transaction) -> None:
    claimed = a_claim(rows)

    noted = rows.jobs.note(claimed.id, claimed.fence, "assemble", 5)

    assert noted is not None
    assert (noted.step, noted.done, noted.version) == ("assemble", 5, claimed.version + 1)
    assert rows.jobs.find(claimed.id) == noted


def test_without_the_fence_of_the_last_claim_nothing_is_written(rows: Transaction) -> None:
    first = a_claim(rows, lease=OVER)
    lose(rows, first)
    second = rows.jobs.claim(first.id, "two", LEASE, MOST)

    assert not rows.jobs.beat(first.id, first.fence, HOUR)
    assert rows.jobs.note(first.id, first.fence, "publish", 9) is None
    for event in Event:
        if event in {event for _, event in JOBS}:
            assert rows.jobs.advance(first.id, event, fence=first.fence) is None

    assert rows.jobs.find(first.id) == second


def test_a_job_that_does_not_run_takes_neither_beats_nor_notes(rows: Transaction) -> None:
    job = rows.jobs.add(a_job())

    assert not rows.jobs.beat(job.id, job.fence, HOUR)
    assert rows.jobs.note(job.id, job.fence, "publish", 9) is None

    assert rows.jobs.find(job.id) == job


def test_an_event_moves_a_job_only_from_where_it_starts(rows: Transaction) -> None:
    for state in JobState:
        for event in {event for _, event in JOBS}:
            job = rows.jobs.add(a_job(state=state))

            moved = rows.jobs.advance(job.id, event, fence=job.fence)

            target = JOBS.get((state, event))
            after = rows.jobs.find(job.id)
            assert after is not None
            if target is None:
                assert (moved, after) == (None, job)
            else:
                assert moved == after
                assert (after.state, after.version) == (target, job.version + 1)
                assert (after.finished_at is not None) is (target in FINAL_JOBS)
                assert after.lease_until is None


def test_an_event_without_a_fence_takes_the_job_from_whoever_runs_it(rows: Transaction) -> None:
    claimed = a_claim(rows)

    cancelled = rows.jobs.advance(claimed.id, Event.CANCEL)

    assert cancelled is not None
    assert cancelled.fence > claimed.fence
    assert not rows.jobs.beat(claimed.id, claimed.fence, LEASE)


def test_an_event_writes_what_came_with_it(rows: Transaction) -> None:
    claimed = a_claim(rows)
    error = {"code": "objects_unavailable", "detail": "…"}

    back = rows.jobs.advance(
        claimed.id,
        Event.HAND_BACK,
        fence=claimed.fence,
        attempts=0,
        outages=1,
        error=error,
        dispatched_at=None,
        pause=HOUR,
    )

    assert back is not None
    assert (back.attempts, back.outages, back.error) == (0, 1, error)
    assert back.dispatched_at is None
    assert abs(back.due_at - back.updated_at - HOUR) < timedelta(seconds=1)


def test_waiting_jobs_are_due_and_nobody_was_told_of_them_lately(rows: Transaction) -> None:
    untold = rows.jobs.add(a_job())
    abandoned = a_claim(rows, lease=OVER)
    told = rows.jobs.add(a_job())
    told_and_abandoned = a_claim(rows, lease=OVER)
    a_claim(rows)
    rows.jobs.add(a_job(state=JobState.FAILED))
    rows.jobs.dispatched([told.id, told_and_abandoned.id])

    def waiting(stale: timedelta, limit: int = 10) -> set[str]:
        return {job.id for job in rows.jobs.waiting(stale, LEASE, limit)}

    assert waiting(HOUR) == {untold.id, abandoned.id}
    assert waiting(OVER) == {untold.id, abandoned.id, told.id, told_and_abandoned.id}
    assert len(waiting(OVER, 3)) == 3


def test_queued_counts_what_is_due_and_not_claimed(rows: Transaction) -> None:
    for _ in range(3):
        rows.jobs.add(a_job())
    a_claim(rows)
    later = a_claim(rows)
    rows.jobs.advance(later.id, Event.HAND_BACK, fence=later.fence, pause=PAUSE)

    assert rows.jobs.queued() == 3


def test_lapsed_counts_what_runs_under_a_lease_that_ran_out(rows: Transaction) -> None:
    rows.jobs.add(a_job())
    a_claim(rows)
    for _ in range(2):
        a_claim(rows, lease=OVER)
    ended = a_claim(rows, lease=OVER)
    rows.jobs.advance(ended.id, Event.GIVE_UP, fence=ended.fence)

    assert rows.jobs.lapsed(LEASE) == 2


def test_the_next_lapse_is_of_the_lease_that_runs_out_first(rows: Transaction) -> None:
    rows.jobs.add(a_job())
    a_claim(rows, lease=OVER)
    assert rows.jobs.next_lapse() is None
    a_claim(rows, lease=2 * HOUR)
    a_claim(rows, lease=HOUR)
    ended = a_claim(rows, lease=HOUR / 2)
    rows.jobs.advance(ended.id, Event.GIVE_UP, fence=ended.fence)

    lapse = rows.jobs.next_lapse()

    assert lapse is not None
    assert HOUR - timedelta(minutes=1) < lapse <= HOUR


def test_a_lease_of_a_clock_that_was_ahead_is_over_and_its_fence_is_too(rows: Transaction) -> None:
    first = a_claim(rows, lease=DAY)
    assert {job.id for job in rows.jobs.waiting(timedelta(), LEASE, 10)} == {first.id}
    assert rows.jobs.lapsed(LEASE) == 1

    lose(rows, first)
    second = rows.jobs.claim(first.id, "second", LEASE, MOST)

    assert second is not None
    assert second.fence > first.fence
    assert not rows.jobs.beat(first.id, first.fence, LEASE)
    assert rows.jobs.note(first.id, first.fence, "publish", 1) is None
    assert rows.jobs.advance(first.id, Event.PUBLISH, fence=first.fence) is None
    assert rows.jobs.claim(first.id, "third", LEASE, MOST) is None


def test_a_lease_that_its_holder_sets_anew_is_a_lease_again(rows: Transaction) -> None:
    claimed = a_claim(rows, lease=DAY)

    assert rows.jobs.beat(claimed.id, claimed.fence, LEASE)

    assert rows.jobs.claim(claimed.id, "second", LEASE, MOST) is None
    assert rows.jobs.lapsed(LEASE) == 0


def test_what_was_put_off_or_told_of_by_a_clock_that_was_ahead_is_due(rows: Transaction) -> None:
    claimed = a_claim(rows)
    ahead: dict[str, Any] = {"pause": DAY, "dispatched_at": rows.now() + DAY}
    rows.jobs.advance(claimed.id, Event.HAND_BACK, fence=claimed.fence, **ahead)

    assert rows.jobs.queued() == 1
    assert [job.id for job in rows.jobs.waiting(HOUR, LEASE, 10)] == [claimed.id]
    assert rows.jobs.claim(claimed.id, "second", LEASE, MOST) is not None


def test_dropped_jobs_are_gone(rows: Transaction) -> None:
    one, two = (rows.jobs.add(a_job()) for _ in range(2))

    for _ in range(2):
        rows.jobs.drop([one.id, "nothing"])

    assert rows.jobs.find(one.id) is None
    assert rows.jobs.find(two.id) == two


def test_a_lease_belongs_to_one_until_it_runs_out_or_is_left(rows: Transaction) -> None:
    leases = rows.leases

    assert leases.take("sweep", "one", LEASE)
    assert not leases.take("sweep", "two", LEASE)
    assert leases.take("another", "two", LEASE)
    assert leases.take("sweep", "one", OVER)
    assert leases.take("sweep", "two", LEASE)
    assert not leases.take("sweep", "one", LEASE)
    leases.leave("sweep", "one", None)
    assert not leases.take("sweep", "one", LEASE)
    leases.leave("sweep", "two", None)
    assert leases.take("sweep", "one", LEASE)


def test_a_lease_that_ends_much_later_than_ours_would_is_to_be_had(rows: Transaction) -> None:
    rows.leases.take("sweep", "dead", DAY)

    assert rows.leases.take("sweep", "one", LEASE)
    rows.leases.leave("sweep", "dead", {"removed": 3})
    assert not rows.leases.take("sweep", "two", LEASE)


def test_a_lease_keeps_what_was_last_done_under_it(rows: Transaction) -> None:
    rows.leases.take("b", "one", LEASE)
    rows.leases.take("a", "one", LEASE)
    rows.leases.leave("b", "one", {"removed": 3})
    rows.leases.take("b", "two", LEASE)

    a, b = rows.leases.results()

    assert (a["name"], a["finished_at"], a["result"]) == ("a", None, None)
    assert (b["name"], b["holder"], b["result"]) == ("b", "two", {"removed": 3})
    assert b["started_at"] >= b["finished_at"]


def test_a_first_sighting_is_never_the_second(rows: Transaction) -> None:
    leases, nothing = rows.leases, timedelta()

    assert leases.sighted("object", ["a"], nothing) == []
    assert leases.sighted("object", ["a", "b"], nothing) == ["a"]
    assert leases.sighted("object", ["a", "b"], HOUR) == []
    assert leases.sighted("staging", ["a"], nothing) == []
    assert leases.sighted("object", [], nothing) == []
    assert set(leases.seen("object", ["a", "b", "c"], nothing)) == {"a", "b"}
    assert leases.sightings("object", nothing, 10) == ["a", "b"]
    assert leases.sightings("object", nothing, 1) == ["a"]
    assert leases.sightings("object", HOUR, 10) == []


def test_sightings_are_forgotten_by_name_or_when_not_seen_again(rows: Transaction) -> None:
    leases, nothing = rows.leases, timedelta()
    leases.sighted("object", ["a", "b", "c"], nothing)
    leases.forget("object", ["a"])
    since = rows.now() + timedelta(milliseconds=1)
    while rows.now() < since:
        pass
    leases.sighted("object", ["c"], nothing)

    leases.forget_unseen("object", since)

    assert leases.sightings("object", nothing, 10) == ["c"]


def lose(rows: Transaction, job: Job) -> None:
    rows.jobs.release(rows.jobs.many([job.id]), LEASE)


def a_claim(rows: Transaction, lease: timedelta = LEASE, **said: Any) -> Job:
    job = rows.jobs.add(a_job(**said))
    claimed = rows.jobs.claim(job.id, "worker", lease, MOST)
    assert claimed is not None
    return claimed
