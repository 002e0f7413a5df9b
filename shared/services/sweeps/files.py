"""Files whose time is over, and those that were deleted long enough ago to go for good."""

from datetime import timedelta

from shared.model.file import File
from shared.model.predecessors import GATEWAY
from shared.model.webhook import EventType
from shared.services.forgetting import forget
from shared.services.opening import agree, close
from shared.services.purging import purge
from shared.services.sweeps.runs import Run, Sweeper


def expired_files(sweeper: Sweeper, run: Run) -> None:
    """Delete softly what is past its expiry, and owe `file.expired` in the same transaction."""
    with sweeper.records.read() as rows:
        over = rows.files.expired(run.cap + 1)
    found = [file for file in over if sweeper.is_past(file.expires_at)]
    for file in run.through(found):
        with run.item(file.id):
            if run.dry_run or _expire(sweeper, file):
                run.count(file.size)


def gateway_files(sweeper: Sweeper, run: Run) -> None:
    """Expire what the gateway took so long ago, by the setting of today and not of back then."""
    age = sweeper.rules.gateway_files
    if age is None:
        return
    with sweeper.records.read() as rows:
        over = rows.files.aged(GATEWAY, age, run.cap + 1)
    found = [file for file in over if sweeper.is_past(file.created_at, age)]
    for file in run.through(found):
        with run.item(file.id):
            if run.dry_run or _expire(sweeper, file, of_age=True):
                run.count(file.size)


def _expire(sweeper: Sweeper, file: File, *, of_age: bool = False) -> bool:
    if not file.is_public:
        return _hide(sweeper, file, of_age=of_age)
    for outage in close(sweeper.objects, [file]).values():
        raise outage  # nobody returns to what is hidden already
    try:
        return _hide(sweeper, file, of_age=of_age)
    finally:  # its end may have been put off, or another be in its place
        agree(sweeper.records, sweeper.objects, file.key)


def _hide(sweeper: Sweeper, file: File, *, of_age: bool) -> bool:
    with sweeper.records.begin() as rows:
        if of_age:
            # Its time is over, as others' that end: it is not restored to be expired once more.
            rows.files.change(file.id, expires_at=rows.now())
        expire = rows.files.mark_deleted if of_age else rows.files.expire
        if not expire(file.id):
            return False
        owed = sweeper.events.of_file(rows, EventType.EXPIRED, file)
        job = rows.jobs.of_upload(file.id)
    if job is not None:
        sweeper.board.forget([job.id])
    for delivery_id in owed:
        sweeper.dispatcher.deliver(delivery_id)
    return True


def deleted_files(sweeper: Sweeper, run: Run) -> None:
    """Remove files deleted long ago: rows first, then objects; killed between, objects follow."""
    age = sweeper.rules.deleted_files
    with sweeper.records.read() as rows:
        over = rows.files.deleted(age, run.cap + 1)
    found = [file for file in over if sweeper.is_past(file.deleted_at, age)]
    for file in run.through(found):
        with run.item(file.id):
            if run.dry_run or _remove(sweeper, file, age):
                run.count(file.size + sum(small.size for small in file.thumbnails))


def _remove(sweeper: Sweeper, file: File, age: timedelta) -> bool:
    with sweeper.records.begin() as rows:
        # Read again, and held: it may be restored at any time, and deleted anew.
        held = rows.files.held([file.id])
        still = [each for each in held if sweeper.is_past(each.deleted_at, age)]
        gone = forget(rows, still)
        jobs = rows.jobs.of_uploads([each.id for each in gone])
    sweeper.board.forget([job.id for job in jobs])
    purge(sweeper.records, sweeper.objects, *gone)
    return bool(gone)
