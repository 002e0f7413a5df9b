"""Rows of files, removed: in the transaction that does it, what else has to be said."""

from collections.abc import Sequence
from typing import Final

from shared.errors import AppError, Conflict
from shared.model.file import File
from shared.model.lifecycle import UploadState
from shared.records import Transaction

_WORKER_SECONDS: Final = 5
_STORE_SECONDS: Final = 60  # a job that waits for the store is tried again within minutes

Refusals = dict[str, AppError]  # by the ids of files


def forget(rows: Transaction, files: Sequence[File]) -> list[File]:
    """Remove the rows of files; their objects are marked, so that none can be forgotten.

    Returns those whose rows were there: the objects of the others are for somebody else to delete.
    Raises `Conflict` while another upload may write over the object of one.
    """
    dropped = rows.files.drop(*(file.id for file in files))
    gone = [file for file in files if file.id in dropped]
    rows.objects.deleting([key for file in gone for key in keys_of(file)], *dropped)
    if _replaced(rows, gone):
        raise Conflict("This file is being replaced; try again.")
    for tenant in {file.tenant for file in gone}:
        rows.quotas.free(tenant, sum(file.size for file in gone if file.tenant == tenant))
    return gone


def unreplaced(rows: Transaction, files: Sequence[File]) -> list[File]:
    """Return those of held files over whose objects nobody may write until the transaction ends."""
    # Looked at first: to touch the record of one at each attempt would keep its sweep waiting.
    replaced = _replaced(rows, files)
    ours = [file for file in files if file.key not in replaced]
    rows.objects.deleting([file.key for file in ours], *(file.id for file in ours))
    late = _replaced(rows, ours)  # the records are held now
    rows.objects.link(sorted(late))
    return [file for file in ours if file.key not in late]


def being_replaced(rows: Transaction, files: Sequence[File]) -> Refusals:
    """Return why files can't be removed now, and from when on it may be worth to ask again."""
    records = rows.objects.known([file.key for file in files]) if files else {}
    heirs = {key: record.successor for key, record in records.items()}
    return {file.id: _replacing(rows, heirs.get(file.key)) for file in files}


def _replacing(rows: Transaction, upload_id: str | None) -> Conflict:
    """Return what is said while this upload may be writing over a file."""
    if is_waiting(rows, upload_id):
        told = "A replacement of this file waits for the object store: cancel it, or try again."
        return Conflict(told, upload_id=upload_id, retry_after=_STORE_SECONDS)
    return Conflict("This file is being replaced; try again.", retry_after=_WORKER_SECONDS)


def is_waiting(rows: Transaction, upload_id: str | None) -> bool:
    """Say of who may write over a file whether no worker is at it now, and one will be."""
    heir = None if upload_id is None else rows.uploads.find(upload_id)
    return heir is not None and heir.state is UploadState.SEALED


def _replaced(rows: Transaction, files: Sequence[File]) -> set[str]:
    """Return the keys of those that another upload may be writing over."""
    records = rows.objects.known([file.key for file in files])
    return {key for key, record in records.items() if record.successor is not None}


def keys_of(file: File) -> list[str]:
    return [file.key, *(small.key for small in file.thumbnails)]
