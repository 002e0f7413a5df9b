"""`/api/files` as its document shows it: integer ids, links by the hour, one table of errors."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import pytest
import requests

from shared.adapters.clock_system import SystemClock
from tests.dialects.conftest import Clients
from tests.support.api import Api
from tests.support.samples import picture, text

PATH: Final = "/api/files"
PDF: Final = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


@pytest.fixture
def client(clients: Clients) -> Api:
    return clients(uuid4().int % 10**9)


def said(response: requests.Response, status: int) -> Any:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    return response.json()


def uploaded(client: Api, content: bytes = PDF, filename: str = "document.pdf") -> dict[str, Any]:
    body: dict[str, Any] = said(
        client.post(f"{PATH}/upload", files={"file": (filename, content)}), 201
    )
    return body


def test_an_upload_is_answered_with_its_number_and_key(client: Api) -> None:
    body = uploaded(client)

    assert set(body) == {
        *("file_id", "url", "cdn_url", "file_key", "size"),
        *("category", "content_type", "original_filename"),
    }
    assert body["file_id"] == 1
    assert re.fullmatch(rf"uploads/{client.sub}/\d{{8}}_\d{{6}}_document\.pdf", body["file_key"])
    assert (body["size"], body["category"], body["cdn_url"]) == (len(PDF), "document", None)
    assert (body["content_type"], body["original_filename"]) == ("application/pdf", "document.pdf")


def test_numbers_count_in_their_tenant(clients: Clients) -> None:
    first, other = clients("a"), clients("b", tenant="t-of-others")

    numbers = [uploaded(first)["file_id"] for _ in range(3)]

    assert numbers == [1, 2, 3]
    before = uploaded(other)["file_id"]
    assert uploaded(other)["file_id"] == before + 1


def test_two_of_one_name_in_one_second_are_two_files(client: Api) -> None:
    first, second = uploaded(client, PDF + b"1"), uploaded(client, PDF + b"2")

    assert first["file_key"] != second["file_key"]


def test_a_file_is_shown_as_the_document_shows_it(client: Api) -> None:
    number = uploaded(client)["file_id"]

    body = said(client.get(f"{PATH}/{number}"), 200)

    assert set(body) == {
        *("id", "file_key", "original_filename", "file_size", "content_type", "category"),
        *("s3_url", "cdn_url", "uploaded_at", "expires_at"),
    }
    assert (body["id"], body["file_size"], body["expires_at"]) == (number, len(PDF), None)
    assert _TIME.fullmatch(body["uploaded_at"])


def test_lists_have_their_page_and_what_there_is_in_all(client: Api) -> None:
    for filename, content in (("a.pdf", PDF), ("b.png", picture("PNG")), ("c.pdf", PDF)):
        uploaded(client, content, filename)

    documents = said(client.get(f"{PATH}?category=document&limit=1&offset=1"), 200)
    everything = said(client.get(PATH), 200)

    assert [each["original_filename"] for each in documents["files"]] == ["a.pdf"]
    assert {name: documents[name] for name in ("total", "limit", "offset")} == {
        "total": 2,
        "limit": 1,
        "offset": 1,
    }
    assert (everything["total"], everything["limit"], everything["offset"]) == (3, 50, 0)
    assert len(everything["files"]) == 3


def test_a_list_has_a_hundred_at_most_whatever_is_asked(client: Api) -> None:
    assert said(client.get(f"{PATH}?limit=1000"), 200)["limit"] == 100


@pytest.mark.parametrize(
    ("asked", "hours"),
    [
        ({}, 24),
        ({"expiration_hours": 168}, 168),
        ({"expiration_hours": "48"}, 48),
        ({"expiration_hours": 2.0}, 2),
        ({"expiration_hours": None, "else": 1}, 24),
    ],
)
def test_a_link_works_without_a_token_for_the_hours_asked(
    client: Api, asked: dict[str, Any], hours: int
) -> None:
    file = uploaded(client)

    body = said(
        client.post(f"{PATH}/presigned-url", json={"file_id": file["file_id"], **asked}), 200
    )

    ends_at = datetime.fromisoformat(body["expires_at"]).replace(tzinfo=UTC)
    assert body["file_key"] == file["file_key"]
    assert abs(ends_at - SystemClock().now() - timedelta(hours=hours)) < timedelta(minutes=1)
    assert requests.get(body["presigned_url"], timeout=10).content == PDF


def test_a_number_may_come_as_text_and_an_empty_question_is_none(client: Api) -> None:
    number = uploaded(client)["file_id"]

    linked = client.post(f"{PATH}/presigned-url", json={"file_id": f"{number}"})
    listed = client.get(f"{PATH}?category=&limit=&offset=")

    assert said(linked, 200)["file_key"]
    assert [each["id"] for each in said(listed, 200)["files"]] == [number]


def test_a_deleted_file_is_gone_for_good(client: Api) -> None:
    file = uploaded(client)
    link = client.post(f"{PATH}/presigned-url", json={"file_id": file["file_id"]}).json()

    assert said(client.delete(f"{PATH}/{file['file_id']}"), 200) == {"message": "File deleted"}

    assert said(client.get(f"{PATH}/{file['file_id']}"), 404)["error"] == "File not found"
    assert requests.get(link["presigned_url"], timeout=10).status_code == 404


def test_another_users_file_is_forbidden_and_a_strangers_is_not_there(clients: Clients) -> None:
    number = uploaded(clients("alice"))["file_id"]
    bob, stranger = clients("bob"), clients("alice", tenant="t-of-nobody")

    for method, path in (("GET", f"{PATH}/{number}"), ("DELETE", f"{PATH}/{number}")):
        assert said(bob.request(method, path), 403)["error"] == "Not authorized"
        assert said(stranger.request(method, path), 404)["error"] == "File not found"
    asked = {"file_id": number}
    assert said(bob.post(f"{PATH}/presigned-url", json=asked), 403)["error"] == "Not authorized"
    assert said(clients("root", scope="admin").get(f"{PATH}/{number}"), 200)["id"] == number


@pytest.mark.parametrize(
    ("filename", "content", "error"),
    [
        ("notes.txt", text(), "File type not allowed"),
        ("document.pdf", b"MZ\x90\x00" + bytes(200), "File type not allowed"),
        ("document.pdf", b"", "File is empty"),
    ],
)
def test_a_file_that_is_not_welcome_is_a_400_in_the_documents_words(
    client: Api, filename: str, content: bytes, error: str
) -> None:
    answer = client.post(f"{PATH}/upload", files={"file": (filename, content)})

    assert said(answer, 400)["error"] == error
    assert client.get(PATH).json()["total"] == 0


def test_a_form_without_a_file_is_a_400(client: Api) -> None:
    said(client.post(f"{PATH}/upload", files={"other": (None, "text")}), 400)
    said(client.post(f"{PATH}/upload", json={}), 400)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"{PATH}?category=audio", None),
        ("GET", f"{PATH}?limit=0", None),
        ("GET", f"{PATH}?offset=-1", None),
        ("POST", f"{PATH}/presigned-url", {}),
        ("POST", f"{PATH}/presigned-url", {"file_id": "42nd"}),
        ("POST", f"{PATH}/presigned-url", {"file_id": True}),
        ("POST", f"{PATH}/presigned-url", {"file_id": 1.5}),
        ("POST", f"{PATH}/presigned-url", {"file_id": None}),
        ("POST", f"{PATH}/presigned-url", {"file_id": 1, "expiration_hours": 0}),
        ("POST", f"{PATH}/presigned-url", {"file_id": 1, "expiration_hours": 169}),
    ],
)
def test_what_is_out_of_bounds_is_a_400(
    client: Api, method: str, path: str, body: dict[str, Any] | None
) -> None:
    assert said(client.request(method, path, json=body), 400)["error"]


@pytest.mark.parametrize(
    "path", [f"{PATH}/{2**63}", f"{PATH}/0", f"{PATH}/{10**30}", f"{PATH}/abc"]
)
def test_a_number_of_nothing_is_a_404(client: Api, path: str) -> None:
    assert said(client.get(path), 404)["error"]


def test_nobody_is_refused_in_the_same_shape(client: Api) -> None:
    client.headers.pop("Authorization")

    body = said(client.get(PATH), 401)

    assert json.loads(json.dumps(body))["error"]
