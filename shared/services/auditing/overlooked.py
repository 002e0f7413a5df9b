"""Of what sweeps remove at their second sighting: what they should have removed by now."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from shared.services.auditing.audit import Audit

_CUT_SHORT: Final = ("error", "capped", "alarm")


def overlooked(
    audit: Audit, sweep: str, kind: str, things: Mapping[str, tuple[datetime, str]]
) -> set[str]:
    """Return the names of `things` that the sweep should have removed.

    With each goes when it was touched last, and the id of its upload. What is old may be nobody's since
    a moment ago. Since when it is, the sweep has noted if it has seen it; what it has not seen was
    somebody's, or too young, when it was last through with all.
    """
    old = {name: owner for name, (moment, owner) in things.items() if moment <= audit.unswept}
    if not old:
        return set()
    with audit.parts.records.read() as rows:
        uploads = rows.uploads.known(list(set(old.values())))
        changed = {each.id for each in uploads.values() if each.updated_at > audit.unswept}
        names = [name for name, owner in old.items() if owner not in changed]
        seen = rows.leases.seen(kind, names, timedelta())
        seen_long_ago = set(rows.leases.seen(kind, names, audit.patience))
        last = rows.leases.find(f"sweep:{sweep}") or {}
    unseen = set() if _was_through_after(last, audit.unswept) else set(names).difference(seen)
    return seen_long_ago | unseen


def _was_through_after(last: Mapping[str, Any], moment: datetime) -> bool:
    ended_at, result = last.get("finished_at"), last.get("result") or {}
    is_whole = not any(result.get(fact) for fact in _CUT_SHORT)
    return ended_at is not None and ended_at > moment and is_whole
