"""Uploads that failed, or were cancelled, while they may have written over the file they replace.

What lies in the store decides. The upload's object: the old bytes are gone, so its file is made after
all. The old file's: it stays, once no request of the upload can come any more. Anything else, or
nothing, is for people to look at: the claim is kept, so that nobody writes over it, until they settle it.
"""

import logging
from typing import Any

from shared.errors import Conflict, LeaseLost, NotFound
from shared.model.checked import checked_of
from shared.model.job import Job, JobStatus
from shared.model.lifecycle import Event
from shared.model.stored import StoredObject
from shared.records import ObjectRecord, Transaction
from shared.services import timelines
from shared.services.publishing import publish
from shared.services.sweeps.runs import Run, Sweeper

log = logging.getLogger(__name__)


def replacements(sweeper: Sweeper, run: Run) -> None:
    """Finish replacements whose object is in place, and forget the others after the grace."""
    with sweeper.records.read() as rows:
        over = rows.objects.successions(run.cap + 1)
    run.facts |= {"recovered": 0, "waiting": 0, "strange": 0}
    for record in run.through(over):
        with run.item(record.successor or ""):
            found = sweeper.objects.find(record.key)
            if found is not None and found.upload_id == record.successor:
                if run.dry_run or _recovered(sweeper, record, found.etag):
                    run.note("recovered")
            elif found is None or found.upload_id != record.upload_id:
                log.error("replacement_unknown", extra=_facts(record, found))
                run.note("strange")
            elif run.dry_run or _forgone(sweeper, record):
                run.count()
            else:
                run.note("waiting")


def settle(sweeper: Sweeper, upload_id: str) -> None:
    """End the claim of an upload where neither its object nor the old file's lies under the key.

    For operators, who have looked: the key is the old file's again, as it is. What lies there stays, and
    so does the file, until they restore its object or delete it; the auditor goes on to tell. Raises
    `NotFound` where the upload has no claim, `Conflict` where it settles itself, and `Unavailable`.
    """
    with sweeper.records.read() as rows:
        record = rows.objects.succession(upload_id)
    if record is None:
        raise NotFound("claim")
    found = sweeper.objects.find(record.key)
    if found is not None and found.upload_id in {record.successor, record.upload_id}:
        raise Conflict("What lies there is known: the sweep settles this claim by itself.")
    with sweeper.records.begin() as rows:
        if not rows.objects.forgo(record.key, upload_id, sweeper.rules.grace):
            told = "This upload has not ended, or asked the store less than SWEEP_GRACE_HOURS ago."
            raise Conflict(told)
    log.warning("replacement_settled", extra=_facts(record, found))


def _facts(record: ObjectRecord, found: StoredObject | None) -> dict[str, Any]:
    what = {"upload_id": record.successor, "file_id": record.upload_id}
    whose = None if found is None else found.upload_id
    return {**what, "is_there": found is not None, "found": whose}


def _recovered(sweeper: Sweeper, record: ObjectRecord, etag: str) -> bool:
    try:
        with sweeper.records.begin() as rows:
            job = _ended(rows, record)
            upload = rows.uploads.find(job.upload_id)
            if upload is None or record.checked is None:
                return False
            file = checked_of(record.checked).file(upload, etag)
            places = rows.chunks.places(upload.id) | {upload.id}
            published = publish(rows, sweeper.events, upload, file)
    except LeaseLost:
        return False
    log.warning("replacement_recovered", extra={"upload_id": upload.id})
    sweeper.board.forget(published.forgotten)
    sweeper.board.put(JobStatus(job, published.file, job.updated_at))
    for delivery_id in published.owed:
        sweeper.dispatcher.deliver(delivery_id)
    sweeper.staging.clear(*places)
    return True


def _ended(rows: Transaction, record: ObjectRecord) -> Job:
    """Move the ended upload and its job to their good end. Raises `LeaseLost` if it is retried."""
    upload_id = record.successor or ""
    here = rows.uploads.advance(upload_id, Event.RECOVER)
    job = rows.jobs.of_upload(upload_id)
    ended = None if job is None else rows.jobs.advance(job.id, Event.RECOVER, error=None)
    if not here or ended is None:
        raise LeaseLost("Somebody else holds this job.")
    timelines.recovered(rows, ended)
    return ended


def _forgone(sweeper: Sweeper, record: ObjectRecord) -> bool:
    # Of two clocks the slower decides, as with all that is old enough.
    if record.successor is None or not sweeper.is_past(record.updated_at, sweeper.rules.grace):
        return False
    with sweeper.records.begin() as rows:
        return rows.objects.forgo(record.key, record.successor, sweeper.rules.grace)
