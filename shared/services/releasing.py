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
    if upload.state is UploadState.JOINED:
        places.discard(upload_id)  # what lies there is of the one that joined it
    rows.uploads.settle(upload_id, reserved=0)
    rows.chunks.drop(upload_id)
    _free_name(rows, upload_id)
    rows.quotas.release(upload.tenant, upload.reserved)  # last, as everywhere: keys before quotas
    return places


def give_up(rows: Transaction, *upload_ids: str) -> list[str]:
    """Cancel those of the uploads that are still receiving, and release them; return their ids.

    What is sealed has a job that was promised to its client: it goes on, whoever comes in between.
    """
    # All rows before any key, and all keys before the quota, as everywhere; and in one order.
    ended = [each for each in sorted(upload_ids) if rows.uploads.hold(each, UploadState.RECEIVING)]
    for upload_id in ended:
        rows.uploads.advance(upload_id, Event.CANCEL)
        _free_name(rows, upload_id)
    for upload_id in ended:
        release(rows, upload_id)
    return ended


def give_up_earlier(rows: Transaction, upload: Upload) -> list[str]:
    """Cancel what the same caller had begun to send as this very file, so that its key is free.

    Return its ids, mostly one: their staging is the caller's to clear after the commit. One whose bytes
    are all here goes on, and keeps its key; so does the file that one with `replace` is to end.
    """
    given_up: list[str] = []
    while True:
        is_ours = rows.objects.intend(upload.key, upload.id)
        if not is_ours:
            _wait_for_others(rows, upload.key)
        found = [
            each for each in rows.uploads.receiving(upload.key) if _said(each) == _said(upload)
        ]
        given_up += give_up(rows, *(each.id for each in found))
        # Of several that begin anew at once each finds the one before it: who was found and is held no
        # more has given way to that.
        if is_ours or not found:
            return given_up


def _free_name(rows: Transaction, upload_id: str) -> None:
    job = rows.jobs.of_upload(upload_id)
    if job is None or job.started_at is None:  # nobody has come to write an object
        rows.objects.drop([each.key for each in rows.objects.of_upload(upload_id)], upload_id)


def _wait_for_others(rows: Transaction, key: str) -> None:
    """Let those who begin anew over one file do so one after the other."""
    record = rows.objects.known([key]).get(key)
    if record is not None:
        rows.files.held([record.upload_id])


def _said(upload: Upload) -> tuple[str, str, str, str | None]:
    # Two names may make one key.
    return upload.tenant, upload.owner, upload.filename, upload.reference


def drop_unbegun(rows: Transaction, upload_id: str) -> None:
    """Forget intents of which nothing was written.

    Of a multipart that was begun parts may be left: its row stays for the sweep.
    """
    intents = rows.objects.of_upload(upload_id)
    rows.objects.drop([each.key for each in intents if each.multipart_id is None], upload_id)
