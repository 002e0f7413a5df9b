"""Timelines: what ran for a job, claim by claim, as admins see it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.errors import NotFound, Unavailable
from shared.model.caller import Caller, Scope
from shared.model.job import Job, Outcome, StepRun
from shared.model.lifecycle import JobState
from tests.support.factory import Factory, a_factory
from tests.support.pictures import a_png
from tests.support.workshop import ALICE

ADMIN = Caller("root", scopes=frozenset({Scope.ADMIN}))
STRANGER = Caller("root", tenant="elsewhere", scopes=frozenset({Scope.ADMIN}))
STEPS = ["inspect", "assemble", "thumbnail", "publish", "record"]


@pytest.fixture
def factory(database_url: str, tmp_path: Path) -> Iterator[Factory]:
    with a_factory(tmp_path, database_url) as made:
        yield made


def test_a_job_that_went_well_ran_every_step_once(factory: Factory) -> None:
    job = factory.received(b"hello world")

    factory.run(job, worker="w1")

    runs = timeline(factory, job)
    assert [run.step for run in runs] == STEPS
    assert {(run.run, run.attempt, run.worker, run.outcome) for run in runs} == {
        (1, 1, "w1", Outcome.FINISHED)
    }
    assert all(run.took is not None and run.error is None for run in runs)
    assert [run.started_at for run in runs] == sorted(run.started_at for run in runs)


def test_the_step_of_a_worker_that_died_is_lost_and_the_next_claim_starts_over(
    factory: Factory,
) -> None:
    job = factory.received(b"hello world")
    dead = factory.claim(job, "w1")
    factory.claims.begin_step(dead, "inspect", 0)
    taken = factory.take_over(job)
    factory.claims.hand_back(taken)

    factory.run(job, worker="w3")

    assert summary(factory, job) == [
        ("inspect", 1, "w1", Outcome.LOST),
        *[(step, 3, "w3", Outcome.FINISHED) for step in STEPS],
    ]


def test_attempts_that_die_before_their_first_step_are_in_it(factory: Factory) -> None:
    job = factory.received(b"hello world")
    factory.claim(job, "w1")
    for _ in range(2):
        factory.take_over(job)
    factory.shift("jobs", "lease_until", -timedelta(hours=1), id=job.id)

    factory.reconciler().round()

    runs = timeline(factory, job)
    assert [(run.step, run.run, run.attempt, run.worker, run.outcome) for run in runs] == [
        ("claim", 1, 1, "w1", Outcome.LOST),
        ("claim", 2, 2, "another", Outcome.LOST),
        ("claim", 3, 3, "another", Outcome.FAILED),
    ]
    assert runs[-1].error == factory.job(job).error
    assert all(run.took is not None for run in runs)
    assert [run.started_at for run in runs] == sorted(run.started_at for run in runs)


def test_a_step_that_was_begun_stands_for_its_attempt(factory: Factory) -> None:
    job = factory.received(b"hello world")
    factory.claims.begin_step(factory.claim(job, "w1"), "inspect", 0)
    for _ in range(2):
        factory.claims.begin_step(factory.take_over(job), "inspect", 0)
    factory.shift("jobs", "lease_until", -timedelta(hours=1), id=job.id)

    factory.reconciler().round()

    assert [each[3] for each in summary(factory, job)] == [
        Outcome.LOST,
        Outcome.LOST,
        Outcome.FAILED,
    ]


def test_an_outage_before_the_first_step_says_so(factory: Factory) -> None:
    job = factory.received(b"hello world")
    outage = Unavailable("objects", "The store does not answer.")

    factory.claims.sit_out(factory.claim(job, "w1"), outage)

    (run,) = timeline(factory, job)
    assert (run.step, run.worker, run.outcome) == ("claim", "w1", Outcome.PUT_OFF)
    assert run.error is not None
    assert run.error["code"] == "objects_unavailable"


def test_a_failed_job_that_is_retried_goes_on_in_its_timeline(factory: Factory) -> None:
    job = factory.received(b"hello world")
    factory.board.before["assemble"] = lambda: spoil(factory)

    failed = factory.run(job, worker="w1")
    assert failed.state is JobState.FAILED
    mend(factory)
    factory.services.jobs.retry(ADMIN, job.id)
    factory.run(job, worker="w2")

    runs = timeline(factory, job)
    assert [(run.step, run.run, run.attempt, run.outcome) for run in runs][:2] == [
        ("inspect", 1, 1, Outcome.FINISHED),
        ("assemble", 1, 1, Outcome.FAILED),
    ]
    assert runs[1].error == failed.error
    assert {(run.worker, run.attempt) for run in runs[2:]} == {("w2", 1)}
    assert [run.step for run in runs[2:]] == STEPS


def test_a_failed_job_of_an_empty_file_is_retried_though_it_has_no_bytes(factory: Factory) -> None:
    job = factory.received(b"")
    factory.claims.give_up(factory.claim(job), {"code": "internal_error", "detail": "…"})

    factory.services.jobs.retry(ADMIN, job.id)

    assert factory.run(factory.job(job)).state is JobState.SUCCEEDED


def test_a_rejected_file_says_so_at_the_step_that_refused_it(factory: Factory) -> None:
    job = factory.received(a_png()[:60], "a.png")

    ended = factory.run(job)

    last = timeline(factory, job)[-1]
    assert (last.step, last.outcome, last.error) == ("thumbnail", Outcome.REJECTED, ended.error)


def test_a_cancelled_job_says_so(factory: Factory) -> None:
    job = factory.received(b"hello world")
    factory.board.before["thumbnail"] = lambda: factory.services.uploads.cancel(
        ALICE, job.upload_id
    )

    factory.run(job)

    assert summary(factory, job)[-1][0::3] == ("thumbnail", Outcome.CANCELLED)


def test_only_admins_of_the_tenant_see_it(factory: Factory) -> None:
    job = factory.received(b"hello world")
    factory.run(job)

    assert factory.services.jobs.timeline(ALICE, job.id) == []
    assert len(timeline(factory, job)) == len(STEPS)
    with pytest.raises(NotFound):
        factory.services.jobs.timeline(STRANGER, job.id)


def test_it_goes_with_its_job(factory: Factory) -> None:
    job = factory.received(b"hello world")
    factory.run(job)

    with factory.records.begin() as rows:
        rows.jobs.drop([job.id])

    assert factory.query("SELECT * FROM job_steps") == []


def timeline(factory: Factory, job: Job) -> list[StepRun]:
    return factory.services.jobs.timeline(ADMIN, job.id)


def summary(factory: Factory, job: Job) -> list[tuple[Any, ...]]:
    return [(run.step, run.run, run.worker, run.outcome) for run in timeline(factory, job)]


def spoil(factory: Factory) -> None:
    (staged,) = factory.staged()
    staged.rename(f"{staged}.away")


def mend(factory: Factory) -> None:
    (staged,) = factory.staged()
    staged.rename(str(staged).removesuffix(".away"))
