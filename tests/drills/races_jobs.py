"""Races for what becomes of an upload: workers, reconcilers, sweeps, and clients in their way."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final

from shared.errors import Conflict, NotFound
from shared.model.caller import Caller, Scope
from shared.model.job import Job
from shared.model.lifecycle import JobState
from shared.services.claims import Claim
from tests.drills.arena import Arena
from tests.drills.asking import CALLER
from tests.drills.ports import let_time_pass, take_for_dead
from tests.support.factory import Factory

Race = Callable[[Arena], None]

_HOUR: Final = timedelta(hours=1)
_ADMIN: Final = Caller("root", scopes=frozenset({Scope.ADMIN}))


def eight_claim(arena: Arena) -> None:
    job = arena.sealed()

    def claim() -> Claim | None:
        return arena.factory.claims.claim(job.id, "any")

    fences = []
    for _ in range(3):
        won = [each for each in arena.race([claim] * 8) if each is not None]
        assert len(won) == 1, f"{len(won)} have the job"
        fences.append(won[0].job.fence)
        take_for_dead(arena.calm)
    assert fences == sorted(set(fences))
    arena.execute("UPDATE jobs SET attempts = 0 WHERE id = :id", id=job.id)


def workers_meet(arena: Arena) -> None:
    job = arena.sealed()

    arena.race([partial(arena.worked, job, str(number)) for number in range(6)])

    assert _job(arena, job).state is JobState.SUCCEEDED
    assert _job(arena, job).attempts == 1


def a_late_worker_meets_its_heir(arena: Arena) -> None:
    """Each is taken for dead while it works."""
    job = arena.sealed()

    works = [partial(arena.worked, job, str(number)) for number in range(3)]
    die = partial(take_for_dead, arena.calm)
    arena.race([works[0], die, works[1], die, works[2]])

    let_time_pass(arena.calm)
    take_for_dead(arena.calm)
    arena.calm.run(job)
    assert _job(arena, job).state is JobState.SUCCEEDED
    assert len(arena.calm.query(f"SELECT id FROM files WHERE id = '{job.upload_id}'")) == 1  # noqa: S608  # our own id


def a_cancel_meets_the_commit(arena: Arena) -> None:
    job = arena.sealed()
    cancel = partial(arena.factory.services.uploads.cancel, CALLER, job.upload_id)

    outcomes = arena.race([partial(arena.worked, job), cancel, cancel], Conflict)

    was_obeyed = not any(isinstance(each, Conflict) for each in outcomes)
    ended = _job(arena, job)
    assert ended.state is (JobState.CANCELLED if was_obeyed else JobState.SUCCEEDED)
    assert (arena.calm.file(job) is None) == was_obeyed


def a_delete_meets_the_run(arena: Arena) -> None:
    job = arena.sealed()
    files = arena.factory.services.files

    def delete() -> bool:
        for _ in range(20):
            with suppress(NotFound):
                files.delete(CALLER, job.upload_id, hard=True)
                return True
        return False

    outcomes = arena.race([partial(arena.worked, job), delete, delete])

    assert _job(arena, job).state is JobState.SUCCEEDED
    assert (arena.calm.file(job) is None) == (True in outcomes)


def reconcilers_meet(arena: Arena) -> None:
    """Forgotten jobs are rung for, dead ones are buried once each."""
    forgotten, spent = arena.sealed(), arena.sealed()
    arena.calm.claims.claim(spent.id, "dead")
    arena.execute("UPDATE jobs SET attempts = 3 WHERE id = :id", id=spent.id)
    let_time_pass(arena.calm)
    rung = len(arena.calm.bell.processed)

    arena.race(
        [partial(arena.factory.reconciler(str(n), lease=_HOUR).round) for n in range(2)]
        + [partial(arena.factory.reconciler(str(n)).round) for n in range(2, 5)]
    )

    assert forgotten.id in arena.calm.bell.processed[rung:]
    assert _job(arena, spent).state is JobState.FAILED
    said = f"SELECT id FROM deliveries WHERE payload LIKE '%{spent.upload_id}%'"  # noqa: S608  # our own id
    assert len(arena.calm.query(said)) == 1, "it was told of twice"
    _retried_and_cancelled(arena, spent)


def sweeps_meet(arena: Arena) -> None:
    """Without their leases, for these are a matter of thrift."""
    uploads = [arena.filled(arena.content()) for _ in range(6)]
    for upload in uploads:
        arena.execute("UPDATE uploads SET expires_at = 0 WHERE id = :id", id=upload.id)

    def sweep() -> None:
        for name in ("expired-uploads", "staging-orphans", "object-orphans", "multiparts"):
            let_time_pass(arena.calm)
            result = arena.factory.services.sweeps.run(name)
            assert result.get("failed", 0) == 0, f"{name} failed"

    arena.race([sweep] * 3)

    ids = ", ".join(f"'{upload.id}'" for upload in uploads)
    states = arena.calm.query(f"SELECT DISTINCT state FROM uploads WHERE id IN ({ids})")  # noqa: S608  # our own ids
    assert [row["state"] for row in states] == ["expired"]


def deliverers_meet(arena: Arena) -> None:
    job = arena.sealed()
    arena.calm.run(job)
    delivery_id = arena.calm.bell.delivered[-1]
    heard = len(arena.receiver.heard)

    arena.race([partial(arena.factory.services.deliveries.deliver, delivery_id)] * 4)

    events = arena.receiver.heard[heard:]
    assert len(events) == len(set(events)) >= 1, "one event was sent several times in calm"


def a_retry_meets_the_sweep(arena: Arena) -> None:
    job = arena.sealed()
    claim = arena.calm.claim(job)
    arena.calm.claims.give_up(claim, {"code": "drilled", "detail": "drilled"})
    arena.execute("UPDATE uploads SET updated_at = 0 WHERE id = :id", id=job.upload_id)
    jobs, sweeps = arena.factory.services.jobs, arena.factory.services.sweeps

    outcomes = arena.race(
        [partial(jobs.retry, _ADMIN, job.id), partial(sweeps.run, "failed-uploads")], Conflict
    )

    was_retried = any(isinstance(each, Job) for each in outcomes)
    if was_retried:
        arena.calm.run(job)
    wanted = JobState.SUCCEEDED if was_retried else JobState.FAILED
    assert _job(arena, job).state is wanted


def _retried_and_cancelled(arena: Arena, job: Job) -> None:
    arena.calm.services.jobs.retry(_ADMIN, job.id)
    arena.calm.services.uploads.cancel(CALLER, job.upload_id)


def _job(arena: Arena, job: Job) -> Job:
    calm: Factory = arena.calm
    return calm.job(job)


RACES: Final[tuple[Race, ...]] = (
    eight_claim,
    workers_meet,
    a_late_worker_meets_its_heir,
    a_cancel_meets_the_commit,
    a_delete_meets_the_run,
    reconcilers_meet,
    sweeps_meet,
    deliverers_meet,
    a_retry_meets_the_sweep,
)
