"""Rows of jobs, and of the named leases of work that one process at a time should do."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from shared.model.job import Job, Outcome, StepRun
from shared.model.lifecycle import Event


class JobRows(Protocol):
    """Rows of jobs. What a clock that was ahead has set is not waited for.

    A lease that ends much later than a `lease` would is over; so is a pause beyond the longest.
    """

    def add(self, job: Job) -> Job: ...

    def find(self, job_id: str) -> Job | None: ...

    def of_upload(self, upload_id: str) -> Job | None: ...

    def of_uploads(self, upload_ids: Sequence[str]) -> list[Job]: ...

    def many(self, job_ids: Sequence[str]) -> list[Job]:
        """Return those that are there, in any order."""
        ...

    def claim(self, job_id: str, worker: str, lease: timedelta, max_attempts: int) -> Job | None:
        """Take a due queued job, or one that was released and has attempts left."""
        ...

    def beat(self, job_id: str, fence: int, lease: timedelta) -> bool: ...

    def note(self, job_id: str, fence: int, step: str, done: int) -> Job | None: ...

    def advance(
        self,
        job_id: str,
        event: Event,
        *,
        fence: int | None = None,
        until: datetime | None = None,
        **changes: Any,
    ) -> Job | None:
        """Move the job if it is where `event` starts; None when it is not.

        With `fence` only for the one who claimed it so; without, whoever runs it loses it.
        With `until` only if its lease still ends then. `pause` (a timedelta) sets `due_at` that far
        ahead.
        """
        ...

    def waiting(self, stale: timedelta, lease: timedelta, limit: int) -> list[Job]:
        """Return due queued jobs, and running ones whose lease ran out, not told of lately."""
        ...

    def release(self, seen: Sequence[Job], lease: timedelta) -> list[str]:
        """Say that the workers of these are dead: who claims may have them. Return whose they are.

        Only those are released whose lease ran out and ends as it did when it was `seen`. A worker that
        beats before another claims keeps its job.
        """
        ...

    def dispatched(self, job_ids: Sequence[str]) -> None: ...

    def queued(self) -> int:
        """Return how many jobs are due and not claimed."""
        ...

    def lapsed(self, lease: timedelta) -> int:
        """Return how many jobs run under a lease that ran out."""
        ...

    def next_lapse(self) -> timedelta | None:
        """Return after which time the next lease runs out; None when none is held."""
        ...

    def drop(self, job_ids: Sequence[str]) -> None: ...


class StepRows(Protocol):
    """The timelines of jobs: what each claim ran, and how it ended."""

    def begin(self, job: Job) -> None:
        """Note that the job's step runs now; the step before it has finished."""
        ...

    def end(self, job_id: str, outcome: Outcome, error: Mapping[str, Any] | None = None) -> bool:
        """End whatever step of the job is still running; False when there is none."""
        ...

    def note(
        self, job: Job, step: str, outcome: Outcome, error: Mapping[str, Any] | None = None
    ) -> None:
        """Note what was no step, as begun when the job was last written and ended now."""
        ...

    def of_job(self, job_id: str, limit: int) -> list[StepRun]:
        """Return the latest `limit` runs, the oldest of them first."""
        ...


class LeaseRows(Protocol):
    """Named leases for work that one process at a time should do, and what it last did."""

    def take(self, name: str, holder: str, lease: timedelta) -> bool:
        """Take the lease, if it is nobody's, ours, or over; so is one that ends much later than ours."""
        ...

    def leave(self, name: str, holder: str, result: Mapping[str, Any] | None) -> None: ...

    def results(self) -> list[dict[str, Any]]: ...

    def find(self, name: str) -> dict[str, Any] | None:
        """Return the lease of this name with its result, None when nobody ever took it."""
        ...

    def seen(self, kind: str, names: Sequence[str], grace: timedelta) -> list[str]:
        """Return those first seen at least `grace` ago."""
        ...

    def sighted(self, kind: str, names: Sequence[str], grace: timedelta) -> list[str]:
        """Note these as seen now; return those seen before, and first at least `grace` ago."""
        ...

    def sightings(self, kind: str, grace: timedelta, limit: int) -> list[str]:
        """Return names first seen at least `grace` ago, the longest known first."""
        ...

    def forget(self, kind: str, names: Sequence[str]) -> None: ...

    def forget_unseen(self, kind: str, since: datetime) -> None:
        """Forget what was not seen again since then: it has found its owner, or is gone."""
        ...
