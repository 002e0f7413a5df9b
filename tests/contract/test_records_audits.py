"""What every database must tell the auditor: pages of one moment each, and sums."""

from datetime import timedelta
from typing import Any

import pytest

from shared.model.file import Thumbnail
from shared.model.lifecycle import Event, JobState, UploadState
from shared.records import ObjectState, Transaction
from shared.records.audits import AuditedJob, AuditedUpload, Room
from tests.support.builders import a_chunk, a_delivery, a_file, a_job, a_webhook, an_upload

HOUR = timedelta(hours=1)
SOON = timedelta(minutes=-1)  # a bound that everything is beyond
SMALL = Thumbnail("small", "thumbnails/x/small.webp", 150, 100, "image/webp", 900)


def test_uploads_come_with_their_job_and_the_sum_of_their_chunks(rows: Transaction) -> None:
    one, two = sorted((an_upload(received=8), an_upload(size=None)), key=lambda each: each.id)
    for upload in (one, two):
        rows.uploads.add(upload, HOUR)
    rows.chunks.add([a_chunk(one.id, 0), a_chunk(one.id, 1, length=5)])
    rows.jobs.add(a_job(two.id))

    first, second = rows.audits.uploads("", 1), rows.audits.uploads(one.id, 10)

    facts = ("default", UploadState.RECEIVING)
    times = {
        each.id: (each.updated_at, each.expires_at)
        for each in rows.uploads.known([one.id, two.id]).values()
    }
    assert first == [
        AuditedUpload(one.id, *facts, one.size, one.received, 10, 2, 9, None, *times[one.id])
    ]
    assert second == [
        AuditedUpload(
            *(two.id, *facts, two.size, two.received, 10, 0, 0, JobState.QUEUED), *times[two.id]
        )
    ]
    assert rows.audits.uploads(two.id, 10) == []


def test_jobs_come_with_whether_they_have_an_upload(rows: Transaction) -> None:
    upload = rows.uploads.add(an_upload(), HOUR)
    jobs = [rows.jobs.add(a_job(upload_id)) for upload_id in (upload.id, None)]

    found = rows.audits.jobs("", 10)

    expected = [AuditedJob(job.id, job.upload_id, job.upload_id == upload.id) for job in jobs]
    assert found == sorted(expected, key=lambda each: each.id)
    assert rows.audits.jobs(found[0].id, 10) == found[1:]


def test_chunks_come_in_pages_by_upload_number_and_offset(rows: Transaction) -> None:
    uploads = sorted(rows.uploads.add(an_upload(), HOUR).id for _ in range(2))
    chunks = [
        a_chunk(uploads[0], 0),
        a_chunk(uploads[0], 0, offset=4),
        a_chunk(uploads[0], 1),
        a_chunk(uploads[1], 0),
    ]
    rows.chunks.add(chunks)

    assert rows.audits.chunks(("", -1, -1), 2) == chunks[:2]
    assert rows.audits.chunks((uploads[0], 0, 4), 10) == chunks[2:]
    assert rows.audits.kept(uploads, [chunks[0].name, chunks[3].name, "nothing"]) == {
        (uploads[0], chunks[0].name),
        (uploads[1], chunks[3].name),
    }


def test_rooms_are_what_is_said_and_what_it_adds_up_to(rows: Transaction) -> None:
    rows.quotas.reserve("default", 7)
    rows.uploads.add(an_upload(reserved=10), HOUR)
    for _ in range(2):
        rows.files.add(a_file(size=2**40), None)
    rows.quotas.reserve("empty", 0)

    found = rows.audits.rooms("", 10)
    rows.audits.recount("default")

    assert found == [Room("default", 0, 7, 2**41, 10), Room("empty", 0, 0, 0, 0)]
    assert rows.audits.rooms("", 1) == [Room("default", 2**41, 10, 2**41, 10)]
    assert rows.audits.rooms("default", 10) == [Room("empty", 0, 0, 0, 0)]


