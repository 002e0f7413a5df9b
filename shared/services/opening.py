"""What the store gives to anybody is made to agree with the files that are public.

Invariant: whoever writes to the store looks afterwards, and writes again unless it still agrees. So
the last to write has seen what is so, whatever others did meanwhile.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from shared.errors import NotFound, Unavailable
from shared.model.file import File
from shared.model.lifecycle import UploadState
from shared.ports import ObjectStore
from shared.records import Records

_BATCH: Final = 500


def close(objects: ObjectStore, files: Sequence[File]) -> dict[str, Unavailable]:
    """Take from strangers what the store gives them of these files, before their rows say so.

    For a row must not say of a file that it is hidden or private which is not. Whoever asks lets the
    store `agree` afterwards. Returns why it was not done, by the ids of the files.
    """
    kept: dict[str, Unavailable] = {}
    for file in files if objects.gives_away else ():
        try:
            with suppress(NotFound):  # a lost object is the auditor's to tell
                objects.set_public(file.key, is_public=False)
        except Unavailable as outage:
            kept[file.id] = outage
    return kept


def agree(records: Records, objects: ObjectStore, key: str) -> bool:
    """Give the object under this key to anybody, or to nobody, as its file or upload says.

    False when there is none. A store that gives nothing away is not asked. Raises `Unavailable`.
    """
    if not objects.gives_away:
        return True
    done = None
    while True:
        found = objects.find(key)
        if found is None:
            return False
        said = found.upload_id, _is_public(records, key, found.upload_id)
        if said == done:
            return True
        with suppress(NotFound):  # then it is gone at the next look
            objects.set_public(key, is_public=said[1])
        done = said


def set_acls(records: Records, objects: ObjectStore, *, remove: bool = False) -> int:
    """Let the store give away the objects of all public files, or none; return of how many.

    For files from before `S3_PUBLIC_ACL` was set, and for its end. Safe to repeat, and to break
    off. Lost objects are the auditor's to tell. Raises `Unavailable`.
    """
    done = 0
    for file in _public_files(records):
        if not remove:
            is_there = agree(records, objects, file.key)
            done += is_there and file.deleted_at is None
            continue
        with suppress(NotFound):
            objects.set_public(file.key, is_public=False)
            done += 1
    return done


def _public_files(records: Records) -> Iterator[File]:
    """Yield those that are hidden, too: restored they are public again."""
    after = ""
    while True:
        with records.read() as rows:
            page = {each.key: each.file_id for each in rows.expected.between(after, None, _BATCH)}
            found = rows.files.many(list(set(page.values())))
        # Thumbnails have keys of their own, and stay private.
        yield from (file for file in found if file.is_public and file.key in page)
        if len(page) < _BATCH:
            return
        after = list(page)[-1]


def _is_public(records: Records, key: str, upload_id: str | None) -> bool:
    """Return what the object's own file says, or the upload that may become one."""
    with records.read() as rows:
        file = rows.files.under(key)
        if upload_id is not None and (file is None or file.id != upload_id):
            upload = rows.uploads.find(upload_id)
            if upload is not None:
                # One whose file is gone already has nothing for anybody.
                return upload.is_public and upload.state is not UploadState.READY
        return file is not None and file.is_public and not file.is_hidden(rows.now)
