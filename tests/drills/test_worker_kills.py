"""Workers die at any moment (D3): a child, all at once, or right after a message was published."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.drills.fleet import Toll, keeping_up
from tests.drills.ledger import Entry
from tests.drills.load import ANSWERS, Poller, ending, meanwhile
from tests.drills.rig import LEASE_SECONDS, RECONCILE_SECONDS, Rig, a_rig
from tests.drills.sabotages_jobs import POISONED
from tests.drills.timeline import in_words, judged, percentile, recoveries, waits
from tests.support.api import Api, Body
from tests.support.quick import ASIDE
from tests.support.restless import SECOND
from tests.support.waiting import eventually

pytestmark = [pytest.mark.measures, pytest.mark.timeout(3600)]
BOUND_SECONDS = LEASE_SECONDS + 2 * RECONCILE_SECONDS
WORKERS = ("worker", SECOND)
ATTEMPTS = 3
# A lease of two seconds: a file is tried to its end while somebody watches.
IMPATIENT = {
    "LEASE_SECONDS": "2",
    "HEARTBEAT_SECONDS": "0.6",
    "RECONCILE_SECONDS": "0.5",
    "MAX_ATTEMPTS": str(ATTEMPTS),
}
ATTEMPT_SECONDS = 2 + 2 * 0.5 + 1


def test_no_kill_of_a_worker_loses_or_doubles_a_file(
    tmp_path: Path, seed: int, *, is_long: bool
) -> None:
    uploads, children, groups, published = (3000, 200, 60, 40) if is_long else (20, 3, 1, 1)
    alone = 40 if is_long else 1
    haste = 1.0 if is_long else 0.7
    without = ("worker-io", *ASIDE)
    with a_rig(
        tmp_path, seed, sabotage="signing,dawdling", without=without, MAX_ATTEMPTS="1000"
    ) as rig:
        poller, toll = Poller(rig.clients), Toll(rig)
        killers = (
            toll.strikes(WORKERS, children, (1.0 * haste, 3.0 * haste), children=True),
            toll.strikes(WORKERS, groups, (5.0 * haste, 9.0 * haste)),
            toll.strikes(WORKERS, published, (8.0 * haste, 12.0 * haste), first=publishing(rig)),
        )
        with meanwhile(*killers, poller.run):  # a storm: who takes over may die, too
            rig.clients.upload_until(
                lambda: toll.is_paid,
                at_least=uploads,
                at_once=8,
                large=30,
                may_go_on=keeping_up(rig, 6),
            )
            settled = rig.settle(2 * LEASE_SECONDS + 2 * RECONCILE_SECONDS)
        in_storm, done = recoveries(rig, toll.died), threading.Event()
        with meanwhile(ending(done, toll.one_by_one(WORKERS, alone)), poller.run):
            rig.clients.upload_until(
                done.is_set,
                at_least=2,
                at_once=2,
                first=len(rig.ledger.entries),
                may_go_on=keeping_up(rig, 2),
            )
            rig.settle(2 * LEASE_SECONDS + 2 * RECONCILE_SECONDS)
        verdict, waited = judged(rig), waits(rig)
        one_by_one = recoveries(rig, toll.died)
        for each in in_storm:
            one_by_one.remove(each)

        print(f"{verdict}\n{toll.kills} kills; settled {settled:.1f} s after the storm")
        print(f"recovered in the storm: {in_words(in_storm)}; one by one: {in_words(one_by_one)}")
        print(f"from accepted to ended: {in_words(waited)}")
        assert (verdict.breaches, poller.breaches) == ([], [])
        assert poller.polls > 0
        assert rig.clients.statuses.keys() <= ANSWERS
        assert verdict.counts["jobs succeeded"] == verdict.counts["uploads"]
        assert one_by_one
        assert percentile(one_by_one, 0.99) <= BOUND_SECONDS
        # Who is called to take over may die, too, before it has claimed: then it takes another round.
        assert percentile(in_storm, 0.99) <= 2 * BOUND_SECONDS


def test_a_file_that_kills_its_workers_fails_and_holds_nobody_up(tmp_path: Path, seed: int) -> None:
    with a_rig(tmp_path, seed, sabotage="poison,dawdling", **IMPATIENT) as rig:
        calm = some_uploads(rig, lambda: True)
        job_id = poisoned(rig)
        beside = some_uploads(rig, lambda: not rig.checker.open_jobs())
        job, claims = ended(rig, job_id, ATTEMPTS)

        before, while_ = (waits(rig, [each.job_id for each in some]) for some in (calm, beside))
        print(f"calm: {in_words(before)}; beside poison: {in_words(while_)}; {claims} claims")
        assert (job["state"], job["error"]["code"]) == ("failed", "attempts_exhausted")
        assert claims == ATTEMPTS
        assert percentile(while_, 0.99) <= 1.2 * percentile(before, 0.99) + 1


@pytest.mark.teeth
def test_without_counting_attempts_the_drill_goes_red(tmp_path: Path, seed: int) -> None:
    once = IMPATIENT | {"MAX_ATTEMPTS": "1"}
    with a_rig(tmp_path, seed, sabotage="poison,attempts-not-counted", **once) as rig:
        job_id = poisoned(rig)

        with pytest.raises(AssertionError, match="is claimed for ever"):
            ended(rig, job_id, 1)


@pytest.mark.teeth
def test_without_the_reconciler_the_drill_goes_red(tmp_path: Path, seed: int) -> None:
    with a_rig(tmp_path, seed, sabotage="no-reconciler,dawdling", **IMPATIENT) as rig:
        rig.clients.upload_all(4)
        eventually(lambda: rig.checker.rows("SELECT 1 FROM jobs WHERE state = 'running'"))
        Toll(rig).strike("worker")

        with pytest.raises(AssertionError, match="jobs are stuck"):
            rig.settle(2 * ATTEMPT_SECONDS)


def some_uploads(rig: Rig, is_enough: Callable[[], bool]) -> list[Entry]:
    """Upload one file after the other, each once the job before it has ended."""
    return rig.clients.upload_until(
        is_enough,
        at_least=10,
        at_once=1,
        first=len(rig.ledger.entries),
        may_go_on=keeping_up(rig, 1),
    )


def publishing(rig: Rig) -> Callable[[], None]:
    """Seal an upload of one's own; return ten milliseconds after it was published."""
    numbers = iter(range(1_000_000, 2_000_000))

    def publish() -> None:
        rig.clients.upload(next(numbers))
        threading.Event().wait(0.01)

    return publish


def poisoned(rig: Rig) -> str:
    """Upload what kills its worker; return the job's id."""
    with Api(rig.stack.base_url, rig.clients.token) as api:
        opened = api.open_upload(f"{POISONED}.txt", size=5)
        assert api.put_chunk(opened["id"], 0, b"death").ok
        return str(api.complete(opened["id"])["id"])


def ended(rig: Rig, job_id: str, attempts: int) -> tuple[Body, int]:
    """Return the job when it is final, and how often it was claimed: so many attempts at most."""

    def claims() -> int:
        row = rig.checker.rows("SELECT fence FROM jobs WHERE id = :id", id=job_id)
        return int(row[0]["fence"])

    def final() -> Body | None:
        shown: Body = api.get(f"/api/v1/jobs/{job_id}").json()
        return shown if shown["state"] == "failed" else None

    with Api(rig.stack.base_url, rig.clients.token) as api:
        late = (attempts + 1) * ATTEMPT_SECONDS
        eventually(lambda: final() or claims() > attempts, late, every=0.2, says="it is not ended")
        assert claims() <= attempts, f"job {job_id} is claimed for ever"
        return final() or {}, claims()
