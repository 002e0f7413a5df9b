"""Conditions and ranges as RFC 9110 has them: of downloads, thumbnails, public files and jobs."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from werkzeug.http import http_date

from shared.model.file import File
from tests.support.front import Front, a_front

CONTENT = b"0123456789"
DAY = timedelta(days=1)
NONSENSE = "yesterday"
NO_DATES = [
    "Mon, 01 Jan 99999999999 00:00:00 GMT",
    "Mon, 01 Jan 2026 99999999999:00:00 GMT",
    "Mon, 01 Jan 2026 00:00:00 +99999999999999",
]


@pytest.fixture
def front(tmp_path: Path, sqlite_url: str) -> Iterator[Front]:
    with a_front(tmp_path, sqlite_url) as made:
        yield made


@pytest.fixture
def file(front: Front) -> File:
    return front.published(CONTENT, is_public=True)


@pytest.fixture(params=["download", "public", "link"])
def path(request: pytest.FixtureRequest, front: Front, file: File) -> str:
    """The three ways to a file's bytes."""
    if request.param == "public":
        return f"/public/{file.id}/notes.txt"
    own = f"/api/v1/files/{file.id}"
    if request.param == "download":
        return f"{own}/download"
    link: str = front.get(f"{own}/presigned-url").get_json()["url"]
    return link.removeprefix("http://sluice")


def test_what_is_as_expected_is_sent(front: Front, file: File, path: str) -> None:
    for condition in ("*", f'"{file.etag}"', f'"x", "{file.etag}"'):
        answer = front.get(path, If_Match=condition)
        assert (answer.status_code, answer.data) == (200, CONTENT), condition
    for date in (http_date(file.created_at), http_date(file.created_at + DAY), NONSENSE):
        assert front.get(path, If_Unmodified_Since=date).status_code == 200, date


def test_what_is_not_as_expected_is_a_problem_without_the_bytes(
    front: Front, file: File, path: str
) -> None:
    for condition in ('"another"', f'W/"{file.etag}"', "nonsense"):
        answer = front.get(path, If_Match=condition, Range="bytes=0-4")
        assert (answer.status_code, answer.mimetype) == (412, "application/problem+json"), condition
        assert answer.get_json()["type"] == "precondition_failed"
        assert CONTENT[:5] not in answer.data
    before = http_date(file.created_at - DAY)
    assert front.get(path, If_Unmodified_Since=before).status_code == 412
    assert front.ask("HEAD", path, headers={"If-Match": '"another"'}).status_code == 412


def test_the_entity_tag_goes_before_the_date(front: Front, file: File, path: str) -> None:
    before, after = http_date(file.created_at - DAY), http_date(file.created_at + DAY)
    etag = f'"{file.etag}"'

    assert front.get(path, If_Match=etag, If_Unmodified_Since=before).status_code == 200
    assert front.get(path, If_None_Match='"another"', If_Modified_Since=after).status_code == 200
    assert front.get(path, If_None_Match=etag, If_Modified_Since=before).status_code == 304
    assert front.get(path, If_Modified_Since=after).status_code == 304
    assert front.get(path, If_Modified_Since=before).status_code == 200


def test_what_is_expected_goes_before_what_is_known_and_both_before_a_range(
    front: Front, file: File, path: str
) -> None:
    etag = f'"{file.etag}"'

    known = front.get(path, If_None_Match=etag, Range="bytes=0-4")
    unexpected = front.get(path, If_None_Match=etag, If_Match='"another"')

    assert (known.status_code, known.data, known.headers["ETag"]) == (304, b"", etag)
    assert unexpected.status_code == 412


