"""Lookups that end in `NotFound` for what is not there and for what is somebody else's."""

from uuid import UUID

from shared.errors import NotFound
from shared.model.caller import Caller
from shared.model.file import File
from shared.model.job import Job
from shared.model.upload import Upload
from shared.records import Transaction


def find_upload(rows: Transaction, caller: Caller, upload_id: str) -> Upload:
    upload = rows.uploads.find(upload_id) if is_id(upload_id) else None
    if upload is None or not caller.sees(tenant=upload.tenant, owner=upload.owner):
        raise NotFound("upload")
    return upload


def find_job(rows: Transaction, caller: Caller, job_id: str) -> Job:
    job = rows.jobs.find(job_id) if is_id(job_id) else None
    if job is None or not caller.sees(tenant=job.tenant, owner=job.owner):
        raise NotFound("job")
    return job


def find_file(rows: Transaction, caller: Caller, file_id: str, *, deleted: bool = False) -> File:
    """Return a file; one that is softly deleted only with `deleted`."""
    file = rows.files.find(file_id) if is_id(file_id) else None
    if file is None or not caller.sees(tenant=file.tenant, owner=file.owner):
        raise NotFound("file")
    gone = file.deleted_at is not None
    expired = file.expires_at is not None and file.expires_at <= rows.now()
    if (gone or expired) and not deleted:
        raise NotFound("file")
    return file


def is_id(text: str) -> bool:
    """Say whether `text` has the one form our ids have."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
