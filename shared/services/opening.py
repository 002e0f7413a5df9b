"""What the store gives to anybody is made to agree with the files that are public.

For files from before `S3_PUBLIC_ACL` was set, and for its end. Safe to repeat, and to break off.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from shared.errors import NotFound
from shared.model.file import File
from shared.ports import ObjectStore
from shared.records import Records

_BATCH: Final = 500


def set_acls(records: Records, objects: ObjectStore, *, remove: bool = False) -> int:
    """Let the store give away the objects of all public files, or none; return of how many.

    Raises `Unavailable`.
    """
    done = 0
    for file in _public_files(records):
        with suppress(NotFound):  # the auditor's to say
            objects.set_public(file.key, is_public=not remove)
            done += 1
            if not remove and not _is_public(records, file.id):
                # Made private meanwhile: whoever did that may have been before us at the store.
                objects.set_public(file.key, is_public=False)
    return done


def _public_files(records: Records) -> Iterator[File]:
    after = ""
    while True:
        with records.read() as rows:
            ids = [each.file_id for each in rows.expected.files(after, _BATCH)]
            found = rows.files.many(ids)
        yield from (file for file in found if file.is_public)
        if len(ids) < _BATCH:
            return
        after = ids[-1]


def _is_public(records: Records, file_id: str) -> bool:
    with records.read() as rows:
        file = rows.files.find(file_id)
    return file is not None and file.is_public
