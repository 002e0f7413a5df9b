"""Of what sweeps remove at their second sighting: what they should have removed by now."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from shared.services.auditing.audit import Audit

_CUT_SHORT: Final = ("error", "capped", "alarm")


def overlooked(audit: Audit, sweep: str, kind: str, since: Mapping[str, datetime]) -> set[str]:
    """Return which of these names the sweep should have removed; `since` is when each was changed last.

    What is old may be nobody's since a moment ago. Since when it is, the sweep has noted that saw it;
    what it has not seen was somebody's, or too young, when it was last through with all.
    """
    old = [name for name, moment in since.items() if moment <= audit.unswept]
    if not old:
        return set()
    with audit.parts.records.read() as rows:
        seen = rows.leases.seen(kind, old, timedelta())
        seen_long_ago = set(rows.leases.seen(kind, old, audit.patience))
        last = rows.leases.find(f"sweep:{sweep}") or {}
    unseen = set() if _was_through_after(last, audit.unswept) else set(old).difference(seen)
    return seen_long_ago | unseen


def _was_through_after(last: Mapping[str, Any], moment: datetime) -> bool:
    ended_at, result = last.get("finished_at"), last.get("result") or {}
    is_whole = not any(result.get(fact) for fact in _CUT_SHORT)
    return ended_at is not None and ended_at > moment and is_whole
