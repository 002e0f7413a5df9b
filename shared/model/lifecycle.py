"""Which states an upload and its job may pass through.

Invariant: every other module asks these tables; none assigns a state by hand. An upload's state and
its job's move in one transaction, by the same event.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar

from shared.errors import IllegalTransition

State = TypeVar("State", bound=StrEnum)


class UploadState(StrEnum):
    RECEIVING = "receiving"
    SEALED = "sealed"
    PROCESSING = "processing"
    READY = "ready"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    JOINED = "joined"


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Event(StrEnum):
    SEAL = "seal"
    CLAIM = "claim"
    HAND_BACK = "hand back"
    PUBLISH = "publish"
    REJECT = "reject"
    GIVE_UP = "give up"
    CANCEL = "cancel"
    EXPIRE = "expire"
    RETRY = "retry"
    RECOVER = "recover"
    JOIN = "join"


UPLOADS: Final[Mapping[tuple[UploadState, Event], UploadState]] = {
    (UploadState.RECEIVING, Event.SEAL): UploadState.SEALED,
    (UploadState.RECEIVING, Event.CANCEL): UploadState.CANCELLED,
    (UploadState.RECEIVING, Event.EXPIRE): UploadState.EXPIRED,
    (UploadState.RECEIVING, Event.JOIN): UploadState.JOINED,  # its chunks are another's
    (UploadState.SEALED, Event.CLAIM): UploadState.PROCESSING,
    (UploadState.SEALED, Event.CANCEL): UploadState.CANCELLED,
    (UploadState.PROCESSING, Event.CLAIM): UploadState.PROCESSING,
    (UploadState.PROCESSING, Event.HAND_BACK): UploadState.SEALED,
    (UploadState.PROCESSING, Event.PUBLISH): UploadState.READY,
    (UploadState.PROCESSING, Event.REJECT): UploadState.REJECTED,
    (UploadState.PROCESSING, Event.GIVE_UP): UploadState.FAILED,
    (UploadState.PROCESSING, Event.CANCEL): UploadState.CANCELLED,
    (UploadState.FAILED, Event.RETRY): UploadState.SEALED,
    # Its object had come into the place of the file that it replaces.
    (UploadState.FAILED, Event.RECOVER): UploadState.READY,
    (UploadState.CANCELLED, Event.RECOVER): UploadState.READY,
}

JOBS: Final[Mapping[tuple[JobState, Event], JobState]] = {
    (JobState.QUEUED, Event.CLAIM): JobState.RUNNING,
    (JobState.QUEUED, Event.CANCEL): JobState.CANCELLED,
    (JobState.RUNNING, Event.CLAIM): JobState.RUNNING,
    (JobState.RUNNING, Event.HAND_BACK): JobState.QUEUED,
    (JobState.RUNNING, Event.PUBLISH): JobState.SUCCEEDED,
    (JobState.RUNNING, Event.REJECT): JobState.REJECTED,
    (JobState.RUNNING, Event.GIVE_UP): JobState.FAILED,
    (JobState.RUNNING, Event.CANCEL): JobState.CANCELLED,
    (JobState.FAILED, Event.RETRY): JobState.QUEUED,
    (JobState.FAILED, Event.RECOVER): JobState.SUCCEEDED,
    (JobState.CANCELLED, Event.RECOVER): JobState.SUCCEEDED,
}

# An event leads to one state wherever it starts, so that it can be one conditional UPDATE.
FINAL_JOBS: Final = frozenset(
    {JobState.SUCCEEDED, JobState.REJECTED, JobState.FAILED, JobState.CANCELLED}
)
FINAL_UPLOADS: Final = frozenset(
    {
        UploadState.READY,
        UploadState.REJECTED,
        UploadState.FAILED,
        UploadState.CANCELLED,
        UploadState.EXPIRED,
        UploadState.JOINED,
    }
)


def upload_change(event: Event) -> tuple[frozenset[UploadState], UploadState]:
    """Return the states `event` may start from and the one it leads to."""
    return _change(UPLOADS, event)


def job_change(event: Event) -> tuple[frozenset[JobState], JobState]:
    """Return the states `event` may start from and the one it leads to."""
    return _change(JOBS, event)


def _change(
    table: Mapping[tuple[State, Event], State], event: Event
) -> tuple[frozenset[State], State]:
    sources = frozenset(state for state, known in table if known is event)
    targets = {table[state, event] for state in sources}
    if len(targets) != 1:
        raise IllegalTransition(f"Nothing can {event}.", event=event)
    return sources, targets.pop()
