"""The gateway's dialect when its store is away, closed to us, or not to be used at all."""

import logging
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from shared import logs
from shared.adapters.objects_s3 import S3Objects
from shared.adapters.objects_s3_hurried import HurriedS3Objects
from shared.model.file import File
from shared.model.job import Job
from shared.model.layout import Layout
from tests.support import weather
from tests.support.front import Front, Fronts, Hasty
from tests.support.weather import Weather
from tests.support.web import a_web
from tests.support.workshop import ALICE

PREFIX: Final = "/api/v1/upload"
NOT_ENABLED: Final = "S3 file storage is not enabled or not properly configured"
PDF: Final = b"%PDF-1.7\n%%EOF\n"
KEYED: Final = Layout("{folder}/{plain}", mirrors=True)
ROUTES: Final = (
    ("POST", "direct"),
    ("GET", "download/{key}"),
    ("GET", "download/{key}/url"),
    ("GET", "metadata/{key}"),
    ("GET", "list"),
    ("DELETE", "{key}"),
)


@pytest.fixture
def front(fronts: Fronts, sky: Weather) -> Iterator[Front]:
    """The application over a store that is behind the weather."""
    with fronts(objects=HurriedS3Objects(sky.place), storage_backend="s3") as made:
        yield made
        sky.clears()
        patient = S3Objects(sky.place)  # the other one leaves a store alone that was silent
        patient.delete([each.key for each in patient.listing()])


def published(front: Front, filename: str = "notes.txt", folder: str = "a") -> File:
    return front.published(filename=filename, folder=folder, layout=KEYED)


def refused(answer: TestResponse, status: int) -> Any:
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/json"
    body = answer.get_json()
    assert {"detail", "code"} <= set(body)
    if status == 503:
        assert answer.headers["Retry-After"].isdecimal()
    return body["detail"]


def healthy(answer: TestResponse) -> dict[str, Any]:
    body: dict[str, Any] = answer.get_json()
    assert answer.status_code == (200 if body["status"] == "healthy" else 503)
    return body


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
def test_a_store_that_denies_us_is_said_in_the_documents_words(
    front: Front, sky: Weather, code: str
) -> None:
    file = published(front)
    sky.brings(weather.an_error(403, code), times=None)

    for path in (f"download/{file.key}", f"metadata/{file.key}"):
        answer = front.get(f"{PREFIX}/{path}")
        assert refused(answer, 503) == "Access denied to S3 bucket"
        assert answer.get_json()["code"] == "objects_denied"
    assert healthy(front.client.get(f"{PREFIX}/health")) == {
        "status": "unhealthy",
        "s3_enabled": True,
        "detail": "Access denied to S3 bucket",
    }


@pytest.mark.parametrize(
    "fault",
    [weather.an_error(503, "SlowDown"), weather.an_error(500, "Oops"), weather.nothing_is_done],
    ids=["503", "500", "reset"],
)
def test_a_store_that_is_away_is_a_503_and_comes_back(
    front: Front, sky: Weather, fault: weather.Fault
) -> None:
    file = published(front)
    sky.brings(fault, times=None)

    assert refused(front.get(f"{PREFIX}/metadata/{file.key}"), 503)
    assert refused(front.get(f"{PREFIX}/download/{file.key}"), 503)
    assert healthy(front.client.get(f"{PREFIX}/health"))["status"] == "unhealthy"
    assert front.get(f"{PREFIX}/list").status_code == 200  # of the rows


def test_a_store_that_hangs_lets_the_health_check_answer(front: Front, sky: Weather) -> None:
    sky.brings(weather.it_hangs, times=None)

    said = healthy(front.client.get(f"{PREFIX}/health"))

    assert (said["status"], said["detail"]) == ("unhealthy", "no answer in 2 s")


def test_a_job_that_does_not_end_is_a_504_and_goes_on(fronts: Fronts) -> None:
    with fronts(storage_backend="s3", clock=Hasty()) as front:
        answer = front.ask("POST", f"{PREFIX}/direct", data={"file": (BytesIO(PDF), "a.pdf")})

        assert refused(answer, 504)
        assert answer.get_json()["code"] == "not_in_time"
        [job] = front.factory.query("SELECT id, state FROM jobs")
        assert (job["id"], job["state"]) == (answer.get_json()["job_id"], "queued")


