"""What uploads that went straight to the object store have left there: objects, and parts of them.

Invariant: a row of `direct` names a key that is in nobody's hands but its upload's, and goes only when
no link to write there works any more, nor any request that began while one did.
"""

from datetime import timedelta
from typing import Final

from shared.model.direct import Direct
from shared.services.sweeps.runs import Run, Sweeper

_SLACK: Final = timedelta(days=1)  # the longest that one PUT may take


def direct_leftovers(sweeper: Sweeper, run: Run) -> None:
    """Clear what lies there once the upload has ended, and again when nothing can come any more."""
    with sweeper.records.read() as rows:
        ended = rows.direct.ended(_SLACK, run.cap + 1)
    for direct in run.through(ended):
        with run.item(direct.upload_id):
            _clear(sweeper, run, direct)


def _clear(sweeper: Sweeper, run: Run, direct: Direct) -> None:
    found = sweeper.objects.find(direct.key)
    if not run.dry_run:
        if direct.multipart_id is not None:
            sweeper.objects.abort_multipart(direct.key, direct.multipart_id)
        if found is not None and not sweeper.objects.delete_seen(found):
            return  # another by now: the next run looks again
        with sweeper.records.begin() as rows:
            rows.direct.cleared(direct.upload_id, _SLACK)
    if found is not None or direct.multipart_id is not None:
        run.count(0 if found is None else found.size)
