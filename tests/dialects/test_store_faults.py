"""What two predecessors say when the store is at fault: the one 502, the other 500, as documented."""

from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from shared.errors import AccessDenied, Unavailable
from shared.model.job import Job
from tests.support.front import Front, Fronts, Hasty

PDF: Final = b"%PDF-1.7\n%%EOF\n"
TENANT: Final = "7"
Happening = Callable[[Front, Job], object]


def given_up(front: Front, job: Job) -> None:
    front.factory.claims.give_up(front.factory.claim(job), {"code": "x", "detail": "y"})


def denied(front: Front, job: Job) -> None:
    outage = AccessDenied("The object store denies access.")
    front.factory.claims.sit_out(front.factory.claim(job), outage)


def put_off(front: Front, job: Job) -> None:
    outage = Unavailable("objects", "The object store does not answer.")
    front.factory.claims.sit_out(front.factory.claim(job), outage)


def nothing(front: Front, job: Job) -> None:
    del front, job


def uploaded(front: Front, clock: Hasty, path: str, happens: Happening) -> TestResponse:
    """Upload a file; once it is waited for, `happens` becomes of its job."""

    def once() -> None:
        clock.meanwhile = lambda: None
        [row] = front.factory.query("SELECT id FROM jobs")
        with front.factory.records.read() as rows:
            job = rows.jobs.find(row["id"])
        assert job is not None
        happens(front, job)

    clock.meanwhile = once
    form = {"category": "image", "action": "upload", "customerId": TENANT}
    form |= {"file": (BytesIO(PDF), "a.pdf")}  # type: ignore[dict-item]  # werkzeug's form of a file
    return front.ask("POST", path, data=form, tenant=TENANT)


@pytest.mark.parametrize(
    ("happens", "status", "code"),
    [
        (given_up, 502, "job_failed"),
        (denied, 502, "objects_denied"),
        (put_off, 502, "objects_unavailable"),
        (nothing, 504, "not_in_time"),
    ],
)
def test_the_envelope_says_what_became_of_the_job(
    fronts: Fronts, happens: Happening, status: int, code: str
) -> None:
    clock = Hasty()
    with fronts(storage_backend="s3", clock=clock) as front:
        answer = uploaded(front, clock, "/api/v1/storage/upload", happens)

    body: dict[str, Any] = answer.get_json()
    assert (answer.status_code, body["code"], body["success"]) == (status, status, False)
    assert (body["meta"]["error"], body["data"]) == (code, None)
    assert body["meta"]["job_id"]


@pytest.mark.parametrize(
    ("happens", "status", "code"),
    [
        (given_up, 500, "job_failed"),
        (denied, 500, "objects_denied"),
        (put_off, 500, "objects_unavailable"),
        (nothing, 504, "not_in_time"),
    ],
)
def test_numbered_files_say_what_became_of_the_job(
    fronts: Fronts, happens: Happening, status: int, code: str
) -> None:
    clock = Hasty()
    with fronts(storage_backend="s3", clock=clock) as front:
        answer = uploaded(front, clock, "/api/files/upload", happens)

    body: dict[str, Any] = answer.get_json()
    assert (answer.status_code, body["code"]) == (status, code)
    assert (body["error"] == "S3 error") == (status == 500)  # as the table has it
    assert body["job_id"]
