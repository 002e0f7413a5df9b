"""What uploads that went straight to the object store have left there: objects, and parts of them.

Invariant: a row of `direct` names a key that is in nobody's hands but its upload's, and goes only when
no link to write there works any more, nor any request that began while one did.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from shared.model.direct import Direct
from shared.services.sweeps.runs import Run, Sweeper

_CURSOR: Final = "cursor"
_PAGE: Final = 500
_SLACK: Final = timedelta(days=1)  # the longest that one PUT may take


def direct_leftovers(sweeper: Sweeper, run: Run) -> None:
    """Clear what lies there once the upload has ended, and again when nothing can come any more.

    Goes on where the last run stopped: what fails each time keeps nobody else waiting.
    """
    run.facts[_CURSOR] = run.last.get(_CURSOR, "")
    for direct in run.through(_ended(sweeper, run.facts[_CURSOR])):
        with run.item(direct.upload_id):
            _clear(sweeper, run, direct)
        run.facts[_CURSOR] = direct.upload_id
    if not run.capped:
        run.facts[_CURSOR] = ""


def _ended(sweeper: Sweeper, after: str) -> Iterator[Direct]:
    while True:
        with sweeper.records.read() as rows:
            page = rows.direct.ended(_SLACK, after, _PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].upload_id


def _clear(sweeper: Sweeper, run: Run, direct: Direct) -> None:
    found = sweeper.objects.find(direct.key)
    if not run.dry_run:
        if direct.multipart_id is not None:
            sweeper.objects.abort_multipart(direct.key, direct.multipart_id)
        if found is not None and not sweeper.objects.delete_seen(found):
            return  # another by now: the next run looks again
        is_over = direct.links_until is None or sweeper.is_past(direct.links_until, _SLACK)
        with sweeper.records.begin() as rows:
            rows.direct.cleared(direct.upload_id)
            if is_over:
                rows.direct.forget(direct.upload_id, _SLACK)
    if found is not None or _has_parts(direct):
        run.count(0 if found is None else found.size)


def _has_parts(direct: Direct) -> bool:
    """Say whether a multipart upload is open: what was sealed is joined, what was cleared aborted."""
    return direct.multipart_id is not None and direct.etag is None and not direct.is_cleared
