"""What somebody who waited for a job is told when there is no file at its end."""

from shared.errors import AppError, Conflict, Gone, JobFailed, Rejected
from shared.model.job import Job
from shared.model.lifecycle import JobState


def without_file(job: Job) -> AppError:
    """Return the error that says why this final job has no file to show."""
    error = dict(job.error or {})
    match job.state:
        case JobState.SUCCEEDED:
            return Gone("This file was stored, and deleted since.", job_id=job.id)
        case JobState.CANCELLED:
            return Conflict("This upload was cancelled.", job_id=job.id)
        case JobState.REJECTED if error:
            code, detail = error.pop("code"), error.pop("detail")
            return Rejected(code, detail, **{"job_id": job.id, **error})
        case _:
            return JobFailed("The file could not be processed; the job says why.", job_id=job.id)
