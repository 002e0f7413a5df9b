"""Open multipart uploads under our keys whose upload has ended long ago, or which no row names."""

from collections.abc import Sequence

from shared.model.lifecycle import FINAL_UPLOADS
from shared.model.stored import OpenMultipart
from shared.services.auditing.audit import Audit
from shared.services.auditing.findings import Kind
from shared.services.auditing.overlooked import overlooked
from shared.services.finding import staged_of


def multiparts(audit: Audit) -> None:
    """Report them; the sweep of that name aborts them.

    A key without a row is not known as ours, unless it is one that clients send to. Where an open
    upload is to replace a file its job may have begun one under the file's key.
    """
    for batch in audit.batches(audit.parts.objects.open_multiparts()):
        for each, upload_id in _left(audit, batch):
            audit.found(
                Kind.MULTIPART_LEFT, upload_id, f"begun at {each.started_at:%Y-%m-%d %H:%M}"
            )


def _left(audit: Audit, batch: Sequence[OpenMultipart]) -> list[tuple[OpenMultipart, str]]:
    keys = [each.key for each in batch]
    with audit.parts.records.read() as rows:
        ours, direct = rows.objects.known(keys), rows.direct.known(keys)
        owners = {
            key: owner
            for key in keys
            if (owner := staged_of(key, audit.staging_prefix)) is not None
        }
        owners |= {key: row.upload_id for key, row in direct.items()}
        owners |= {key: row.upload_id for key, row in ours.items()}
        uploads = rows.uploads.known(list(owners.values()))
        awaited = rows.uploads.awaited(keys)
    audit.foreign += sum(each.key not in owners for each in batch)
    # Of a key without a row the upload may be long forgotten.
    alone = {owner for key, owner in owners.items() if key not in direct and key not in ours}
    ended = {each.id for each in uploads.values() if each.state in FINAL_UPLOADS}
    ended |= alone - uploads.keys()
    strays = {
        each.multipart_id
        for each in batch
        if each.key in direct and direct[each.key].multipart_id != each.multipart_id
    }
    left = [
        (each, owners[each.key])
        for each in batch
        if each.key in owners
        and each.key not in awaited
        and (owners[each.key] in ended or each.multipart_id in strays)
    ]
    things = {each.multipart_id: (each.started_at, owner) for each, owner in left}
    late = overlooked(audit, "multiparts", "multipart", things)
    return [(each, owner) for each, owner in left if each.multipart_id in late]
