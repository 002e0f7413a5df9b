"""What clients have sent straight to the store: there and unchanged as long as it is wanted, then gone."""

from collections.abc import Iterator

from shared.model.direct import LONGEST_PUT
from shared.model.lifecycle import UploadState
from shared.records import AuditedDirect
from shared.services.auditing.audit import BATCH, Audit
from shared.services.auditing.findings import Kind


def waiting(audit: Audit) -> None:
    """Report what was sealed and is not in the store any more, or has been written over since."""
    for page in _pages(audit):
        wanted = [each for each in page if each.is_alive and each.etag is not None]
        found = {each.key: audit.parts.objects.find(each.key) for each in wanted}
        odd = [
            each for each in wanted if (there := found[each.key]) is None or there.etag != each.etag
        ]
        for each in _still(audit, odd):
            if found[each.key] is None:
                audit.found(Kind.SENT_MISSING, each.upload_id, f"{each.key} is not in the store")
            else:
                detail = f"{each.key} has another ETag than when it was sealed"
                audit.found(Kind.SENT_CHANGED, each.upload_id, detail)


def leftovers(audit: Audit) -> None:
    """Report rows that the sweep `direct-leftovers` should have cleared, or forgotten, long ago."""
    for page in _pages(audit):
        for each in page:
            if not each.is_alive and _is_late(audit, each):
                detail = f"its upload is {each.state}, and {each.key} was not cleared since"
                audit.found(Kind.SENT_LEFT, each.upload_id, detail)


def _pages(audit: Audit) -> Iterator[list[AuditedDirect]]:
    def read(after: str) -> list[AuditedDirect]:
        with audit.parts.records.read() as rows:
            return rows.audits.directs(after, BATCH)

    return audit.pages(read, lambda each: each.upload_id)


def _still(audit: Audit, odd: list[AuditedDirect]) -> list[AuditedDirect]:
    """Return those that are wanted now: rows end before what they are of is deleted."""
    if not odd:
        return []
    keys = [each.key for each in odd]
    with audit.parts.records.read() as rows:
        known, over = rows.direct.known(keys), rows.direct.over(keys)
    return [
        each
        for each in odd
        if each.key not in over and each.key in known and known[each.key].etag == each.etag
    ]


def _is_late(audit: Audit, each: AuditedDirect) -> bool:
    if not each.is_cleared:
        # What failed is kept, and ends when it is given up, which no time of its row tells.
        ended = audit.given_up if each.state is UploadState.FAILED else audit.latest
        return each.updated_at <= ended
    return each.links_until is None or each.links_until + LONGEST_PUT <= audit.latest
