"""Make the file: everything that says so, in one transaction. Then what it was copied from goes."""

import logging

from shared.errors import AppError
from shared.model.direct import Direct
from worker.draft import Draft, Workbench

log = logging.getLogger(__name__)


def record(draft: Draft, bench: Workbench) -> Draft:
    claim = draft.claim
    if draft.etag is None:
        raise ValueError("record runs after publish")
    bench.claims.publish(claim, draft.checked().file(claim.upload, draft.etag))
    if claim.direct is not None:
        _clear(draft, bench, claim.direct)
    return draft


def _clear(draft: Draft, bench: Workbench, direct: Direct) -> None:
    """Delete what waited in the store, as well as may be: no file ever has such a key.

    The sweep of leftovers does it otherwise; the job has succeeded either way.
    """
    try:
        there = bench.objects.find(direct.key)
        if there is None or bench.objects.delete_seen(there):
            bench.claims.cleared(draft.claim)
    except AppError as error:
        log.warning("staged_object_kept", extra={"code": error.code})
