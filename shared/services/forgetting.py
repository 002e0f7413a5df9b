"""Rows of files, removed: in the transaction that does it, what else has to be said."""

from collections.abc import Sequence

from shared.errors import AppError, Conflict
from shared.model.file import File
from shared.records import Transaction

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
        raise being_replaced()
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


def being_replaced() -> Conflict:
    return Conflict("This file is being replaced; try again.")


def _replaced(rows: Transaction, files: Sequence[File]) -> set[str]:
    """Return the keys of those that another upload may be writing over."""
    records = rows.objects.known([file.key for file in files])
    return {key for key, record in records.items() if record.successor is not None}


def keys_of(file: File) -> list[str]:
    return [file.key, *(small.key for small in file.thumbnails)]
