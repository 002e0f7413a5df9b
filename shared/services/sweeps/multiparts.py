"""Open multipart uploads that nobody will complete: the store bills their parts until aborted."""

from collections.abc import Sequence
from itertools import islice
from typing import Final

from shared.model.lifecycle import FINAL_UPLOADS
from shared.model.stored import OpenMultipart
from shared.services.finding import staged_of
from shared.services.sweeps.high_water import is_behind
from shared.services.sweeps.runs import Run, Sweeper

_KIND: Final = "multipart"
_BATCH: Final = 500


def multiparts(sweeper: Sweeper, run: Run) -> None:
    """Abort old multipart uploads under our keys, seen twice after those they belong to have ended.

    A key is ours when it has a row of objects, or is one that a client sends to: what an earlier
    attempt began and never noted goes too. While an upload is open, nothing under its keys is touched,
    for its job may be running, not even where the key still is the file's that it replaces; of those
    that its client sends to, nothing that its row names.
    """
    run.facts |= {"foreign": 0, "active": 0, "waiting": 0}
    if is_behind(sweeper, run):
        return
    with sweeper.records.read() as rows:
        began_at = rows.now()
    latest = sweeper.latest(began_at)
    found = run.through(sweeper.objects.open_multiparts())
    old = (each for each in found if each.started_at <= latest)
    while batch := list(islice(old, _BATCH)):
        abandoned = _abandoned(sweeper, run, batch)
        ripe = _seen_twice(sweeper, abandoned, dry_run=run.dry_run)
        run.note("waiting", len(abandoned) - len(ripe))
        for each in ripe:
            with run.item(each.multipart_id):
                if not run.room:
                    run.capped = True
                    return
                if not run.dry_run:
                    sweeper.objects.abort_multipart(each.key, each.multipart_id)
                run.count()
    if not run.capped and not run.dry_run:
        with sweeper.records.begin() as rows:
            rows.leases.forget_unseen(_KIND, began_at)


def _abandoned(sweeper: Sweeper, run: Run, found: Sequence[OpenMultipart]) -> list[OpenMultipart]:
    keys = [each.key for each in found]
    with sweeper.records.read() as rows:
        ours, direct = rows.objects.known(keys), rows.direct.known(keys)
        owners = {key: staged_of(key, sweeper.rules.staging_prefix) for key in keys}
        owners |= {key: record.upload_id for key, record in ours.items()}
        uploads = rows.uploads.known([owner for owner in owners.values() if owner is not None])
        awaited = rows.uploads.awaited(keys)
    open_uploads = {each.id for each in uploads.values() if each.state not in FINAL_UPLOADS}
    abandoned = []
    for each in found:
        owner, row = owners[each.key], direct.get(each.key)
        is_stray = row is not None and row.multipart_id != each.multipart_id
        if owner is None:
            run.note("foreign")
        elif each.key in awaited or (owner in open_uploads and not is_stray):
            run.note("active")
        else:
            abandoned.append(each)
    return abandoned


def _seen_twice(
    sweeper: Sweeper, found: Sequence[OpenMultipart], *, dry_run: bool
) -> list[OpenMultipart]:
    """Return those that were abandoned a grace ago, too: a store's word for their age is not enough."""
    names = [each.multipart_id for each in found]
    twice = sweeper.seen_twice(_KIND, names, dry_run=dry_run)
    return [each for each in found if each.multipart_id in twice]
