"""What a timeline has of an attempt beside its steps: that it died, or ended, before it came to one.

An attempt is noted at its end only, by whoever sees that nothing of it stands there: what goes well
has its steps and nothing else.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from shared.model.job import Job, Outcome
from shared.model.lifecycle import JobState
from shared.records import Transaction

SIGN: Final = "/"  # between a worker's name and what is of this claim alone
CLAIM: Final = "claim"  # between the claim and the first step
RECOVER: Final = "recover"


def lost(rows: Transaction, before: Job, claimed: Job) -> None:
    """End what the claim before this one left, if its lease ran out."""
    was_at_it = rows.steps.end(claimed.id, Outcome.LOST)
    # Read before the claim: only if nobody came in between does it tell of the one that was lost.
    is_former = before.state is JobState.RUNNING and before.fence == claimed.fence - 1
    if not was_at_it and is_former:
        rows.steps.note(unsigned(before), CLAIM, Outcome.LOST)


def ended(
    rows: Transaction, claimed: Job, outcome: Outcome, error: Mapping[str, Any] | None
) -> None:
    """End the step that runs; without one the attempt is noted, but for one that did not count."""
    was_at_it = rows.steps.end(claimed.id, outcome, error)
    if not was_at_it and outcome is not Outcome.HANDED_BACK:
        rows.steps.note(unsigned(claimed), CLAIM, outcome, error)


def recovered(rows: Transaction, job: Job) -> None:
    """Note that what had failed was finished by a sweep."""
    rows.steps.note(replace(job, worker=None), RECOVER, Outcome.FINISHED)


def unsigned(job: Job) -> Job:
    """Return the job with its worker's name as timelines have it."""
    return replace(job, worker=(job.worker or "").rpartition(SIGN)[0])
