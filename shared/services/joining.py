"""Partial uploads that become one: their chunks change hands in one transaction, no byte is copied."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import Conflict, NotFound
from shared.model.caller import Caller
from shared.model.job import Job
from shared.model.lifecycle import FINAL_UPLOADS, Event, UploadState
from shared.model.resumable import Capability, Resumable
from shared.model.upload import Upload
from shared.records import Transaction
from shared.services.jobs import JobService


@dataclass(frozen=True, slots=True)
class Parts:
    """The partial uploads to join, in order, and how the client named them."""

    ids: Sequence[str]
    said: str
    have_to_be_whole: bool = False

    def resumable(self, capability: Capability, said: str | None) -> Resumable:
        """Return the row of the upload that joins them, at this address."""
        hashed, concat = capability.secret_sha256, capability.sealed(self.said)
        return Resumable(capability.upload_id, hashed, said, concat, self.ids)


def joined_again(
    rows: Transaction, caller: Caller, said: str | None, parts: Parts
) -> Capability | None:
    """Return a new address of the upload that joins just these already, and hold them otherwise.

    Raises `Conflict` where that one was opened with other metadata.
    """
    before = joined_before(rows, caller, parts.ids)
    if before is None:
        # Held before they are looked at, in one order: else a last byte that is committed
        # meanwhile sees nobody who waits for it, and of two joins at once one waits for ever.
        for part_id in sorted(parts.ids):
            rows.uploads.hold(part_id, UploadState.RECEIVING)
        before = joined_before(rows, caller, parts.ids)
    if before is None:
        return None
    first = rows.resumables.find(before.id)
    if first is None or first.said != said:
        raise Conflict("These partial uploads were joined with other metadata.")
    capability = Capability.new(before.id)
    rows.resumables.renew(parts.resumable(capability, said))
    return capability


def joined_before(rows: Transaction, caller: Caller, part_ids: Sequence[str]) -> Upload | None:
    """Return the caller's upload that joins just these, unless it has ended without a file."""
    found = rows.resumables.joined_of(part_ids)
    upload = None if found is None else rows.uploads.find(found)
    if upload is None or not caller.sees(tenant=upload.tenant, owner=upload.owner):
        return None
    if upload.state is UploadState.READY:
        return upload if rows.files.find(upload.id) is not None else None
    return None if upload.state in FINAL_UPLOADS else upload


def parts_of(rows: Transaction, caller: Caller, part_ids: Sequence[str]) -> list[Upload]:
    """Return the partial uploads in order. Raises `NotFound`, and `Conflict` for what is none."""
    known = rows.uploads.known(part_ids)
    found = [known[each] for each in part_ids if each in known]
    visible = [each for each in found if caller.sees(tenant=each.tenant, owner=each.owner)]
    if len(visible) < len(part_ids):
        raise NotFound("upload")
    if len(set(part_ids)) < len(part_ids):
        raise Conflict("A partial upload stands twice.")
    for each in visible:
        if not each.is_part or each.state is not UploadState.RECEIVING:
            raise Conflict("Only partial uploads that are no part of another yet can be joined.")
    return visible


def join(rows: Transaction, upload_id: str, jobs: JobService) -> Job | None:
    """Join the parts of an upload, seal it and queue its job; None while a part is not complete.

    Of transactions that complete two parts at once the later one sees both: each holds the upload's
    row first, and touches no part before all of them are seen complete.
    """
    if not rows.uploads.hold(upload_id, UploadState.RECEIVING):
        return None
    row = rows.resumables.find(upload_id)
    part_ids = () if row is None else row.parts
    known = rows.uploads.known(part_ids)
    parts = [known[each] for each in part_ids if each in known]
    if len(parts) < len(part_ids) or not all(_is_complete(each) for each in parts):
        return None
    # In one order, whichever the client names them in: two uploads may wait for the same parts.
    if not all(rows.uploads.hold(each, UploadState.RECEIVING) for each in sorted(part_ids)):
        return None  # one has just ended
    for number, part in enumerate(parts):
        rows.uploads.advance(part.id, Event.JOIN)
        rows.uploads.settle(part.id, reserved=0)
        rows.chunks.move(part.id, upload_id, number)
    size, reserved = sum(each.received for each in parts), sum(each.reserved for each in parts)
    rows.uploads.settle(upload_id, size=size, received=size, reserved=reserved)
    return queued(rows, upload_id, jobs)


def arrived(rows: Transaction, upload: Upload, jobs: JobService) -> Job | None:
    """Queue what the last byte of an upload was waited for with."""
    if not upload.is_part:
        return queued(rows, upload.id, jobs)
    found = [join(rows, each, jobs) for each in rows.resumables.awaiting(upload.id)]
    return next((job for job in found if job is not None), None)


def queued(rows: Transaction, upload_id: str, jobs: JobService) -> Job | None:
    """Seal a stream that is all here, and queue its job; None when somebody has ended it."""
    if not rows.uploads.advance(upload_id, Event.SEAL):
        return None
    upload = rows.uploads.find(upload_id)
    return None if upload is None else jobs.queue(rows, upload, upload.received)


def _is_complete(part: Upload) -> bool:
    return part.state is UploadState.RECEIVING and part.received == part.size