def stored_and_deleted(front: Front, job: Job) -> None:
    front.factory.run(job)
    front.factory.services.files.delete(ALICE, job.upload_id, hard=False)


def given_up(front: Front, job: Job) -> None:
    front.factory.claims.give_up(front.factory.claim(job), {"code": "x", "detail": "y"})


def cancelled(front: Front, job: Job) -> None:
    front.factory.services.uploads.cancel(ALICE, job.upload_id)


@pytest.mark.parametrize(
    ("happens", "status", "code"),
    [
        (stored_and_deleted, 410, "gone"),
        (given_up, 502, "job_failed"),
        (cancelled, 409, "conflict"),
    ],
)
def test_what_becomes_of_a_job_that_is_waited_for_is_said(
    fronts: Fronts, happens: Callable[[Front, Job], None], status: int, code: str
) -> None:
    clock = Hasty()
    with fronts(storage_backend="s3", clock=clock) as front:

        def once() -> None:
            clock.meanwhile = lambda: None
            [row] = front.factory.query("SELECT id FROM jobs")
            with front.factory.records.read() as rows:
                job = rows.jobs.find(row["id"])
            assert job is not None
            happens(front, job)

        clock.meanwhile = once
        answer = front.ask("POST", f"{PREFIX}/direct", data={"file": (BytesIO(PDF), "a.pdf")})

        assert refused(answer, status)
        assert answer.get_json()["code"] == code
        assert front.get(f"{PREFIX}/list").get_json()["files"] == []


def test_where_staging_is_full_an_upload_is_a_507_and_leaves_nothing(tmp_path: Path) -> None:
    nowhere = {"STORAGE_BACKEND": "s3", "S3_ENDPOINT_URL": "http://127.0.0.1:9"}
    with (
        a_web(tmp_path, STAGING_FLOOR=str(2**62), **nowhere) as web,
        web.api() as client,
    ):
        answer = client.post(f"{PREFIX}/direct", files={"file": ("a.pdf", PDF)})

        assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
        assert answer.json()["detail"]
        assert client.get(f"{PREFIX}/list").json()["count"] == 0


def test_a_file_is_deleted_while_the_store_is_away(front: Front, sky: Weather) -> None:
    file = published(front)
    sky.brings(weather.an_error(503, "SlowDown"), times=None)

    assert front.ask("DELETE", f"{PREFIX}/{file.key}").status_code == 200

    assert refused(front.get(f"{PREFIX}/download/{file.key}"), 404) == "File not found"
    # The object follows: its row says that it has to go.
    [row] = front.factory.query("SELECT state FROM objects")
    assert row["state"] == "deleting"


def test_a_file_whose_object_is_lost_is_a_502(front: Front) -> None:
    file = published(front)
    front.factory.objects.delete([file.key])

    assert refused(front.get(f"{PREFIX}/metadata/{file.key}"), 502)
    assert refused(front.get(f"{PREFIX}/download/{file.key}"), 502)


def test_a_key_that_ends_like_a_link_is_downloaded_and_linked_to(front: Front) -> None:
    file = published(front, filename="url", folder="a/b")

    download = front.get(f"{PREFIX}/download/a/b/url")
    link = front.get(f"{PREFIX}/download/a/b/url/url")

    assert file.key == "a/b/url"
    assert (download.status_code, download.data) == (200, b"hello world")
    assert link.get_json()["file_id"] == "a/b/url"


def test_of_two_keys_that_differ_by_the_end_of_a_link_the_shorter_is_linked_to(
    front: Front,
) -> None:
    published(front, filename="b", folder="a")
    published(front, filename="url", folder="a/b")

    assert front.get(f"{PREFIX}/download/a/b/url").get_json()["file_id"] == "a/b"
    assert front.get(f"{PREFIX}/download/a/b").data == b"hello world"


@pytest.mark.parametrize(
    "settings", [{"storage_backend": "local"}, {"storage_backend": "s3", "s3_enabled": False}]
)
def test_without_s3_everything_says_so_in_the_documents_words(
    fronts: Fronts, settings: dict[str, Any]
) -> None:
    with fronts(**settings) as front:
        file = published(front)

        for method, path in ROUTES:
            address = f"{PREFIX}/{path.format(key=file.key)}"
            assert refused(front.ask(method, address), 503) == NOT_ENABLED
            assert refused(front.client.open(address, method=method), 401)
        assert healthy(front.client.get(f"{PREFIX}/health")) == {
            "status": "unhealthy",
            "s3_enabled": False,
            "detail": NOT_ENABLED,
        }
        assert front.get(f"/api/v1/files/{file.id}").status_code == 200


