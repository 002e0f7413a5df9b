"""Staged bytes without a chunk: attempts that died, and what an ended upload left.

Invariant: nothing goes while its upload's folder is in use. A body may take days and commit at its
end, so the age of a folder is that of its youngest name.
"""

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import Final

from shared.ports import StagedChunk
from shared.services.sweeps.high_water import is_behind
from shared.services.sweeps.runs import Run, Sweeper

_KIND: Final = "staging"
_BATCH: Final = 500


def staging_orphans(sweeper: Sweeper, run: Run) -> None:
    """Discard names without a chunk row: old, seen twice, in folders that nobody touches."""
    if is_behind(sweeper, run):
        return
    with sweeper.records.read() as rows:
        began_at = rows.now()
    latest = sweeper.latest(began_at)
    listing = run.through(sweeper.staging.listing())
    for upload_id, names in groupby(listing, key=attrgetter("upload_id")):
        folder = list(names)
        if run.capped:  # it may hold younger names that were not listed any more
            break
        if max(each.touched_at for each in folder) <= latest:
            with run.item(upload_id):
                _sweep_folder(sweeper, run, upload_id, folder)
    if not run.capped and not run.dry_run:
        with sweeper.records.begin() as rows:
            rows.leases.forget_unseen(_KIND, began_at)


def _sweep_folder(
    sweeper: Sweeper, run: Run, upload_id: str, folder: Sequence[StagedChunk]
) -> None:
    with sweeper.records.read() as rows:
        kept = rows.chunks.names(upload_id)
    orphans = [each for each in folder if each.name not in kept]
    for start in range(0, len(orphans), _BATCH):
        batch = orphans[start : start + _BATCH]
        paths = [each.path for each in batch]
        twice = sweeper.seen_twice(_KIND, paths, dry_run=run.dry_run)
        ripe = [each for each in batch if each.path in twice]
        run.note("waiting", len(batch) - len(ripe))
        run.capped = run.capped or len(ripe) > run.room
        ripe = ripe[: run.room]
        if ripe and not run.dry_run:
            ripe = _still_orphans(sweeper, upload_id, folder, ripe)
            sweeper.staging.discard(upload_id, [each.name for each in ripe])
        run.count(sum(each.size for each in ripe), things=len(ripe))


def _still_orphans(
    sweeper: Sweeper, upload_id: str, folder: Sequence[StagedChunk], ripe: Sequence[StagedChunk]
) -> list[StagedChunk]:
    """Look again: a body that had stalled may have come to its end since the listing."""
    there = sweeper.staging.sizes(upload_id)
    if there.keys() - {each.name for each in folder}:
        return []
    with sweeper.records.read() as rows:
        kept = rows.chunks.names(upload_id)
    return [each for each in ripe if each.name not in kept]