@pytest.mark.parametrize(
    "asked",
    [
        "items=0-1",
        "bytes",
        "bytes=",
        "bytes=a-b",
        "bytes=5-2",
        "bytes=--5",
        "bytes=0-1-2",
        "bytes 0-1",
        "0-1",
        "bytes=\u0661-\u0662",
        "bytes=0-1,4-5",
    ],
)
def test_a_range_that_is_none_is_answered_with_the_whole(
    front: Front, file: File, asked: str
) -> None:
    answer = front.get(f"/api/v1/files/{file.id}/download", Range=asked)

    assert (answer.status_code, answer.data) == (200, CONTENT)
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert "Content-Range" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=2-4", 2, 5),
        ("BYTES=2-4", 2, 5),
        ("bytes= 2-4 ", 2, 5),
        ("bytes=7-", 7, 10),
        ("bytes=-3", 7, 10),
        ("bytes=-30", 0, 10),
        ("bytes=8-" + "9" * 5000, 8, 10),
        ("bytes=-" + "9" * 5000, 0, 10),
    ],
)
def test_a_range_is_answered_with_just_that(
    front: Front, path: str, asked: str, start: int, stop: int
) -> None:
    answer = front.get(path, Range=asked)

    assert (answer.status_code, answer.data) == (206, CONTENT[start:stop])
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/10"
    assert answer.headers["Content-Length"] == str(stop - start)


@pytest.mark.parametrize(
    "asked", ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=" + "9" * 99 + "-"]
)
def test_a_range_beyond_the_end_is_refused_with_the_length(
    front: Front, path: str, asked: str
) -> None:
    answer = front.get(path, Range=asked)

    assert (answer.status_code, answer.mimetype) == (416, "application/problem+json")
    assert answer.headers["Content-Range"] == "bytes */10"


def test_of_nothing_the_last_bytes_are_the_whole(front: Front) -> None:
    empty = front.published(b"")
    path = f"/api/v1/files/{empty.id}/download"

    assert front.get(path, Range="bytes=-5").status_code == 200
    assert front.get(path, Range="bytes=0-").status_code == 416


def test_who_asks_for_the_head_gets_the_head_of_the_whole(front: Front, path: str) -> None:
    answer = front.ask("HEAD", path, headers={"Range": "bytes=0-4"})

    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Accept-Ranges"] == "bytes"


def test_a_part_is_sent_only_of_what_the_client_has_the_rest_of(
    front: Front, file: File, path: str
) -> None:
    def status(condition: str) -> int:
        return front.get(path, Range="bytes=0-4", If_Range=condition).status_code

    assert status(f'"{file.etag}"') == status(http_date(file.created_at)) == 206
    for condition in (f'W/"{file.etag}"', '"x"', http_date(file.created_at - DAY), NONSENSE):
        assert status(condition) == 200, condition


def test_a_job_is_answered_under_the_same_conditions(front: Front) -> None:
    job = front.factory.received(CONTENT)
    path = f"/api/v1/jobs/{job.id}"
    etag = front.get(path).headers["ETag"]

    for condition in ("*", etag, f'"x", {etag}'):
        assert front.get(path, If_Match=condition).get_json()["id"] == job.id, condition
    for condition in ('"another"', f"W/{etag}"):
        answer = front.get(path, If_Match=condition)
        assert (answer.status_code, answer.get_json()["type"]) == (412, "precondition_failed")
    for condition in ("*", etag, f"W/{etag}"):
        answer = front.get(path, If_None_Match=condition)
        assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", etag)
    long_ago = "Mon, 01 Jan 2001 00:00:00 GMT"
    assert front.get(path, If_Unmodified_Since=long_ago).status_code == 200


@pytest.mark.parametrize("said", NO_DATES)
@pytest.mark.parametrize("name", ["If_Modified_Since", "If_Unmodified_Since", "If_Range"])
def test_what_is_no_date_is_ignored(front: Front, path: str, name: str, said: str) -> None:
    answer = front.ask("GET", path, headers={name.replace("_", "-"): said})

    assert (answer.status_code, answer.data) == (200, CONTENT)


def test_a_file_whose_object_is_lost_says_so_and_not_to_ask_again(front: Front, file: File) -> None:
    front.factory.objects.delete([file.key])

    own = f"/api/v1/files/{file.id}"
    for each in (f"{own}/download", f"{own}/metadata", f"/public/{file.id}/notes.txt"):
        answer = front.get(each)
        assert (answer.status_code, answer.get_json()["type"]) == (502, "object_lost"), each
        assert "Retry-After" not in answer.headers
