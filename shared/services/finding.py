"""Lookups that end in `NotFound` for what is not there and for what is somebody else's."""

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from shared.errors import Conflict, NotFound, NotReceiving, OutcomeUnknown, Unavailable
from shared.model.caller import Caller
from shared.model.file import File
from shared.model.job import Job
from shared.model.naming import staged_chunks, staged_directly
from shared.model.upload import Upload
from shared.records import Records, Transaction

Found = TypeVar("Found")


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
    """Return a file; one that is hidden only with `deleted`."""
    file = rows.files.find(file_id) if is_id(file_id) else None
    if file is None or not caller.sees(tenant=file.tenant, owner=file.owner):
        raise NotFound("file")
    if not deleted and file.is_hidden(rows.now):
        raise NotFound("file")
    return file


def find_public(rows: Transaction, place: str) -> File:
    """Return a public file by its id, or by its key where its address is made of that."""
    if is_id(place):
        file = rows.files.find(place)
    else:
        file = None if "\x00" in place else rows.files.keyed(place)
        file = file if file is not None and file.is_known_by_key else None
    if file is None or not file.is_public or file.is_hidden(rows.now):
        raise NotFound("file")
    return file


def not_receiving(upload: Upload) -> NotReceiving:
    return NotReceiving(f"This upload is {upload.state}.", state=str(upload.state))


def refuse_direct(upload: Upload) -> None:
    if upload.is_direct:
        raise Conflict("The bytes of this upload go straight to the object store.")


def refuse_stream(upload: Upload) -> None:
    if upload.is_stream:
        raise Conflict("This upload goes on at the address that it was opened with.")


def looked_up(
    records: Records, lost: OutcomeUnknown, look: Callable[[Transaction], Found | None]
) -> Found:
    """Return what a commit whose answer was lost has made; raises `lost` when it is not there.

    Not there is no proof: the commit may still be on its way. Then the client asks again.
    """
    try:
        with records.read() as rows:
            found = look(rows)
    except Unavailable:
        found = None
    if found is None:
        raise lost
    return found


def staged_of(key: str, prefix: str | None) -> str | None:
    """Return the upload whose client sends to this key; None where that is no such key."""
    start = None if prefix is None else staged_directly(prefix)
    if start is None or not key.startswith(start):
        return None
    said = key.removeprefix(start)
    return said if is_id(said) else None


def is_chunk(key: str, prefix: str | None) -> bool:
    """Say whether staging has this key in the bucket: then it is not the objects' business."""
    return prefix is not None and key.startswith(staged_chunks(prefix))


def is_id(text: str) -> bool:
    """Say whether `text` has the one form our ids have."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