def test_where_guests_are_welcome_nothing_but_this_dialect_opens(fronts: Fronts) -> None:
    with fronts(storage_backend="s3", gateway_allow_anonymous=True) as front:
        rules = [
            (rule.rule, min(asking), rule.endpoint)
            for rule in front.client.application.url_map.iter_rules()
            if (asking := (rule.methods or set()) - {"HEAD", "OPTIONS"})
        ]
        views = front.client.application.view_functions

        for rule, method, endpoint in rules:
            is_public = getattr(views[endpoint], "is_public", False) or endpoint == "static"
            path = rule.replace("<int:number>", "1").replace("<path:file_id>", "x")
            status = front.client.open(path, method=method).status_code
            if rule.startswith(f"{PREFIX}/"):
                assert status != 401, rule
            elif not is_public:
                assert status == (404 if "<grant>" in rule else 401), rule  # which is a capability


def test_a_token_that_is_sent_is_judged_where_guests_are_welcome(fronts: Fronts) -> None:
    with fronts(storage_backend="s3", gateway_allow_anonymous=True) as front:
        path = f"{PREFIX}/list"

        for said in ("Bearer nonsense", "Bearer", "", "Basic YTpi"):
            answer = front.client.get(path, headers={"Authorization": said})
            assert refused(answer, 401), said
        assert front.client.get(path).get_json()["files"] == []
        assert refused(front.ask("GET", path, sub="gateway:anonymous"), 401)
        assert front.ask("GET", path, sub="anonymous").status_code == 200


def test_guests_have_files_of_their_own(fronts: Fronts) -> None:
    with fronts(storage_backend="s3", gateway_allow_anonymous=True) as front:
        file = published(front)

        assert refused(front.client.get(f"{PREFIX}/download/{file.key}"), 404)
        assert refused(front.client.delete(f"{PREFIX}/{file.key}"), 404)
        assert front.client.get(f"{PREFIX}/list").get_json()["count"] == 0


def test_at_debug_the_log_tells_of_each_request_to_the_store_and_of_no_signature(
    front: Front, sky: Weather, caplog: pytest.LogCaptureFixture
) -> None:
    file = published(front)
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        front.get(f"{PREFIX}/metadata/{file.key}")
        url = front.get(f"{PREFIX}/download/{file.key}/url").get_json()["download_url"]
        sky.brings(weather.an_error(403, "AccessDenied"))
        front.get(f"{PREFIX}/metadata/{file.key}")
        sky.brings(weather.nothing_is_done, times=2)
        front.get(f"{PREFIX}/metadata/{file.key}")

    told = [
        (record.getMessage(), vars(record)["operation"], vars(record).get("status"))
        for record in caplog.records
        if record.name == "shared.adapters.calls_s3"
        and vars(record)["operation"] != "HeadBucket"  # asks whether a silent store is back
    ]
    assert told == [
        ("s3_answered", "HeadObject", 200),
        ("s3_link_signed", "GetObject", None),
        ("s3_answered", "HeadObject", 403),
        ("s3_failed", "HeadObject", None),
    ]
    ours = [vars(each) for each in caplog.records if each.name.startswith(("shared", "web"))]
    signature = url.rpartition("Signature=")[2]
    assert len(signature) == 64
    assert signature not in repr(ours)
    assert str(sky.place.secret_access_key) not in repr(ours)


def test_the_libraries_below_tell_nothing_at_debug() -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        logs.set_up("DEBUG", "json")

        for name in ("botocore.auth", "urllib3.connectionpool", "sqlalchemy.engine", "s3transfer"):
            assert not logging.getLogger(name).isEnabledFor(logging.INFO), name
        assert logging.getLogger("shared.adapters.calls_s3").isEnabledFor(logging.DEBUG)
    finally:
        root.handlers = before
        root.setLevel(level)  # loggers remember what they may say until somebody calls this
