"""Rows of files, removed: in the transaction that does it, what else has to be said."""

from collections.abc import Sequence

from shared.errors import Conflict
from shared.model.file import File
from shared.records import Transaction


def forget(rows: Transaction, files: Sequence[File]) -> list[File]:
    """Remove the rows of files; their objects are marked, so that none can be forgotten.

    Returns those whose rows were there: the objects of the others are for somebody else to delete.
    Raises `Conflict` while another upload may write over the object of one.
    """
    dropped = rows.files.drop(*(file.id for file in files))
    gone = [file for file in files if file.id in dropped]
    rows.objects.deleting([key for file in gone for key in keys_of(file)], *dropped)
    records = rows.objects.known([file.key for file in gone])
    if any(record.successor is not None for record in records.values()):
        raise Conflict("This file is being replaced; try again.")
    for tenant in {file.tenant for file in gone}:
        rows.quotas.free(tenant, sum(file.size for file in gone if file.tenant == tenant))
    return gone


def keys_of(file: File) -> list[str]:
    return [file.key, *(small.key for small in file.thumbnails)]
