"""Jobs whose uploads have ended without them: no worker can claim such a job, nor ever end it.

Both end in one transaction, so there should be none; but a client was told that each job ends.
"""

import logging
from dataclasses import dataclass
from typing import Any, Final

from shared.model.job import Job, JobStatus, Outcome
from shared.model.lifecycle import Event, UploadState
from shared.model.upload import Upload
from shared.model.webhook import EventType
from shared.ports import Board, Dispatcher
from shared.records import Records
from shared.services.events import Events

log = logging.getLogger(__name__)

OVER: Final = frozenset({UploadState.CANCELLED, UploadState.EXPIRED, UploadState.JOINED})
_ERROR: Final[dict[str, Any]] = {
    "code": "upload_ended",
    "detail": "Its upload had ended, and nobody could process it.",
}


@dataclass(frozen=True, slots=True)
class Ending:
    records: Records
    board: Board
    dispatcher: Dispatcher
    events: Events

    def left_behind(self, upload_id: str) -> bool:
        """Cancel the job of an upload that has ended without a file, and tell; False if it is well."""
        with self.records.begin() as rows:
            upload, job = rows.uploads.find(upload_id), rows.jobs.of_upload(upload_id)
            if job is None or not is_left(job, upload):
                return False
            # Held first, as everywhere: whoever ends both at once has ended both when we have it.
            if upload is None or not rows.uploads.hold(upload_id, upload.state):
                return False
            ended = rows.jobs.advance(job.id, Event.CANCEL, error=dict(_ERROR))
            if ended is None:
                return False
            rows.steps.end(job.id, Outcome.CANCELLED, _ERROR)
            owed = self.events.of_upload(rows, EventType.FAILED, upload, ended)
        log.error("job_was_left_behind", extra={"job_id": job.id, "upload_id": upload_id})
        self.board.put(JobStatus(ended, None, ended.updated_at))
        for delivery_id in owed:
            self.dispatcher.deliver(delivery_id)
        return True


def is_left(job: Job, upload: Upload | None) -> bool:
    """Say whether the job waits for an upload that has ended without it."""
    return not job.is_final and upload is not None and upload.state in OVER
