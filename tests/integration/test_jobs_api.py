"""Job answers over the web application: files that are hidden, ends of streams, ends of uploads."""

import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from shared.errors import AppError, DigestMismatch, Rejected, TooLarge, Unsupported
from shared.model.job import Job
from tests.support.front import Front, a_front
from tests.support.workshop import ALICE

HOUR = timedelta(hours=1)


@pytest.fixture
def front(tmp_path: Path, sqlite_url: str) -> Iterator[Front]:
    with a_front(tmp_path, sqlite_url) as made:
        yield made


def test_a_job_names_its_file_and_shows_it_while_it_may_be_seen(front: Front) -> None:
    kept, deleted, expired, removed = (finished(front, expires_in=3600) for _ in range(4))
    front.factory.services.files.delete(ALICE, deleted.upload_id, hard=False)
    front.factory.services.files.delete(ALICE, removed.upload_id, hard=True)
    front.factory.shift("files", "expires_at", -2 * HOUR, id=expired.upload_id)
    jobs = [kept, deleted, expired, removed]

    shown = [front.get(f"/api/v1/jobs/{job.id}").get_json() for job in jobs]
    listed = front.get("/api/v1/jobs", {"ids": ",".join(job.id for job in jobs)}).get_json()

    assert [job["state"] for job in shown] == ["succeeded"] * 4
    assert ["file" in job for job in shown] == [True, False, False, False]
    assert [job["file_id"] for job in shown] == [
        kept.upload_id,
        deleted.upload_id,
        expired.upload_id,
        None,
    ]
    assert listed["items"] == shown
    for job in shown:
        found = front.get(f"/api/v1/files/{job['upload_id']}")
        assert (found.status_code == 200) == ("file" in job)


def test_who_has_seen_the_end_of_a_stream_is_told_not_to_come_back(front: Front) -> None:
    job = finished(front)
    path = f"/api/v1/jobs/{job.id}/events"
    first = front.get(path)

    again = front.get(path, Last_Event_ID=str(job.version))
    earlier = front.get(path, Last_Event_ID=str(job.version - 1))

    assert f"id: {job.version}\n" in first.text
    assert (again.status_code, again.data) == (204, b"")
    assert f"id: {job.version}\n" in earlier.text


@pytest.mark.parametrize(
    ("because", "status"),
    [
        (TooLarge("At most 5 bytes are allowed.", limit=5), 413),
        (Unsupported("The file is a program.", detected="x", declared=None, allowed=[]), 415),
        (DigestMismatch("Another file was announced."), 400),
        (Rejected("image_broken", "The image can't be decoded."), 422),
    ],
    ids=lambda value: str(getattr(value, "code", value)),
)
def test_a_rejected_upload_is_refused_as_its_request_would_have_been(
    front: Front, because: AppError, status: int
) -> None:
    job = submitted(front)
    claims = front.factory.claims
    claims.reject(front.factory.claim(job), because)

    answer = submit(front)

    told = answer.get_json()
    assert (answer.status_code, told["status"], told["type"]) == (status, status, because.code)
    assert (told["detail"], told["job_id"]) == (str(because), job.id)
    assert because.facts.items() <= told.items()


def test_an_upload_that_failed_is_502(front: Front) -> None:
    job = submitted(front)
    front.factory.claims.give_up(front.factory.claim(job), {"code": "conflict", "detail": "x"})

    answer = submit(front)

    assert (answer.status_code, answer.get_json()["type"]) == (502, "job_failed")


def test_an_upload_that_was_cancelled_is_a_conflict(front: Front) -> None:
    job = submitted(front)
    front.factory.services.uploads.cancel(ALICE, job.upload_id)

    answer = submit(front)

    assert (answer.status_code, answer.get_json()["type"]) == (409, "conflict")


@pytest.mark.parametrize("hard", [False, True])
def test_a_file_that_was_deleted_since_is_gone_and_not_a_failure(front: Front, hard: bool) -> None:
    job = submitted(front)
    front.factory.run(job)
    assert submit(front).status_code == 201
    front.factory.services.files.delete(ALICE, job.upload_id, hard=hard)

    answer = submit(front)

    told = answer.get_json()
    assert (answer.status_code, told["type"], told["job_id"]) == (410, "gone", job.id)


def finished(front: Front, **said: Any) -> Job:
    return front.factory.run(front.factory.received(b"hello world", **said))


def submitted(front: Front) -> Job:
    answer = submit(front, Prefer="wait=0")
    assert answer.status_code == 202
    with front.factory.records.read() as rows:
        job = rows.jobs.find(answer.get_json()["id"])
    assert job is not None
    return job


def submit(front: Front, **headers: str) -> TestResponse:
    """Send the same file under the same key: after the first time, how that ended is answered."""
    form = {"file": (io.BytesIO(b"hello world"), "notes.txt")}
    named = {"Idempotency-Key": "one", **headers}
    return front.ask("POST", "/api/v1/files/upload", headers=named, data=form)
