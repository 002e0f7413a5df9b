"""Quotas: used is what the files hold, reserved what the uploads hold of them."""

from shared.records import Room
from shared.services.auditing.audit import BATCH, Audit
from shared.services.auditing.findings import Kind


def rooms(audit: Audit) -> None:
    """Report quotas that are not the sum of their rows, and count them again."""

    def read(after: str) -> list[Room]:
        with audit.parts.records.read() as rows:
            return rows.audits.rooms(after, BATCH)

    for page in audit.pages(read, lambda each: each.tenant):
        for each in page:
            said, real = (each.used, each.reserved), (each.real_used, each.real_reserved)
            if said != real:
                kind = Kind.QUOTA_NEGATIVE if min(said) < 0 else Kind.QUOTA_WRONG
                detail = f"used and reserved are {said}, its rows add up to {real}"
                audit.found(kind, each.tenant, detail, _recount)
    with audit.parts.records.read() as rows:
        uncounted = rows.audits.uncounted(BATCH)
    for tenant in uncounted:
        audit.found(Kind.QUOTA_WRONG, tenant, "it has no row", _recount)


def _recount(audit: Audit, tenant: str) -> bool:
    with audit.parts.records.begin() as rows:
        rows.audits.recount(tenant)
    return True
