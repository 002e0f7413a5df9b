"""The bucket against the rows: what files refer to is there and theirs, and nothing else is ours.

The listing and the rows are read side by side, both by key. That a store or a database orders keys
otherwise costs questions, not findings: whatever one side lacks is asked for by its key.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from shared.model.stored import StoredObject
from shared.records import Expected, ObjectState
from shared.services.auditing.audit import BATCH, Audit
from shared.services.auditing.findings import Kind
from shared.services.auditing.strangers import strangers
from shared.services.finding import is_chunk

_PATIENCE: Final = timedelta(days=3)  # a store may be away over a weekend


def objects(audit: Audit) -> None:
    """Look at the bucket from the cursor on; at its end the cursor is at the beginning again."""
    upto = audit.cursor
    for batch in audit.batches(audit.parts.objects.listing(after=audit.cursor)):
        before, upto = upto, max(upto, batch[-1].key)
        unknown = _held_against_rows(audit, batch)
        complete = _absent(audit, before, upto, {each.key for each in batch})
        if not (complete and strangers(audit, unknown)):
            return
        audit.cursor = batch[-1].key
    if _absent(audit, upto, None, set()):
        audit.cursor = ""


def rows_of_objects(audit: Audit) -> None:
    """Report rows that say an object is a file's, where no file or thumbnail says so."""
    after: str | None = ""
    while after is not None and not audit.stops():
        with audit.parts.records.read() as rows:
            alone, after = rows.expected.unreferred(after, BATCH)
        audit.seen += len(alone)
        for each in alone:
            audit.found(Kind.OBJECT_UNREFERRED, each.upload_id, f"no file refers to {each.key}")


def unfinished(audit: Audit) -> None:
    """Report rows of objects that sweeps should have finished long ago."""
    with audit.parts.records.read() as rows:
        left = rows.expected.unfinished(audit.latest - _PATIENCE, BATCH)
    audit.seen += len(left)
    for each in left:
        detail = f"{each.key} is {each.state} since {each.updated_at:%Y-%m-%d %H:%M} or longer"
        audit.found(Kind.OBJECT_LEFT, each.upload_id, detail)


def fault(expected: Expected, found: StoredObject | None) -> tuple[Kind, str] | None:
    """Return what is wrong with an object that a file refers to, None when nothing is."""
    what = "the object" if expected.thumbnail is None else f"the thumbnail {expected.thumbnail}"
    if found is None:
        kind = Kind.OBJECT_MISSING if expected.thumbnail is None else Kind.THUMBNAIL_MISSING
        return kind, f"{what} is not in the store"
    if found.size != expected.size:
        return Kind.OBJECT_WRONG_SIZE, f"{what} has {found.size} bytes of {expected.size}"
    if expected.upload_id is not None and found.upload_id != expected.upload_id:
        return Kind.OBJECT_OF_ANOTHER, f"{what} says it is of {found.upload_id}"
    if expected.etag is not None and found.etag != expected.etag:
        return Kind.OBJECT_CHANGED, f"{what} has been written again: its ETag is another"
    if not _is_recorded(expected):
        return Kind.OBJECT_ROW_WRONG, f"{what} has no row that says whose it is"
    return None


def confirmed(audit: Audit, suspects: Iterable[Expected]) -> list[Expected]:
    """Report what is wrong with these now, unless their files have gone meanwhile; return those."""
    files = {each.key: each.file_id for each in suspects}
    found = {key: audit.parts.objects.find(key) for key in files}
    if not found:
        return []
    with audit.parts.records.read() as rows:
        still = rows.expected.under(list(found))
    wrong = []
    for each in still:
        if each.successor is not None or each.file_id != files[each.key]:
            continue  # it is being replaced, or has been: what was found may be either's
        said = fault(each, found[each.key])
        if said is not None:
            audit.found(said[0], each.file_id, said[1])
            wrong.append(each)
    return wrong


def _held_against_rows(audit: Audit, batch: Sequence[StoredObject]) -> list[StoredObject]:
    """Report what is not as its file says; return what no row knows."""
    keys = [each.key for each in batch]
    with audit.parts.records.read() as rows:
        expected = {each.key: each for each in rows.expected.under(keys)}
        known = rows.objects.known(keys).keys() | rows.direct.known(keys).keys()
    listed = {each.key: each for each in batch}
    confirmed(audit, [each for each in expected.values() if _is_odd(each, listed[each.key])])
    unknown = [each for each in batch if each.key not in expected and each.key not in known]
    # What staging has is held against its own rows.
    return [each for each in unknown if not is_chunk(each.key, audit.staging_prefix)]


def _is_odd(expected: Expected, listed: StoredObject) -> bool:
    if expected.successor is not None:
        return False
    is_other = expected.etag is not None and expected.etag != listed.etag
    return is_other or expected.size != listed.size or not _is_recorded(expected)


def _is_recorded(expected: Expected) -> bool:
    if expected.record is None:
        return False
    owner, state = expected.record
    return state is ObjectState.LINKED and owner == (expected.upload_id or owner)


def _absent(audit: Audit, after: str, upto: str | None, listed: set[str]) -> bool:
    """Report what files refer to between these keys, and the store does not list or have.

    False when time was up before all of it was looked at.
    """
    while not audit.stops():
        with audit.parts.records.read() as rows:
            page = rows.expected.between(after, upto, BATCH)
        confirmed(audit, [each for each in page if each.key not in listed])
        if len(page) < BATCH:
            return True
        after = page[-1].key
    return False