def test_a_tenant_without_a_quota_is_uncounted_until_it_is_counted_again(
    rows: Transaction,
) -> None:
    rows.uploads.add(an_upload(tenant="uploads", reserved=10), HOUR)
    file = rows.files.add(a_file(tenant="files", size=7), None)
    rows.quotas.reserve("default", 0)

    before = rows.audits.uncounted(10)
    rows.audits.recount("uploads")

    assert before == ["uploads"]
    assert rows.audits.uncounted(10) == []
    assert rows.audits.rooms("files", 1) == [Room("uploads", 0, 10, 0, 10)]
    assert file.number == 1


def test_rows_of_objects_that_nobody_finished_are_found_by_their_age(rows: Transaction) -> None:
    alive = rows.uploads.add(an_upload(), HOUR)
    rows.files.add(a_file(key="file"), None)
    for key, owner in (("meant", "u"), ("going", "u"), ("open", alive.id), ("file", "v")):
        assert rows.objects.intend(key, owner)
    rows.objects.deleting(["going", "file"], "u", "v")

    found = rows.expected.unfinished(rows.now() + HOUR, 10)

    assert {each.key for each in found} == {"meant", "going"}
    assert rows.expected.unfinished(rows.now() - HOUR, 10) == []


def test_deliveries_that_are_due_and_free_are_counted(rows: Transaction) -> None:
    webhook = rows.webhooks.add(a_webhook())
    deliveries = [a_delivery(webhook.id) for _ in range(3)]
    rows.webhooks.owe(deliveries)
    assert rows.webhooks.claim(deliveries[0].id, timedelta(seconds=30))

    assert rows.audits.due_deliveries() == (2, 0)


def test_deliveries_that_were_taken_for_too_long_are_counted_apart(rows: Transaction) -> None:
    webhook = rows.webhooks.add(a_webhook())
    deliveries = [a_delivery(webhook.id) for _ in range(3)]
    rows.webhooks.owe(deliveries)
    assert rows.webhooks.claim(deliveries[0].id, -HOUR)

    assert rows.audits.due_deliveries() == (2, 1)


def test_expected_objects_know_their_file_and_their_row(rows: Transaction) -> None:
    file = rows.files.add(a_file(key="b", thumbnails=(SMALL,)), None)
    rows.objects.intend("b", file.id)

    (original,) = rows.expected.under(["b", "nothing"])
    (small,) = rows.expected.under([SMALL.key])

    assert (original.file_id, original.upload_id) == (file.id, file.upload_id)
    assert (original.size, original.etag, original.sha256) == (file.size, file.etag, file.sha256)
    assert original.record == (file.id, ObjectState.INTENDED)
    assert (small.file_id, small.upload_id) == (file.id, file.upload_id)
    assert (small.thumbnail, small.size, small.etag, small.sha256) == ("small", 900, None, None)
    assert small.record is None


def test_expected_objects_come_in_the_order_of_keys(rows: Transaction) -> None:
    for key in ("a", "c", "e"):
        rows.files.add(a_file(key=key), None)
    rows.files.add(a_file(key="z", thumbnails=(SMALL,)), None)

    def keys(after: str, upto: str | None, limit: int) -> list[str]:
        return [each.key for each in rows.expected.between(after, upto, limit)]

    assert keys("", None, 10) == ["a", "c", "e", SMALL.key, "z"]
    assert keys("a", "e", 10) == ["c", "e"]
    assert keys("c", None, 2) == ["e", SMALL.key]
    assert keys("z", None, 10) == []


def test_files_to_read_are_those_that_are_not_deleted(rows: Transaction) -> None:
    files = sorted((rows.files.add(a_file(), None) for _ in range(3)), key=lambda each: each.id)
    rows.files.mark_deleted(files[1].id)

    assert [each.file_id for each in rows.expected.files("", 10)] == [files[0].id, files[2].id]
    assert [each.file_id for each in rows.expected.files(files[0].id, 10)] == [files[2].id]


