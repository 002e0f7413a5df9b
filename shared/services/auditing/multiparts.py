"""Open multipart uploads under our keys whose upload has ended long ago."""

from collections.abc import Sequence

from shared.model.lifecycle import FINAL_UPLOADS
from shared.model.stored import OpenMultipart
from shared.services.auditing.audit import Audit
from shared.services.auditing.findings import Kind


def multiparts(audit: Audit) -> None:
    """Report them; the sweep of that name aborts them. A key without a row is not known as ours."""
    for batch in audit.batches(audit.parts.objects.open_multiparts()):
        for each, upload_id in _left(audit, batch):
            audit.found(
                Kind.MULTIPART_LEFT, upload_id, f"begun at {each.started_at:%Y-%m-%d %H:%M}"
            )


def _left(audit: Audit, batch: Sequence[OpenMultipart]) -> list[tuple[OpenMultipart, str]]:
    with audit.parts.records.read() as rows:
        ours = rows.objects.known([each.key for each in batch])
        owners = rows.uploads.known([record.upload_id for record in ours.values()])
    audit.foreign += sum(each.key not in ours for each in batch)
    ended = {each.id for each in owners.values() if each.state in FINAL_UPLOADS}
    return [
        (each, ours[each.key].upload_id)
        for each in batch
        if each.key in ours
        and ours[each.key].upload_id in ended
        and each.started_at <= audit.latest
    ]
