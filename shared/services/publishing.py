"""What makes a file, in one transaction; and with it ends the one that it replaces.

A replaced file is gone for good: its object is the new one's. Its thumbnails are marked, for the
sweep.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from shared.errors import LeaseLost, Rejected, Unavailable
from shared.model.checked import Checked
from shared.model.file import File
from shared.model.lifecycle import FINAL_UPLOADS
from shared.model.upload import Upload
from shared.model.webhook import EventType
from shared.records import ObjectState, Records, Transaction
from shared.services.events import Events


@dataclass(frozen=True, slots=True)
class Published:
    """The file, the deliveries that are owed, and the jobs whose file has gone."""

    file: File
    owed: Sequence[str]
    forgotten: Sequence[str] = ()


def publish(rows: Transaction, events: Events, upload: Upload, file: File) -> Published:
    """Make the file: its row, its objects, quota and webhooks.

    Raises `LeaseLost` when the key is not the upload's any more.
    """
    # The old one's row first, as whoever deletes it does: in two orders they could wait for each other.
    owed, forgotten = _end_replaced(rows, events, upload)
    lifetime = None if upload.expires_in is None else timedelta(seconds=upload.expires_in)
    made = rows.files.add(file, lifetime)
    if not rows.objects.link([file.key], upload.id):
        raise LeaseLost("Another upload has this key, or none.", key=file.key)
    rows.objects.link([small.key for small in file.thumbnails], upload.id)
    rows.quotas.use(upload.tenant, file.size, upload.reserved)
    rows.uploads.settle(upload.id, reserved=0)
    rows.chunks.drop(upload.id)
    owed += events.of_file(rows, EventType.READY, made)
    return Published(made, owed, forgotten)


def _end_replaced(rows: Transaction, events: Events, upload: Upload) -> tuple[list[str], list[str]]:
    if upload.replaces is None or not rows.objects.succeeds(upload.id):
        return [], []
    # Held, for who hides or restores it now would change whether its end has been said.
    old = next(iter(rows.files.held([upload.replaces])), None)
    if old is None or not rows.files.drop(old.id):
        raise LeaseLost("The file to replace has gone.")
    if not rows.objects.inherit(upload.key, upload.id):
        raise LeaseLost("Another upload has this key.", key=upload.key)
    rows.objects.deleting([small.key for small in old.thumbnails], old.id)
    rows.quotas.free(old.tenant, old.size)
    owed = events.of_file(rows, EventType.DELETED, old) if old.deleted_at is None else []
    job = rows.jobs.of_upload(old.id)
    return owed, [] if job is None else [job.id]


def taken_over(rows: Transaction, upload: Upload, checked: Checked) -> bool:
    """Let the upload write over the file it replaces; False when this has gone, and left the key.

    Raises `Rejected` when the key is another's by now, `Unavailable` while nobody has it for good: a
    replacement that failed may have written over the file, or what lies there is being removed.
    """
    if rows.objects.succeed(upload.key, upload.replaces or "", upload.id, checked.said()):
        return True
    if rows.objects.intend(upload.key, upload.id):
        return False
    if _is_unsettled(rows, upload):
        raise Unavailable("objects", "It is not settled yet who has this file's key.")
    raise Rejected("name_taken", "Another upload was quicker to replace the file.")


def _is_unsettled(rows: Transaction, upload: Upload) -> bool:
    record = rows.objects.known([upload.key]).get(upload.key)
    if record is None or record.state is ObjectState.DELETING:
        return True  # the key is free, or will be
    if record.state is ObjectState.INTENDED:
        return not _is_open(rows, record.upload_id)
    return record.upload_id == upload.replaces and not _is_open(rows, record.successor)


def _is_open(rows: Transaction, upload_id: str | None) -> bool:
    upload = None if upload_id is None else rows.uploads.find(upload_id)
    return upload is not None and upload.state not in FINAL_UPLOADS


def may_have_written_over(records: Records, upload: Upload) -> bool:
    if upload.replaces is None:
        return False
    with records.read() as rows:
        return rows.objects.succeeds(upload.id)
