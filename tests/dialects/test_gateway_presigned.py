"""The gateway's presigned uploads: signed for one key, checked, and there on the first read."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
import requests

from shared.adapters.clock_system import SystemClock
from tests.dialects.conftest import Clients
from tests.e2e.books import Books
from tests.support.api import Api
from tests.support.samples import picture, text

PREFIX: Final = "/api/v1/upload"
PHOTO: Final = picture("JPEG")
_KEY: Final = re.compile(r"uploads/\d{4}/\d\d/\d\d/[0-9a-f-]{36}-example\.jpg")


@pytest.fixture
def client(clients: Clients) -> Api:
    return clients()


def said(response: requests.Response, status: int) -> Any:
    assert response.status_code == status, response.text[:500]
    assert response.headers["Content-Type"] == "application/json"
    return response.json()


def signed(client: Api, filename: str = "example.jpg", **fields: Any) -> Any:
    asked = {"filename": filename, "content_type": "image/jpeg"} | fields
    return said(client.post(f"{PREFIX}/presigned", json=asked), 200)


def sent(handed: Any, body: bytes = PHOTO, content_type: str = "image/jpeg") -> int:
    headers = {"Content-Type": content_type}
    return requests.put(handed["upload_url"], data=body, headers=headers, timeout=10).status_code


def test_the_answer_is_the_documents(client: Api) -> None:
    before = SystemClock().now()
    body = signed(client, expires_in=600)

    assert set(body) == {
        *("upload_url", "file_url", "file_id", "filename", "expires_in", "expires_at")
    }
    assert _KEY.fullmatch(body["file_id"])
    assert (body["filename"], body["expires_in"]) == ("example.jpg", 600)
    assert body["file_url"].endswith(f"/{body['file_id']}")
    assert "X-Amz-Signature" in body["upload_url"]
    ends_at = datetime.strptime(body["expires_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs(ends_at - before - timedelta(seconds=600)) < timedelta(seconds=20)


@pytest.mark.parametrize("path", ["download/{}", "metadata/{}", "download/{}/url"])
def test_what_was_sent_is_there_on_the_first_read_of_its_key(client: Api, path: str) -> None:
    handed = signed(client)
    assert sent(handed) == 200

    answer = client.get(f"{PREFIX}/{path.format(handed['file_id'])}")

    assert answer.status_code == 200, answer.text
    assert client.get(f"{PREFIX}/download/{handed['file_id']}").content == PHOTO


def test_its_file_is_like_any_other(client: Api) -> None:
    handed = signed(client)
    sent(handed)

    shown = said(client.get(f"{PREFIX}/metadata/{handed['file_id']}"), 200)
    listed = said(client.get(f"{PREFIX}/list?prefix=uploads/"), 200)["files"]

    assert (shown["file_id"], shown["file_url"]) == (handed["file_id"], handed["file_url"])
    assert (shown["file_size"], shown["content_type"]) == (len(PHOTO), "image/jpeg")
    assert [each["file_id"] for each in listed] == [handed["file_id"]]
    assert said(client.delete(f"{PREFIX}/{handed['file_id']}"), 200)
    assert client.get(f"{PREFIX}/download/{handed['file_id']}").status_code == 404


def test_before_anything_was_sent_there_is_nothing(clients: Clients) -> None:
    client = clients()
    handed = signed(client)

    for method, path in (("GET", "download/"), ("GET", "metadata/"), ("DELETE", "")):
        answer = client.request(method, f"{PREFIX}/{path}{handed['file_id']}")
        assert said(answer, 404)["detail"] == "File not found"
    sent(handed)
    assert said(clients("bob").get(f"{PREFIX}/metadata/{handed['file_id']}"), 404)


def test_bytes_of_another_type_are_refused_when_they_are_read(client: Api) -> None:
    handed = signed(client)
    sent(handed, b"\x7fELF\x02\x01\x01" + bytes(100))

    refusal = said(client.get(f"{PREFIX}/download/{handed['file_id']}"), 415)

    assert refusal["detail"] == "File type not allowed"


def test_what_is_too_large_is_refused_with_the_documents_words(client: Api) -> None:
    limit = 10 * 1024**2
    handed = signed(client)
    sent(handed, PHOTO + bytes(limit))

    refusal = said(client.get(f"{PREFIX}/metadata/{handed['file_id']}"), 413)

    assert refusal["detail"] == f"File too large. Maximum size: {limit} bytes"


def test_the_type_is_signed(client: Api) -> None:
    assert sent(signed(client), content_type="text/html") == 403


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({}, 422),
        ({"filename": ""}, 422),
        ({"filename": 1}, 422),
        ({"filename": "a.jpg", "expires_in": 0}, 422),
        ({"filename": "a.jpg", "expires_in": 604801}, 422),
        ({"filename": "a.jpg", "expires_in": "soon"}, 422),
        ({"filename": "a.jpg", "expires_in": True}, 422),
        ({"filename": "a.jpg", "expires_in": 60.5}, 422),
        ({"filename": "notes.exe", "content_type": "image/jpeg"}, 415),
        ({"filename": "notes.txt", "content_type": "text/plain"}, 415),
        ([], 422),
    ],
)
def test_what_is_wrong_is_refused_and_leaves_nothing(
    client: Api, books: Books, asked: Any, status: int
) -> None:
    with books.unchanged():
        body = said(client.post(f"{PREFIX}/presigned", json=asked), status)

    assert {"detail", "code"} <= set(body)


def test_a_field_that_nobody_knows_is_ignored_as_its_clients_expect(client: Api) -> None:
    assert signed(client, user="7")["filename"] == "example.jpg"


@pytest.mark.parametrize(("said", "seconds"), [("600", 600), (600.0, 600), (None, 3600)])
def test_seconds_may_come_as_text_or_be_null(client: Api, said: Any, seconds: int) -> None:
    assert signed(client, expires_in=said, content_type=None)["expires_in"] == seconds


def test_without_a_type_the_bytes_alone_tell_it(client: Api) -> None:
    handed = said(client.post(f"{PREFIX}/presigned", json={"filename": "a.jpg"}), 200)
    assert requests.put(handed["upload_url"], data=text(), timeout=10).status_code == 200

    assert client.get(f"{PREFIX}/download/{handed['file_id']}").status_code == 415
