"""What the timelines of jobs tell after a drill: who was lost, for how long, and whether fences held."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Final

from tests.drills.invariants import Verdict
from tests.drills.rig import Rig

_STEPS: Final = ("claim", "inspect", "assemble", "thumbnail", "publish", "record", "recover")


def judged(rig: Rig) -> Verdict:
    """Hold everything against the invariants, the fences (I10) included."""
    verdict = rig.verdict()
    verdict.breaches += [f"I10: {said}" for said in unfenced(rig)]
    return verdict


def unfenced(rig: Rig) -> Iterator[str]:
    """Yield each job in whose timeline a run goes on after the next has begun."""
    steps = rig.checker.rows(
        "SELECT job_id, job_steps.step, run, fence FROM job_steps JOIN jobs ON jobs.id = job_id"
        " ORDER BY job_id, job_steps.id"
    )
    for job_id, of_job in groupby(steps, lambda row: row["job_id"]):
        rows = list(of_job)
        order = [(row["run"], _STEPS.index(row["step"])) for row in rows]
        if any(later <= earlier for earlier, later in pairwise(order)):
            yield f"job {job_id} went through {order}"
        if order[-1][0] > rows[-1]["fence"]:
            yield f"job {job_id} has run {order[-1][0]} at fence {rows[-1]['fence']}"


def recoveries(rig: Rig, deaths: Mapping[int, int]) -> list[float]:
    """Return for each step that was lost the seconds from its process's death to the next claim.

    The stack's workers have to sign their claims; `deaths` says when which process died.
    """
    lost = rig.checker.rows(
        "SELECT worker, started_at, finished_at FROM job_steps WHERE outcome = 'lost'"
    )
    found = []
    for row in lost:
        died_at = deaths.get(int(row["worker"].rpartition(":")[2]), 0)
        if row["started_at"] <= died_at <= row["finished_at"]:
            found.append((row["finished_at"] - died_at) / 1000)
    return sorted(found)


def waits(rig: Rig, job_ids: Sequence[str | None] | None = None) -> list[float]:
    """Return for each job the seconds from its acceptance to its end."""
    rows = rig.checker.rows("SELECT id, created_at, finished_at FROM jobs")
    return sorted(
        (row["finished_at"] - row["created_at"]) / 1000
        for row in rows
        if row["finished_at"] and (job_ids is None or row["id"] in job_ids)
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of them do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def in_words(values: Sequence[float]) -> str:
    shares = " ".join(f"p{share:g} {percentile(values, share / 100):.2f}" for share in (50, 99))
    return f"{shares} max {max(values, default=0):.2f} s of {len(values)}"