def test_rows_of_objects_that_nothing_refers_to_are_found_page_by_page(rows: Transaction) -> None:
    rows.files.add(a_file(key="a", thumbnails=(SMALL,)), None)
    for key in ("a", "b", "c", SMALL.key):
        rows.objects.intend(key, "u")
    rows.objects.link(["a", "b", SMALL.key])

    alone, after = rows.expected.unreferred("", 2)
    others, end = rows.expected.unreferred("b", 10)

    assert ([each.key for each in alone], after) == (["b"], "b")
    assert (others, end) == ([], None)


def test_overdue_jobs_say_whether_somebody_took_them(rows: Transaction) -> None:
    queued, running, _ = (
        rows.jobs.add(a_job(state=state))
        for state in (JobState.QUEUED, JobState.QUEUED, JobState.SUCCEEDED)
    )
    assert rows.jobs.claim(running.id, "worker", -HOUR, 3)

    found = {(each.id, each.is_taken) for each in rows.audits.overdue_jobs(SOON, 10)}

    assert found == {(queued.id, False), (running.id, True)}
    assert rows.audits.overdue_jobs(2 * HOUR, 10) == []


def test_a_job_put_off_for_longer_than_any_pause_is_overdue(rows: Transaction) -> None:
    job = rows.jobs.claim(rows.jobs.add(a_job()).id, "worker", HOUR, 3)
    assert job is not None
    ahead: dict[str, Any] = {"pause": 24 * HOUR, "dispatched_at": rows.now() + 24 * HOUR}
    rows.jobs.advance(job.id, Event.HAND_BACK, fence=job.fence, **ahead)

    assert [each.id for each in rows.audits.overdue_jobs(SOON, 10)] == [job.id]


def test_a_delivery_is_overdue_unless_its_webhook_was_called_lately(rows: Transaction) -> None:
    quiet, busy = (rows.webhooks.add(a_webhook()) for _ in range(2))
    waiting, behind, tried = a_delivery(quiet.id), a_delivery(busy.id), a_delivery(busy.id)
    rows.webhooks.owe([waiting, behind, tried])

    assert len(rows.audits.overdue_deliveries(SOON, 10)) == 3
    assert rows.webhooks.claim(tried.id, HOUR)
    assert rows.audits.overdue_deliveries(HOUR, 10) == []
    assert rows.audits.unowned_deliveries(10) == []


def test_figures_count_jobs_and_what_is_due(rows: Transaction) -> None:
    webhook = rows.webhooks.add(a_webhook())
    rows.webhooks.owe([a_delivery(webhook.id)])
    job = rows.jobs.add(a_job())
    rows.jobs.add(a_job(state=JobState.FAILED))

    figures = rows.audits.figures()

    assert figures.jobs == {"queued": 1, "failed": 1}
    assert figures.oldest_due_at == job.due_at
    assert figures.deliveries_due == 1
    assert figures.now >= job.due_at


def test_progress_is_another_once_there_is_a_new_upload_or_file(rows: Transaction) -> None:
    said = [rows.audits.progress(), rows.audits.progress()]
    rows.uploads.add(an_upload(), HOUR)
    said.append(rows.audits.progress())
    rows.files.add(a_file(), None)
    said.append(rows.audits.progress())

    assert said[0] == said[1]
    assert len(set(said)) == 3


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.SUCCEEDED])
def test_only_queued_jobs_wait(rows: Transaction, state: JobState) -> None:
    rows.jobs.add(a_job(state=state))

    assert rows.audits.figures().oldest_due_at is None


def test_files_of_uploads_are_found_by_them(rows: Transaction) -> None:
    file = rows.files.add(a_file(), None)

    assert rows.expected.keys_of([str(file.upload_id), "nothing"]) == {file.upload_id: file.key}
