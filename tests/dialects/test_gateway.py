"""`/api/v1/upload` as its document shows it: keys as ids, FastAPI's errors, S3's lists."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import pytest
import requests

from shared.adapters.clock_system import SystemClock
from tests.dialects.conftest import Clients
from tests.e2e.books import Books
from tests.support.api import Api
from tests.support.samples import picture, text

PREFIX: Final = "/api/v1/upload"
LIMIT: Final = 10 * 1024**2
PDF: Final = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
SHOWN: Final = {
    *("file_id", "filename", "file_url", "file_size"),
    *("content_type", "upload_timestamp", "etag"),
}
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_KEY: Final = re.compile(
    r"uploads/\d{4}/\d\d/\d\d/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-example\.jpg"
)
Encoding = Callable[[str], str]


@pytest.fixture
def client(clients: Clients) -> Api:
    return clients()


def said(response: requests.Response, status: int) -> Any:
    told = f"{response.request.method} {response.request.path_url}"
    assert response.status_code == status, f"{told}: {response.text[:500]}"
    assert response.headers["Content-Type"] == "application/json"
    return response.json()


def refused(response: requests.Response, status: int) -> Any:
    body = said(response, status)
    assert {"detail", "code"} <= set(body)
    return body["detail"]


def sent(client: Api, content: bytes, filename: str, **said: Any) -> requests.Response:
    answer: requests.Response = client.post(
        f"{PREFIX}/direct", files={"file": (filename, content)}, **said
    )
    return answer


def uploaded(client: Api, content: bytes = PDF, filename: str = "a.pdf") -> dict[str, Any]:
    body: dict[str, Any] = said(sent(client, content, filename), 200)
    return body


def listed(client: Api, **query: str) -> list[str]:
    return [
        each["file_id"] for each in said(client.get(f"{PREFIX}/list", params=query), 200)["files"]
    ]


def test_a_file_is_answered_as_the_document_shows_it(client: Api) -> None:
    content = picture("JPEG")

    body = uploaded(client, content, "example.jpg")

    assert set(body) == SHOWN
    assert _KEY.fullmatch(body["file_id"])
    assert body["file_url"].endswith(f"/{body['file_id']}")
    assert (body["filename"], body["file_size"]) == ("example.jpg", len(content))
    assert body["content_type"] == "image/jpeg"
    assert _TIME.fullmatch(body["upload_timestamp"])
    assert re.fullmatch(r"[0-9a-f]{32}", body["etag"])


@pytest.mark.parametrize("encoding", [lambda key: key, lambda key: quote(key, safe="")])
def test_a_key_is_an_id_with_its_slashes_encoded_or_not(client: Api, encoding: Encoding) -> None:
    file_id = uploaded(client)["file_id"]
    key = encoding(file_id)

    downloaded = client.get(f"{PREFIX}/download/{key}")
    assert (downloaded.status_code, downloaded.content) == (200, PDF)
    assert said(client.get(f"{PREFIX}/download/{key}/url"), 200)["file_id"] == file_id
    assert said(client.get(f"{PREFIX}/metadata/{key}"), 200)["file_id"] == file_id
    said(client.delete(f"{PREFIX}/{key}"), 200)
    assert listed(client) == []


def test_every_file_of_the_caller_has_its_key_for_an_id(client: Api) -> None:
    elsewhere = client.stored(text(), "notes é.txt", folder="a b/c")

    key = elsewhere["s3_key"]

    assert client.get(f"{PREFIX}/download/{key}").content == text()
    assert listed(client) == [key]


def test_a_download_honours_ranges_and_conditions(client: Api) -> None:
    file = uploaded(client)
    path = f"{PREFIX}/download/{file['file_id']}"

    part = client.get(path, headers={"Range": "bytes=0-3"})
    beyond = client.get(path, headers={"Range": "bytes=9999-"})
    known = client.get(path, headers={"If-None-Match": f'"{file["etag"]}"'})
    other = client.get(path, headers={"If-Match": '"other"'})
    head = client.head(path)

    assert (part.status_code, part.content) == (206, PDF[:4])
    assert part.headers["Content-Range"] == f"bytes 0-3/{len(PDF)}"
    assert refused(beyond, 416)
    assert beyond.headers["Content-Range"] == f"bytes */{len(PDF)}"
    assert (known.status_code, known.content) == (304, b"")
    assert refused(other, 412)
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(PDF)))
    assert head.headers["Content-Disposition"] == "inline; filename=a.pdf"
    assert head.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("seconds", [1, 3600, 604800])
def test_a_link_works_without_a_token_for_the_seconds_asked(client: Api, seconds: int) -> None:
    file_id = uploaded(client)["file_id"]

    body = said(client.get(f"{PREFIX}/download/{file_id}/url?expires_in={seconds}"), 200)

    assert set(body) == {"download_url", "file_id", "expires_in"}
    assert (body["file_id"], body["expires_in"]) == (file_id, seconds)
    assert f"X-Amz-Expires={seconds}" in body["download_url"]
    if seconds > 1:
        assert requests.get(body["download_url"], timeout=10).content == PDF


def test_a_link_lives_for_an_hour_unless_said(client: Api) -> None:
    answer = client.get(f"{PREFIX}/download/{uploaded(client)['file_id']}/url")

    assert said(answer, 200)["expires_in"] == 3600
    assert answer.headers["Cache-Control"] == "no-store"


def test_metadata_is_what_the_store_says(client: Api) -> None:
    file = uploaded(client)

    body = said(client.get(f"{PREFIX}/metadata/{file['file_id']}"), 200)

    assert set(body) == {*SHOWN, "last_modified", "metadata"}
    assert {name: body[name] for name in SHOWN} == file
    assert body["metadata"] == {}
    assert _TIME.fullmatch(body["last_modified"])
    age = SystemClock().now() - datetime.fromisoformat(body["last_modified"])
    assert abs(age) < timedelta(minutes=1)


def test_a_list_is_of_the_callers_keys_in_order(clients: Clients) -> None:
    mine, other = clients(), clients("bob")
    keys = [uploaded(mine)["file_id"] for _ in range(3)]
    uploaded(other)

    body = said(mine.get(f"{PREFIX}/list?prefix=uploads&limit=100"), 200)

    assert [each["file_id"] for each in body["files"]] == sorted(keys)
    assert (body["count"], body["next_start_after"]) == (3, None)
    assert all(set(each) == SHOWN for each in body["files"])
    assert len(listed(clients("root", scope="admin"))) == 4


def test_a_list_goes_on_where_it_ended(client: Api) -> None:
    keys = sorted(uploaded(client)["file_id"] for _ in range(5))

    pages: list[list[str]] = []
    after: str | None = ""
    while after is not None:
        body = said(client.get(f"{PREFIX}/list?limit=2&start_after={after}"), 200)
        pages.append([each["file_id"] for each in body["files"]])
        after = body["next_start_after"]

    assert pages == [keys[:2], keys[2:4], keys[4:]]


def test_a_prefix_means_itself(client: Api) -> None:
    key = uploaded(client)["file_id"]

    for prefix in ("", "u", "uploads/", key[:19], key):
        assert listed(client, prefix=prefix) == [key], prefix
    for prefix in ("Uploads", "uploads_", "%", "uploads/%", "_ploads", "/", key + "x", "\\"):
        assert listed(client, prefix=prefix) == [], prefix


def test_a_deleted_file_is_gone_for_good(client: Api, books: Books) -> None:
    file_id = uploaded(client)["file_id"]
    link = said(client.get(f"{PREFIX}/download/{file_id}/url"), 200)["download_url"]

    body = said(client.delete(f"{PREFIX}/{file_id}"), 200)

    assert body == {"message": "File deleted successfully", "file_id": file_id}
    assert requests.get(link, timeout=10).status_code == 404
    for path in (f"download/{file_id}", f"download/{file_id}/url", f"metadata/{file_id}"):
        assert refused(client.get(f"{PREFIX}/{path}"), 404) == "File not found"
    assert refused(client.delete(f"{PREFIX}/{file_id}"), 404) == "File not found"
    assert listed(client) == []
    assert books.count("objects", key=file_id) == 0


def test_a_file_that_is_hidden_is_not_there(client: Api) -> None:
    file_id = uploaded(client)["file_id"]
    [row] = client.get("/api/v1/files").json()["items"]

    client.delete(f"/api/v1/files/{row['id']}")

    assert listed(client) == []
    assert refused(client.get(f"{PREFIX}/download/{file_id}"), 404) == "File not found"


def test_another_users_key_is_of_nothing(clients: Clients) -> None:
    file_id = uploaded(clients())["file_id"]

    for other in (clients("bob"), clients(tenant="t-of-nobody")):
        for path in (f"download/{file_id}", f"download/{file_id}/url", f"metadata/{file_id}"):
            assert refused(other.get(f"{PREFIX}/{path}"), 404) == "File not found"
        assert refused(other.delete(f"{PREFIX}/{file_id}"), 404) == "File not found"
        assert listed(other) == []
    assert listed(clients()) == [file_id]


def test_a_file_that_is_too_large_is_refused_in_the_documents_words(
    client: Api, books: Books
) -> None:
    fits = sent(client, PDF.ljust(LIMIT, b"\n"), "a.pdf")
    over = sent(client, PDF.ljust(LIMIT + 1, b"\n"), "a.pdf")
    much_over = sent(client, PDF.ljust(2 * LIMIT, b"\n"), "a.pdf")

    assert said(fits, 200)["file_size"] == LIMIT
    for answer in (over, much_over):
        assert refused(answer, 413) == f"File too large. Maximum size: {LIMIT} bytes"
    assert len(listed(client)) == 1
    assert books.strays() == []


@pytest.mark.parametrize(
    ("filename", "content"),
    [
        ("notes.txt", text()),
        ("photo.webp", picture("WEBP")),
        ("a.pdf", b"MZ\x90\x00" + bytes(200)),
        ("run.exe", PDF),
        ("page.pdf", b"<html><script>alert(1)</script></html>"),
    ],
)
def test_a_type_that_is_not_allowed_is_refused_in_the_documents_words(
    client: Api, filename: str, content: bytes
) -> None:
    answer = sent(client, content, filename)

    assert refused(answer, 415) == "File type not allowed"
    assert "application/pdf" in answer.json()["allowed"]
    assert listed(client) == []


def test_a_picture_that_is_none_is_refused_after_its_job(client: Api) -> None:
    broken = picture("PNG")[:60]

    answer = sent(client, broken, "photo.png")

    assert refused(answer, 422)
    assert answer.json()["code"] == "image_broken"
    assert listed(client) == []


def test_an_empty_file_is_refused(client: Api) -> None:
    assert refused(sent(client, b"", "a.pdf"), 422) == "The file is empty."


def test_a_form_without_its_file_is_refused_as_fastapi_does(client: Api) -> None:
    [fault] = refused(client.post(f"{PREFIX}/direct", files={"other": (None, "text")}), 422)

    assert set(fault) == {"type", "loc", "msg"}
    assert fault["loc"] == ["body", "file"]
    assert isinstance(refused(client.post(f"{PREFIX}/direct", json={}), 400), str)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("list?limit=0", "limit"),
        ("list?limit=1001", "limit"),
        ("list?limit=many", "limit"),
        ("list?prefix=%00", "prefix"),
        ("list?start_after=a%00", "start_after"),
        ("download/a/url?expires_in=0", "expires_in"),
        ("download/a/url?expires_in=604801", "expires_in"),
        ("download/a/url?expires_in=-1", "expires_in"),
        ("download/a/url?expires_in=soon", "expires_in"),
    ],
)
def test_a_query_that_is_out_of_bounds_is_refused_as_fastapi_does(
    client: Api, path: str, field: str
) -> None:
    [fault] = refused(client.get(f"{PREFIX}/{path}"), 422)

    assert fault["loc"] == ["query", field]
    assert fault["msg"]


@pytest.mark.parametrize(
    "key",
    [
        "nothing",
        "uploads/2024/01/15/",
        "uploads//x",
        "%00",
        "uploads%2F%00",
        "a%0Ab",
        "%2e%2e/%2e%2e/etc/passwd",
        "é",
        "%ff%fe",
        "'%20OR%20'1'='1",
        "x" * 3000,
    ],
)
def test_a_key_of_nothing_is_a_404(client: Api, key: str) -> None:
    assert refused(client.get(f"{PREFIX}/download/{key}"), 404)
    assert refused(client.get(f"{PREFIX}/metadata/{key}"), 404)
    assert refused(client.delete(f"{PREFIX}/{key}"), 404)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "direct", 405),
        ("PUT", "list", 405),
        ("GET", "", 404),
        ("POST", "else/where", 405),
        ("GET", "download/", 405),
    ],
)
def test_what_is_not_there_is_said_in_fastapis_shape(
    client: Api, method: str, path: str, status: int
) -> None:
    assert refused(client.request(method, f"{PREFIX}/{path}"), status)


def test_nobody_is_refused_everywhere_but_at_the_health_check(client: Api) -> None:
    client.headers.pop("Authorization")

    for method, path in (
        ("POST", "direct"),
        ("GET", "download/a"),
        ("GET", "download/a/url"),
        ("GET", "metadata/a"),
        ("GET", "list"),
        ("DELETE", "a"),
    ):
        answer = client.request(method, f"{PREFIX}/{path}")
        assert refused(answer, 401)
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert said(client.get(f"{PREFIX}/health"), 200) == {"status": "healthy", "s3_enabled": True}


def test_a_token_without_the_scope_is_refused(clients: Clients) -> None:
    reader = clients(scope="files:read")

    assert refused(sent(reader, PDF, "a.pdf"), 403)
    key = uploaded(clients())["file_id"]
    assert refused(reader.delete(f"{PREFIX}/{key}"), 403)
    assert said(clients(scope="files:delete").delete(f"{PREFIX}/{key}"), 200)


def test_a_repeat_with_an_idempotency_key_is_one_file(client: Api) -> None:
    named = {"Idempotency-Key": "once"}

    first = said(sent(client, PDF, "a.pdf", headers=named), 200)
    again = said(sent(client, PDF, "a.pdf", headers=named), 200)

    assert again == first
    assert listed(client) == [first["file_id"]]


def test_the_canonical_paths_beside_it_keep_their_own_shape(client: Api) -> None:
    answer = client.get("/api/v1/uploads/nothing")

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
