"""What can be wrong, each planted by a function that returns what an audit has to say of it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from uuid_utils.compat import uuid7

from shared.errors import Rejected
from shared.model.job import JobStatus
from shared.model.lifecycle import JobState
from shared.services.auditing.findings import Kind
from tests.support.damages_left import DAMAGES_LEFT, ODDITIES_LEFT, a_quota, move_out, owe
from tests.support.damages_sent import DAMAGES_SENT, every_state_of_what_is_sent
from tests.support.grounds import CONTENT, DAY, HOUR, Found, Grounds
from tests.support.workshop import ALICE

OTHER_CONTENT: Final = bytes(reversed(CONTENT))
FOREIGN_KEY: Final = "2026/01/01/of-another-service.txt"
_DEFAULT: Final = (Kind.QUOTA_WRONG, "default", True)


# Objects.


def object_deleted(grounds: Grounds) -> Found:
    file = grounds.file()
    grounds.factory.objects.delete([file.key])
    return {(Kind.OBJECT_MISSING, file.id, False)}


def object_cut(grounds: Grounds) -> Found:
    file = grounds.file()
    grounds.overwrite(file.key, CONTENT[:-1], file.id)
    return {(Kind.OBJECT_WRONG_SIZE, file.id, False)}


def size_changed_in_row(grounds: Grounds) -> Found:
    file = grounds.file()
    grounds.sql("UPDATE files SET size = size + 1 WHERE id = :id", id=file.id)
    return {(Kind.OBJECT_WRONG_SIZE, file.id, False), _DEFAULT}


def object_overwritten(grounds: Grounds) -> Found:
    file = grounds.file()
    grounds.overwrite(file.key, OTHER_CONTENT, file.id)
    return {(Kind.OBJECT_CHANGED, file.id, False), (Kind.FILE_DAMAGED, file.id, False)}


def object_claimed_by_another(grounds: Grounds) -> Found:
    """With the same bytes: the listing looks as before."""
    file = grounds.file()
    grounds.overwrite(file.key, CONTENT, str(uuid7()))
    return {(Kind.OBJECT_OF_ANOTHER, file.id, False)}


def object_overwritten_by_another(grounds: Grounds) -> Found:
    file = grounds.file()
    grounds.overwrite(file.key, OTHER_CONTENT, str(uuid7()))
    return {(Kind.OBJECT_OF_ANOTHER, file.id, False)}


def object_row_lost(grounds: Grounds) -> Found:
    file = grounds.file()
    grounds.sql("DELETE FROM objects WHERE key = :key", key=file.key)
    return {(Kind.OBJECT_ROW_WRONG, file.id, False)}


def object_of_a_file_condemned(grounds: Grounds) -> Found:
    file = grounds.file()
    grounds.sql("UPDATE objects SET state = 'deleting' WHERE key = :key", key=file.key)
    return {(Kind.OBJECT_ROW_WRONG, file.id, False)}


def thumbnail_deleted(grounds: Grounds) -> Found:
    file = grounds.picture()
    grounds.factory.objects.delete([file.thumbnails[0].key])
    return {(Kind.THUMBNAIL_MISSING, file.id, False)}


def file_row_lost(grounds: Grounds) -> Found:
    """With a webhook still owed of it: that the file was ready stays true."""
    file = grounds.file()
    grounds.sql("DELETE FROM files WHERE id = :id", id=file.id)
    return {(Kind.OBJECT_UNREFERRED, file.id, False), _DEFAULT}


def object_without_row(grounds: Grounds) -> Found:
    owner = str(uuid7())
    grounds.put(f"2026/01/01/{owner}_lost.txt", CONTENT, owner)
    return {(Kind.OBJECT_UNKNOWN, owner, False)}


def object_doubled(grounds: Grounds) -> Found:
    file = grounds.file()
    grounds.put(f"copies/{file.id}_notes.txt", CONTENT, file.id)
    return {(Kind.OBJECT_DOUBLED, file.id, False)}


def rows_older_than_bucket(grounds: Grounds) -> Found:
    """A database restored from before the file."""
    file = grounds.file()
    _lose_job(grounds, file.id)
    for table in ("objects", "files", "uploads"):
        column = "id" if table in {"files", "uploads"} else "upload_id"
        grounds.sql(f"DELETE FROM {table} WHERE {column} = :id", id=file.id)  # noqa: S608  # names from here
    grounds.sql("UPDATE quotas SET used = used - :size WHERE tenant = 'default'", size=file.size)
    return {(Kind.OBJECT_UNKNOWN, file.id, False)}


def multipart_left(grounds: Grounds, old: timedelta = 3 * DAY) -> Found:
    file = grounds.file()
    begun = grounds.factory.objects.begin_multipart(file.key, content_type="a/b", upload_id=file.id)
    grounds.touch(grounds.factory.folder / "objects" / "parts" / f"{begun}.json", old)
    grounds.age("uploads", "updated_at", old, id=file.id)
    return {(Kind.MULTIPART_LEFT, file.id, False)}


def byte_flipped_in_object(grounds: Grounds) -> Found:
    """On a disk, under the store: it says what it said before."""
    file = grounds.file()
    path = grounds.factory.folder / "objects" / "objects" / file.key
    path.write_bytes(bytes([CONTENT[0] ^ 1]) + CONTENT[1:])
    return {(Kind.FILE_DAMAGED, file.id, False)}


def hash_changed_in_row(grounds: Grounds) -> Found:
    file = grounds.file()
    grounds.sql("UPDATE files SET sha256 = :hash WHERE id = :id", hash="1" * 64, id=file.id)
    return {(Kind.FILE_DAMAGED, file.id, False)}


# Staging.


def byte_flipped_in_staging(grounds: Grounds) -> Found:
    upload = grounds.receiving()
    (path,) = grounds.staged(upload.id)
    path.write_bytes(bytes([CONTENT[0] ^ 1]) + CONTENT[1:])
    return {(Kind.CHUNK_DAMAGED, upload.id, False)}


def staged_bytes_lost(grounds: Grounds) -> Found:
    claim = grounds.failed()
    grounds.factory.staging.clear(claim.upload.id)
    return {(Kind.CHUNK_MISSING, claim.upload.id, False)}


def staged_bytes_cut(grounds: Grounds) -> Found:
    """The checksum is not that of the whole, either."""
    job = grounds.queued()
    (path,) = grounds.staged(job.upload_id)
    path.write_bytes(CONTENT[:-1])
    return {
        (Kind.CHUNK_WRONG_SIZE, job.upload_id, False),
        (Kind.CHUNK_DAMAGED, job.upload_id, False),
    }


def folder_without_row(grounds: Grounds) -> Found:
    owner = str(uuid7())
    _stage(grounds, owner, old=3 * DAY)
    return {(Kind.STAGED_UNKNOWN, owner, False)}


def name_without_row(grounds: Grounds) -> Found:
    claim = grounds.failed()
    _stage(grounds, claim.upload.id, old=3 * DAY)
    for path in grounds.staged(claim.upload.id):
        grounds.touch(path, 3 * DAY)
    grounds.age("uploads", "updated_at", 3 * DAY, id=claim.upload.id)
    return {(Kind.STAGED_UNKNOWN, claim.upload.id, False)}


def chunk_row_lost(grounds: Grounds) -> Found:
    upload = grounds.receiving()
    grounds.sql("DELETE FROM chunks WHERE upload_id = :id", id=upload.id)
    return {(Kind.RECEIVED_WRONG, upload.id, False)}


# Quotas.


def reservation_leaked(grounds: Grounds) -> Found:
    upload = grounds.receiving()
    grounds.factory.services.uploads.cancel(ALICE, upload.id)
    move_out(grounds, upload.id, reserved=50)
    return {(Kind.RESERVATION_LEAKED, upload.id, True)}


def quota_drifted(grounds: Grounds) -> Found:
    return {(Kind.QUOTA_WRONG, a_quota(grounds, used=100, reserved=7), True)}


def quota_negative(grounds: Grounds) -> Found:
    return {(Kind.QUOTA_NEGATIVE, a_quota(grounds, used=-5, reserved=0), True)}


# Jobs.


def sealed_without_job(grounds: Grounds) -> Found:
    job = grounds.queued()
    _lose_job(grounds, job.upload_id)
    return {(Kind.JOB_MISSING, job.upload_id, True)}


def running_without_job(grounds: Grounds) -> Found:
    claim = grounds.claimed()
    _lose_job(grounds, claim.upload.id)
    return {(Kind.JOB_MISSING, claim.upload.id, True)}


def ready_without_job(grounds: Grounds) -> Found:
    file = grounds.file()
    _lose_job(grounds, file.id)
    return {(Kind.JOB_MISSING, file.id, False)}


def job_without_upload(grounds: Grounds) -> Found:
    job = grounds.job_of(grounds.file().id)
    grounds.sql("DELETE FROM uploads WHERE id = :id", id=job.upload_id)
    return {(Kind.UPLOAD_MISSING, job.id, False)}


def states_apart(grounds: Grounds) -> Found:
    file = grounds.file()
    grounds.sql(
        "UPDATE jobs SET state = 'failed', version = version + 1 WHERE upload_id = :id", id=file.id
    )
    grounds.board.forget([grounds.job_of(file.id).id])
    return {(Kind.STATES_CONTRADICT, file.id, False)}


def queued_and_cancelled(grounds: Grounds) -> Found:
    job = grounds.queued()
    grounds.sql(  # not counted again: that would hide what is wrong with it
        "UPDATE quotas SET reserved = reserved - (SELECT reserved FROM uploads WHERE id = :id)"
        " WHERE tenant = 'default'",
        id=job.upload_id,
    )
    grounds.sql(
        "UPDATE uploads SET state = 'cancelled', reserved = 0 WHERE id = :id", id=job.upload_id
    )
    grounds.sql("DELETE FROM chunks WHERE upload_id = :id", id=job.upload_id)
    grounds.factory.staging.clear(job.upload_id)
    return {(Kind.STATES_CONTRADICT, job.upload_id, True)}


def sealed_too_early(grounds: Grounds) -> Found:
    job = grounds.queued()
    grounds.sql("UPDATE uploads SET size = size + 1 WHERE id = :id", id=job.upload_id)
    return {(Kind.RECEIVED_WRONG, job.upload_id, False)}


def job_forgotten(grounds: Grounds) -> Found:
    job = grounds.queued()
    for column in ("due_at", "dispatched_at"):
        grounds.age("jobs", column, HOUR, id=job.id)
    return {(Kind.JOB_STUCK, job.id, True)}


def lease_long_over(grounds: Grounds) -> Found:
    job = grounds.claimed().job
    for column in ("due_at", "dispatched_at", "lease_until"):
        grounds.age("jobs", column, HOUR, id=job.id)
    return {(Kind.JOB_STUCK, job.id, True)}


# Webhooks.


def delivery_overdue(grounds: Grounds) -> Found:
    delivery_id = owe(grounds)
    grounds.age("deliveries", "due_at", HOUR, id=delivery_id)
    return {(Kind.DELIVERY_OVERDUE, delivery_id, True)}


def delivery_stuck(grounds: Grounds) -> Found:
    delivery_id = owe(grounds)
    with grounds.factory.records.begin() as rows:
        assert rows.webhooks.claim(delivery_id, HOUR)
    for column in ("due_at", "updated_at"):
        grounds.age("deliveries", column, 3 * HOUR, id=delivery_id)
    grounds.age("deliveries", "lease_until", 2 * HOUR, id=delivery_id)
    return {(Kind.DELIVERY_STUCK, delivery_id, True)}


def webhook_vanished(grounds: Grounds) -> Found:
    delivery_id = owe(grounds)
    grounds.unbound(
        "DELETE FROM webhooks WHERE id = (SELECT webhook_id FROM deliveries WHERE id = ?)",
        delivery_id,
    )
    return {(Kind.DELIVERY_UNOWNED, delivery_id, False)}


# The board.


def board_ahead(grounds: Grounds) -> Found:
    job = grounds.queued()
    ahead = replace(job, version=job.version + 3, state=JobState.SUCCEEDED)
    grounds.board.put(JobStatus(ahead, None, job.updated_at))
    return {(Kind.BOARD_LIES, job.id, True)}


def board_left_at_an_end(grounds: Grounds) -> Found:
    """The job was retried since, and Redis did not hear of it."""
    claim = grounds.failed()
    ended = grounds.job_of(claim.upload.id)
    grounds.sql("UPDATE uploads SET state = 'sealed' WHERE id = :id", id=ended.upload_id)
    grounds.sql(
        "UPDATE jobs SET state = 'queued', version = version + 1, updated_at = updated_at - 60000"
        " WHERE id = :id",
        id=ended.id,
    )
    grounds.board.put(JobStatus(ended, None, ended.updated_at))
    return {(Kind.BOARD_LIES, ended.id, True)}


def board_of_another_mind(grounds: Grounds) -> Found:
    job = grounds.job_of(grounds.file().id)
    other = replace(job, state=JobState.FAILED)
    grounds.board.put(JobStatus(other, None, job.updated_at))
    return {(Kind.BOARD_LIES, job.id, True)}


def board_of_a_hidden_file(grounds: Grounds) -> Found:
    """Whoever deleted it died before the board heard of it."""
    file = grounds.file()
    job = grounds.job_of(file.id)
    grounds.board.put(JobStatus(job, file, job.updated_at))
    with grounds.factory.records.begin() as rows:
        rows.files.mark_deleted(file.id)
    return {(Kind.BOARD_LIES, job.id, True)}


def board_of_a_removed_file(grounds: Grounds) -> Found:
    file = grounds.file()
    job = grounds.job_of(file.id)
    grounds.factory.services.files.delete(ALICE, file.id, hard=True)
    grounds.board.put(JobStatus(job, file, job.updated_at))
    return {(Kind.BOARD_LIES, job.id, True)}


def board_of_a_job_without_row(grounds: Grounds) -> Found:
    """A database restored from before the job."""
    job = replace(grounds.job_of(grounds.file().id), id=str(uuid7()))
    grounds.board.put(JobStatus(job, None, job.updated_at))
    return {(Kind.BOARD_LIES, job.id, True)}


DAMAGES: Final[Mapping[str, Callable[[Grounds], Found]]] = {
    made.__name__: made
    for made in (
        object_deleted,
        object_cut,
        size_changed_in_row,
        object_overwritten,
        object_overwritten_by_another,
        object_claimed_by_another,
        object_row_lost,
        object_of_a_file_condemned,
        thumbnail_deleted,
        file_row_lost,
        object_without_row,
        object_doubled,
        rows_older_than_bucket,
        multipart_left,
        byte_flipped_in_object,
        hash_changed_in_row,
        byte_flipped_in_staging,
        staged_bytes_lost,
        staged_bytes_cut,
        folder_without_row,
        name_without_row,
        chunk_row_lost,
        reservation_leaked,
        quota_drifted,
        quota_negative,
        sealed_without_job,
        running_without_job,
        ready_without_job,
        job_without_upload,
        states_apart,
        queued_and_cancelled,
        sealed_too_early,
        job_forgotten,
        lease_long_over,
        delivery_overdue,
        delivery_stuck,
        webhook_vanished,
        board_ahead,
        board_left_at_an_end,
        board_of_another_mind,
        board_of_a_hidden_file,
        board_of_a_removed_file,
        board_of_a_job_without_row,
        *DAMAGES_SENT,
        *DAMAGES_LEFT,
    )
}


def _lose_job(grounds: Grounds, upload_id: str) -> None:
    grounds.board.forget([grounds.job_of(upload_id).id])
    grounds.sql("DELETE FROM jobs WHERE upload_id = :id", id=upload_id)


def _stage(grounds: Grounds, upload_id: str, *, old: timedelta) -> None:
    writer = grounds.factory.staging.writer(upload_id, 9, 0, None)
    writer.write(b"lost")
    writer.keep()
    (path,) = (path for path in grounds.staged(upload_id) if path.name == writer.name)
    grounds.touch(path, old)


# What is as it should be, or looks odd and is not wrong.


def every_state(grounds: Grounds) -> None:
    """Uploads, jobs and files in every state there is, by their usual way."""
    services, claims = grounds.factory.services, grounds.factory.claims
    grounds.factory.listen()
    every_state_of_what_is_sent(grounds)
    grounds.receiving()
    grounds.queued()
    grounds.claimed()
    grounds.failed()
    grounds.picture()
    rejected = grounds.claimed()
    claims.reject(rejected, Rejected("bad", "It is bad."))
    for cancelled in (
        grounds.receiving().id,
        grounds.queued().upload_id,
        grounds.claimed().upload.id,
    ):
        services.uploads.cancel(ALICE, cancelled)
    for hard in (False, True):
        services.files.delete(ALICE, grounds.file().id, hard=hard)
    grounds.joined()
    upload = grounds.receiving()
    grounds.age("uploads", "expires_at", 2 * DAY, id=upload.id)
    grounds.run("expired-uploads")
    ended = grounds.failed()
    grounds.age("uploads", "updated_at", 8 * DAY, id=ended.upload.id)
    grounds.run("failed-uploads")
    for job in grounds.jobs():
        grounds.board.put(JobStatus(job, None, job.updated_at))


def foreign_object(grounds: Grounds) -> None:
    grounds.put(FOREIGN_KEY, CONTENT, "another-service")


def foreign_multipart(grounds: Grounds) -> None:
    grounds.factory.objects.begin_multipart("theirs", content_type="a/b", upload_id="another")


def young_bytes_in_staging(grounds: Grounds) -> None:
    """A body that comes in one request has no row before its end."""
    _stage(grounds, str(uuid7()), old=timedelta())


def what_sweeps_will_see_a_second_time(grounds: Grounds) -> None:
    """A process died that wrote it: the first look was when it was a day old."""
    _stage(grounds, str(uuid7()), old=2 * DAY)
    multipart_left(grounds, old=2 * DAY)


def running_multipart(grounds: Grounds) -> None:
    claim = grounds.claimed()
    key = claim.upload.key
    grounds.factory.claims.intend(claim, [key])
    begun = grounds.factory.objects.begin_multipart(
        key, content_type="text/plain", upload_id=claim.upload.id
    )
    grounds.factory.claims.started(claim, key, begun)


def long_queue(grounds: Grounds) -> None:
    """The broker has as many messages as the rows have jobs: nothing is forgotten."""
    job = grounds.queued()
    for column in ("due_at", "dispatched_at"):
        grounds.age("jobs", column, 2 * DAY, id=job.id)
    grounds.factory.bell.waiting = 1_000


ODDITIES: Final[Mapping[str, Callable[[Grounds], None]]] = {
    made.__name__: made
    for made in (
        foreign_object,
        foreign_multipart,
        young_bytes_in_staging,
        what_sweeps_will_see_a_second_time,
        running_multipart,
        long_queue,
        *ODDITIES_LEFT,
    )
}
