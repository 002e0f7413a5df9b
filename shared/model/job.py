"""A job: what turns a sealed upload into a file, and what the client polls."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from shared.errors import AppError
from shared.model.file import File
from shared.model.lifecycle import FINAL_JOBS, JobState

LONGEST_PAUSE: Final = timedelta(minutes=5)  # before a job that was put off is due again


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


class Outcome(StrEnum):
    """How a step came to its end. `lost`: its worker was not heard of any more."""

    FINISHED = "finished"
    REJECTED = "rejected"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    PUT_OFF = "put_off"
    HANDED_BACK = "handed_back"
    CANCELLED = "cancelled"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class StepRun:
    """One run of one step, in the timeline of its job. `run` counts the claims of the job."""

    step: str
    run: int
    attempt: int
    worker: str | None
    outcome: Outcome | None
    error: Mapping[str, Any] | None
    started_at: datetime
    finished_at: datetime | None

    @property
    def took(self) -> timedelta | None:
        return None if self.finished_at is None else self.finished_at - self.started_at


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job with the file it became, if it did. `seen_at` is the database's time of that."""

    job: Job
    file: File | None
    seen_at: datetime

    @property
    def visible_file(self) -> File | None:
        """The file, unless it is deleted or its time is over."""
        hidden = self.file is not None and self.file.is_hidden(lambda: self.seen_at)
        return None if hidden else self.file


@dataclass(frozen=True, slots=True)
class Shown:
    """A status on the board, and how long ago it was put there, by the board's own clock."""

    status: JobStatus
    age: timedelta

    @property
    def present(self) -> JobStatus:
        """The status at the database's time of now: two clocks are never compared."""
        return replace(self.status, seen_at=self.status.seen_at + self.age)


def problem(error: AppError) -> dict[str, Any]:
    """Return an error as a job shows it: a code, a detail, and facts safe for clients."""
    return {"code": error.code, "detail": str(error), **error.facts}
