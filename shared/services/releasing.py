"""What an upload that ends without a file gives back: its room, its name, its chunks."""

from shared.model.lifecycle import Event, UploadState
from shared.model.upload import Upload
from shared.records import Transaction


def release(rows: Transaction, upload_id: str) -> set[str]:
    """Give back the room an ended upload had reserved and its name, and forget its chunks.

    Return the uploads whose folders in staging the caller clears after the commit.
    """
    upload, places = rows.uploads.find(upload_id), rows.chunks.places(upload_id) | {upload_id}
    if upload is None:
        return places
    rows.uploads.settle(upload_id, reserved=0)
    rows.chunks.drop(upload_id)
    job = rows.jobs.of_upload(upload_id)
    if job is None or job.started_at is None:  # nobody has come to write an object
        rows.objects.drop([each.key for each in rows.objects.of_upload(upload_id)], upload_id)
    rows.quotas.release(upload.tenant, upload.reserved)  # last, as everywhere: keys before quotas
    return places


def give_up_earlier(rows: Transaction, upload: Upload) -> str | None:
    """Cancel what the same caller had begun to send as this very file, so that its key is free.

    Return its id: its staging is the caller's to clear after the commit. None when there is none,
    or all its bytes are here: that one goes on, and keeps its key.
    """
    if rows.objects.intend(upload.key, upload.id):
        return None
    seen = None
    # Of several that begin anew at once each finds the one before it.
    while (earlier := _holder(rows, upload)) is not None and earlier.id != seen:
        if rows.uploads.hold(earlier.id, UploadState.RECEIVING):
            rows.uploads.advance(earlier.id, Event.CANCEL)
            release(rows, earlier.id)
            return earlier.id
        seen = earlier.id
    return None


def _holder(rows: Transaction, upload: Upload) -> Upload | None:
    """Return the upload that has this one's key, if it is of the same file."""
    record = rows.objects.known([upload.key]).get(upload.key)
    found = None if record is None else rows.uploads.find(record.upload_id)
    return found if found is not None and _said(found) == _said(upload) else None


def _said(upload: Upload) -> tuple[str, str, str, str | None]:
    # Two names may make one key.
    return upload.tenant, upload.owner, upload.filename, upload.reference


def drop_unbegun(rows: Transaction, upload_id: str) -> None:
    """Forget intents of which nothing was written.

    Of a multipart that was begun parts may be left: its row stays for the sweep.
    """
    intents = rows.objects.of_upload(upload_id)
    rows.objects.drop([each.key for each in intents if each.multipart_id is None], upload_id)
