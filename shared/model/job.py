"""A job: what turns a sealed upload into a file, and what the client polls."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.model.file import File
from shared.model.lifecycle import FINAL_JOBS, JobState


@dataclass(frozen=True, slots=True)
class Job:
    """One row of `jobs`.

    `version` grows with every write, so that a status is never replaced by an older one; `fence`
    grows with every claim, so that only the last claimer can write; `attempts` are counted at the
    claim. `done` and `total` are bytes of the file that have passed through the pipeline.
    """

    id: str
    upload_id: str
    tenant: str
    owner: str
    kind: str
    state: JobState
    step: str | None
    done: int
    total: int
    attempts: int
    outages: int
    fence: int
    version: int
    error: Mapping[str, Any] | None
    worker: str | None
    due_at: datetime
    lease_until: datetime | None
    dispatched_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    finished_at: datetime | None

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_JOBS

    @property
    def percent(self) -> int:
        """Whole percents; 100 is said only once the job has succeeded."""
        if self.state is JobState.SUCCEEDED:
            return 100
        return min(99, 100 * self.done // self.total) if self.total else 0


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job with the file it became, if it did. `seen_at` is when the database said so."""

    job: Job
    file: File | None
    seen_at: datetime
