"""Objects that belong to no file: intents that came to nothing, and objects without a row.

Invariant: an object is deleted only after its row says `deleting`, which nobody can set while a
file refers to it or a job may still write it; and only the object that was seen, whose metadata
names the upload of that row. The bucket may be shared with older services: what does not carry our
metadata is never ours. What lies under a key that a client was to send to is that upload's, whatever
else it says; with a row of `direct` it is no orphan, and long after its last link without one it is. Chunks are left to
the sweep of staging.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from shared.model.stored import StoredObject
from shared.records import ObjectRecord
from shared.services.finding import is_chunk, is_id, staged_of
from shared.services.sweeps.high_water import is_behind
from shared.services.sweeps.runs import Run, Sweeper

log = logging.getLogger(__name__)

_KIND: Final = "object"
_CURSOR: Final = "cursor"
_BATCH: Final = 500
_LONGEST: Final = timedelta(days=8)  # that a link works, and one PUT takes


def object_orphans(sweeper: Sweeper, run: Run) -> None:
    """Finish what rows condemn, then what an earlier look found, then look at more of the bucket."""
    run.facts |= {_CURSOR: run.last.get(_CURSOR, ""), "foreign": 0, "waiting": 0}
    if is_behind(sweeper, run):
        return  # also of intents: a row from before the dump may say so of what became a file since
    with sweeper.records.read() as rows:
        latest = sweeper.latest(rows.now())
    _finish_intents(sweeper, run)
    _look_again(sweeper, run, latest)
    _look_further(sweeper, run, latest)


def _finish_intents(sweeper: Sweeper, run: Run) -> None:
    with sweeper.records.read() as rows:
        stale = rows.objects.stale(sweeper.rules.grace, run.room + 1)
    multiparts = _open_multiparts(sweeper, stale)
    for record in run.through(stale):
        with run.item(record.upload_id):
            if _condemned(sweeper, record, dry_run=run.dry_run):
                _remove(sweeper, run, record.key, record.upload_id, multiparts[record.key])


def _open_multiparts(sweeper: Sweeper, stale: Sequence[ObjectRecord]) -> defaultdict[str, set[str]]:
    """Return what is open under these keys: once their rows are gone nobody knows it for ours."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for record in stale:
        if record.multipart_id is not None:
            found[record.key].add(record.multipart_id)
    keys = {record.key for record in stale}
    for each in sweeper.objects.open_multiparts() if stale else ():
        if each.key in keys:
            found[each.key].add(each.multipart_id)
    return found


def _condemned(sweeper: Sweeper, record: ObjectRecord, *, dry_run: bool) -> bool:
    if dry_run:
        with sweeper.records.read() as rows:
            return not rows.objects.needed(record.key, record.upload_id)
    with sweeper.records.begin() as rows:
        if rows.objects.condemn(record.key, record.upload_id):
            return True
        # A file's object stays, whatever its row said.
        rows.objects.link(list(rows.files.referred([record.key])))
        return False


def _remove(
    sweeper: Sweeper, run: Run, key: str, upload_id: str, multipart_ids: Iterable[str] = ()
) -> None:
    """Delete a condemned object and all that is open under its key, then its row.

    An object that is not surely gone keeps its row: the key may be another upload's afterwards.
    """
    found = sweeper.objects.find(key)
    staged = staged_of(key, sweeper.rules.staging_prefix)
    if found is not None and upload_id != (staged or found.upload_id):
        log.warning("object_not_ours", extra={"upload_id": upload_id})
        found = None
    size = 0 if found is None else found.size
    if not run.dry_run:
        for multipart_id in multipart_ids:
            sweeper.objects.abort_multipart(key, multipart_id)
        if found is not None and not sweeper.objects.delete_seen(found):
            log.warning("object_kept", extra={"upload_id": upload_id})
            return
        with sweeper.records.begin() as rows:
            rows.objects.drop([key], upload_id)
        log.info("object_swept", extra={"upload_id": upload_id, "size": size})
    run.count(size)


def _look_again(sweeper: Sweeper, run: Run, latest: datetime) -> None:
    """Remove what was found without a row a grace ago and still has none."""
    alarm = sweeper.rules.alarm
    with sweeper.records.read() as rows:
        ripe = rows.leases.sightings(_KIND, sweeper.apart(rows.now()), alarm + 1)
    if len(ripe) > alarm:
        log.error("sweep_alarmed", extra={"sweep": run.sweep, "orphans": len(ripe)})
        run.facts["alarm"] = f"More than {alarm} objects have no row; none of them was removed."
        return
    for key in run.through(ripe):
        with run.item(_KIND):
            found = sweeper.objects.find(key)
            owner = None if found is None else _owner(sweeper, found, latest)
            if _taken(sweeper, key, owner, dry_run=run.dry_run) and owner is not None:
                _remove(sweeper, run, key, owner)


def _taken(sweeper: Sweeper, key: str, owner: str | None, *, dry_run: bool) -> bool:
    """Give an object without a row one that condemns it; either way its sighting is settled."""
    if dry_run:
        with sweeper.records.read() as rows:
            known = rows.objects.known([key])
            return owner is not None and not known and not rows.objects.needed(key, owner)
    with sweeper.records.begin() as rows:
        rows.leases.forget(_KIND, [key])
        known = rows.objects.known([key])
        return owner is not None and not known and rows.objects.condemn(key, owner)


def _look_further(sweeper: Sweeper, run: Run, latest: datetime) -> None:
    """Note objects of ours without a row, from where the last run stopped; remove nothing."""
    if run.is_over:
        run.capped = True
        return
    cursor, limit = run.facts[_CURSOR], sweeper.rules.listed
    page, looks = islice(sweeper.objects.listing(after=cursor), limit), sweeper.rules.looks
    before = run.seen
    while batch := list(islice(page, _BATCH)):
        strangers = _without_row(sweeper, [each for each in batch if each.modified_at <= latest])
        if len(strangers) > looks or run.is_over:
            run.capped = True
            return
        looks -= len(strangers)
        ours = _ours(sweeper, run, strangers, latest)
        if not run.dry_run:
            with sweeper.records.begin() as rows:
                rows.leases.sighted(_KIND, ours, sweeper.rules.grace)
        run.note("waiting", len(ours))
        run.note("foreign", len(strangers) - len(ours))
        run.seen += len(batch)
        run.facts[_CURSOR] = batch[-1].key
    if run.seen - before < limit:
        run.facts[_CURSOR] = ""


def _without_row(sweeper: Sweeper, found: Sequence[StoredObject]) -> list[str]:
    keys = [each.key for each in found if not is_chunk(each.key, sweeper.rules.staging_prefix)]
    with sweeper.records.read() as rows:
        spoken_for = rows.objects.known(keys).keys() | rows.files.referred(keys)
        spoken_for |= rows.direct.known(keys).keys()
    return [key for key in keys if key not in spoken_for]


def _ours(sweeper: Sweeper, run: Run, keys: Sequence[str], latest: datetime) -> list[str]:
    ours = []
    for key in keys:
        with run.item(_KIND):
            found = sweeper.objects.find(key)
            if found is not None and _owner(sweeper, found, latest) is not None:
                ours.append(key)
    return ours


def _owner(sweeper: Sweeper, found: StoredObject, latest: datetime) -> str | None:
    """Return the upload that an object, if it is old enough, is of: by its key, or its own word."""
    staged = staged_of(found.key, sweeper.rules.staging_prefix)
    if staged is not None:
        return staged if found.modified_at <= latest - _LONGEST else None
    said = found.upload_id or ""
    return said if is_id(said) and found.modified_at <= latest else None
