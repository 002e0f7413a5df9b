"""What was deleted for good and still lies in the store: it did not answer, or who asked it died.

Invariant: what goes is what its row says, as it was seen. A key that another upload may have next is
not freed here: a request from before may yet be obeyed, and only `object-orphans` waits long enough.
"""

import logging
from datetime import timedelta
from typing import Final

from shared.errors import AccessDenied, Unavailable
from shared.model.stored import StoredObject
from shared.records import ObjectRecord, Transaction
from shared.services.sweeps.runs import Run, Sweeper

log = logging.getLogger(__name__)

_KIND: Final = "deletion"
_SOON: Final = timedelta(minutes=1)  # longer than who deletes a file asks the store
_HOPE: Final = timedelta(hours=1)  # that it takes no longer
_LATER: Final = timedelta(hours=1)  # between two attempts, when it does
_MOST: Final = 10_000  # rows of one query


def deletions(sweeper: Sweeper, run: Run) -> None:
    """Ask the store again for what is still deleting: each minute, and after an hour each hour.

    A store that does not answer once is not asked again in this run.
    """
    with sweeper.records.read() as rows:
        now, due = rows.now(), _due(rows)
    for record in run.through(due):
        is_silent = False
        with run.item(record.upload_id):
            try:
                _finish(sweeper, run, record)
            except Unavailable as outage:
                is_silent = not isinstance(outage, AccessDenied)
                raise
        if is_silent:
            run.capped = True
            return
    if not run.dry_run:
        with sweeper.records.begin() as rows:  # others may have done it
            rows.leases.forget_unseen(_KIND, now - 2 * _LATER)


def _due(rows: Transaction) -> list[ObjectRecord]:
    found = rows.objects.unfinished(_SOON, _MOST)
    weary = set(rows.leases.seen(_KIND, [record.key for record in found], _HOPE))
    latest = rows.now() - _LATER
    return [each for each in found if each.key not in weary or each.updated_at <= latest]


def _finish(sweeper: Sweeper, run: Run, record: ObjectRecord) -> None:
    if not run.dry_run and not _retaken(sweeper, record):
        return
    found = sweeper.objects.find(record.key)
    if found is not None and found.upload_id != record.upload_id:
        found = None  # another's, and not ours to delete
    if not run.dry_run and not _is_gone(sweeper, record, found):
        log.warning("object_kept", extra={"upload_id": record.upload_id})
        return
    if found is not None:
        run.count(found.size)


def _retaken(sweeper: Sweeper, record: ObjectRecord) -> bool:
    """Mark the row anew, which keeps the other sweep away until what we ask for can't come late."""
    with sweeper.records.begin() as rows:
        rows.leases.sighted(_KIND, [record.key], _HOPE)
        return rows.objects.retake(record.key, record.upload_id)


def _is_gone(sweeper: Sweeper, record: ObjectRecord, found: StoredObject | None) -> bool:
    if found is not None and not sweeper.objects.delete_seen(found):
        return False
    with sweeper.records.begin() as rows:
        rows.leases.forget(_KIND, [record.key])
        if record.upload_id in record.key:  # nobody else ever has it
            rows.objects.drop([record.key], record.upload_id)
        else:
            rows.objects.emptied(record.key, record.upload_id)
    if found is not None:
        log.info("object_swept", extra={"upload_id": record.upload_id, "size": found.size})
    return True
