"""Uploads that have run out of time, and the rows of those that ended long ago."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from shared.errors import AccessDenied, Unavailable
from shared.model.lifecycle import Event, UploadState
from shared.model.upload import Upload
from shared.services.releasing import release
from shared.services.resumption import lasts_until
from shared.services.sweeps.runs import Run, Sweeper

_ON_ITS_WAY: Final = timedelta(hours=1)  # for what began in time, straight to the store
_REFUSED: Final = timedelta(days=1)  # what the store says nothing of is not waited for longer


def expired_uploads(sweeper: Sweeper, run: Run) -> None:
    """Expire what is still receiving past its time; whoever completes it first is not disturbed.

    A store that did not answer once is not asked again in this run: those that need none go first,
    and what waits for the store takes no place of theirs.
    """
    with sweeper.records.read() as rows:
        over = rows.uploads.expired(run.cap + 1, directly=False)
    found = [upload for upload in over if sweeper.is_past(upload.expires_at)]
    for upload in run.through(found):
        with run.item(upload.id):
            if run.dry_run or _expire(sweeper, upload):
                run.count(upload.received)
    with sweeper.records.read() as rows:
        sent = rows.uploads.expired(run.cap + 1, directly=True, older_than=_ON_ITS_WAY)
    _expire_direct(sweeper, run, sent)


def _expire_direct(sweeper: Sweeper, run: Run, over: Sequence[Upload]) -> None:
    found = [upload for upload in over if sweeper.is_past(upload.expires_at, _ON_ITS_WAY)]
    for upload in run.through(found):
        is_silent = False
        with run.item(upload.id):
            try:
                if run.dry_run or _expire(sweeper, upload):
                    run.count(upload.received)
            except Unavailable as outage:  # one that denies does so of this object
                is_silent = not isinstance(outage, AccessDenied)
                raise
        if is_silent:
            run.capped = True
            return


def _expire(sweeper: Sweeper, upload: Upload) -> bool:
    if upload.is_direct and _has_arrived(sweeper, upload):
        return False  # the store has acknowledged it
    with sweeper.records.begin() as rows:
        if not rows.uploads.hold(upload.id, UploadState.RECEIVING):
            return False
        found, now = rows.uploads.find(upload.id), rows.now()
        if found is None:
            return False
        lasts = lasts_until(rows, found, now, sweeper.rules.lifetime)
        # By one clock it is not over: bytes have come meanwhile, or of what it is joined with.
        if lasts > now or not sweeper.is_past(lasts):
            rows.uploads.settle(upload.id, expires_at=lasts)
            return False
        rows.uploads.advance(upload.id, Event.EXPIRE)
        places = release(rows, upload.id)
    sweeper.staging.clear(*places)
    return True


def _has_arrived(sweeper: Sweeper, upload: Upload) -> bool:
    try:
        return sweeper.direct.adopt(upload) is not None
    except Unavailable:
        # Of an outage or a refusal of this very object: the one ends, the other never does.
        if not sweeper.is_past(upload.expires_at, _REFUSED):
            raise
        return False


def failed_uploads(sweeper: Sweeper, run: Run) -> None:
    """Give up what a retry would need; without its chunks a failed upload can't be retried."""
    age = sweeper.rules.failed_uploads
    with sweeper.records.read() as rows:
        over = rows.uploads.failed(age, run.cap + 1)
    found = [upload for upload in over if sweeper.is_past(upload.updated_at, age)]
    for upload in run.through(found):
        with run.item(upload.id):
            if run.dry_run or _give_up(sweeper, upload):
                run.count(upload.received)


def _give_up(sweeper: Sweeper, upload: Upload) -> bool:
    with sweeper.records.begin() as rows:
        if not rows.uploads.hold(upload.id, UploadState.FAILED):  # it is being retried
            return False
        places = release(rows, upload.id)
    sweeper.staging.clear(*places)
    return True


def job_records(sweeper: Sweeper, run: Run) -> None:
    """Forget uploads that ended long ago with their jobs and keys, then settled deliveries.

    An upload that still holds bytes, room or an object that is no file's stays: its row is what the
    other sweeps know these by.
    """
    age = sweeper.rules.job_records
    with sweeper.records.read() as rows:
        over = rows.uploads.ended(age, run.cap + 1)
    ended = [upload for upload in over if sweeper.is_past(upload.updated_at, age)]
    for upload in run.through(ended):
        with run.item(upload.id):
            if not run.dry_run:
                _forget(sweeper, upload)
            run.count()
    with sweeper.records.read() as rows:
        settled = rows.webhooks.settled(age, run.room + 1)
    due = list(run.through(settled[: run.room]))
    run.capped = run.capped or len(settled) > len(due)
    with run.item("deliveries"):
        if due and not run.dry_run:
            with sweeper.records.begin() as rows:
                rows.webhooks.forget(due)
        run.count(things=len(due))
        run.facts["deliveries"] = len(due)


def _forget(sweeper: Sweeper, upload: Upload) -> None:
    with sweeper.records.begin() as rows:
        job = rows.jobs.of_upload(upload.id)
        if job is not None:
            rows.jobs.drop([job.id])
        rows.uploads.drop([upload.id])
    if job is not None:
        sweeper.board.forget([job.id])
