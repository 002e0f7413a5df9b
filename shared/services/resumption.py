"""Where an upload is that is sent from offset to offset."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.errors import NotFound
from shared.model.job import Job
from shared.model.lifecycle import UploadState
from shared.model.resumable import Capability, Resumable
from shared.model.upload import Transfer, Upload
from shared.records import Transaction


@dataclass(frozen=True, slots=True)
class Resumption:
    """Where an upload is; `size` is None while nobody knows it.

    `offset` is None of one that joins others while some of these are not complete.
    """

    upload: Upload
    resumable: Resumable
    size: int | None
    offset: int | None
    job: Job | None


@dataclass(frozen=True, slots=True)
class Opened:
    """An upload that has just been opened: its address, and where it was then."""

    capability: Capability
    resumption: Resumption


def found(rows: Transaction, capability: Capability) -> Opened:
    """Return where the upload of this address is. Raises `NotFound`, also if it has got another."""
    opened = standing(rows, capability)
    if opened is None:
        raise NotFound("upload")
    return opened


def standing(rows: Transaction, capability: Capability) -> Opened | None:
    upload = rows.uploads.find(capability.upload_id)
    row = rows.resumables.find(capability.upload_id)
    if upload is None or row is None or not row.opens_with(capability.secret):
        return None
    return Opened(capability, _resumption(rows, upload, row))


def _resumption(rows: Transaction, upload: Upload, row: Resumable) -> Resumption:
    is_waiting = bool(row.parts) and upload.state is UploadState.RECEIVING
    size = _sum_of(rows, row.parts) if is_waiting else upload.size
    offset = None if is_waiting else upload.received
    return Resumption(upload, row, size, offset, rows.jobs.of_upload(upload.id))


def is_over(rows: Transaction, upload: Upload, row: Resumable, lifetime: timedelta) -> bool:
    """Say whether nothing more comes of the upload at its address."""
    match upload.state:
        case UploadState.CANCELLED | UploadState.EXPIRED:
            return True
        case UploadState.READY:
            return rows.files.find(upload.id) is None
        case UploadState.RECEIVING:
            known = rows.uploads.known(row.parts) if row.parts else {}
            here = [each for each in known.values() if each.state is UploadState.RECEIVING]
            now = rows.now()
            return lasts_until(rows, upload, now, lifetime) <= now or len(here) < len(row.parts)
        case _:
            return False


def lasts_until(rows: Transaction, upload: Upload, now: datetime, lifetime: timedelta) -> datetime:
    """Return when an upload expires: what is to be joined does not before the last of it.

    Of the others, what is so far ahead that bytes would bring it back counts for none but itself.
    """
    is_joined = upload.transfer is Transfer.JOINED
    if not (upload.is_part or is_joined):
        return upload.expires_at
    finals = [upload.id] if is_joined else rows.resumables.awaiting(upload.id)
    together = {upload.id, *finals}
    for each in finals:
        row = rows.resumables.find(each)
        together.update(() if row is None else row.parts)
    latest = now + 2 * lifetime
    known = rows.uploads.known(list(together)).values()
    here = [each.expires_at for each in known if each.state is UploadState.RECEIVING]
    return max([upload.expires_at, *(ends_at for ends_at in here if ends_at <= latest)])


def _sum_of(rows: Transaction, part_ids: Sequence[str]) -> int | None:
    """Return how long the parts are together; None while one of them does not say."""
    known = rows.uploads.known(part_ids)
    sizes = [known[each].size if each in known else None for each in part_ids]
    lengths = [size for size in sizes if size is not None]
    return sum(lengths) if len(lengths) == len(sizes) else None
