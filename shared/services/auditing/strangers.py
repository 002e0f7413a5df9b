"""Objects that no row knows: of other services, or ours and lost."""

from collections.abc import Sequence

from shared.errors import AccessDenied
from shared.model.stored import StoredObject
from shared.services.auditing.audit import Audit
from shared.services.auditing.findings import Kind
from shared.services.finding import is_id, staged_of


def strangers(audit: Audit, unknown: Sequence[StoredObject]) -> bool:
    """Report those that carry our metadata; False when there are too many to ask about, or no time.

    A row stands before its object, however young that is. The bucket may be shared: what does not
    say that it is ours is counted and left alone. The sweep of orphans deletes, not we.
    """
    if len(unknown) > audit.looks:
        audit.capped = True
        return False
    audit.looks -= len(unknown)
    ours: dict[str, str] = {}
    for each in unknown:
        if audit.is_stopping():  # a batch of questions takes long
            audit.capped = True
            return False
        try:
            found = audit.parts.objects.find(each.key)
        except AccessDenied:  # this one: the bucket has just been listed
            audit.foreign += 1
            continue
        owner = "" if found is None else _owner(audit, found)
        if is_id(owner):
            ours[each.key] = owner
        else:
            audit.foreign += found is not None
    sizes = {each.key: each.size for each in unknown}
    with audit.parts.records.read() as rows:
        files = rows.expected.keys_of(list(set(ours.values()))) if ours else {}
    for key, owner in ours.items():
        if owner in files:
            detail = f"{key} carries the id of the file at {files[owner]}"
            audit.found(Kind.OBJECT_DOUBLED, owner, detail)
        else:
            detail = f"{key} of {sizes[key]} bytes has no row"
            audit.found(Kind.OBJECT_UNKNOWN, owner, detail)
    return True


def _owner(audit: Audit, found: StoredObject) -> str:
    """Return the upload that an object is of: by its key, where clients send to, or its own word."""
    return staged_of(found.key, audit.staging_prefix) or found.upload_id or ""
