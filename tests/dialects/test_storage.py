"""`POST /api/v1/storage/upload` as its document shows it: the envelope, the names, the refusals."""

import json
import re
from typing import Any, Final
from uuid import uuid4

import pytest
import requests

from tests.dialects.conftest import Clients
from tests.support.api import Api
from tests.support.samples import mp3, picture, text
from tests.support.samples_video import mov

PATH: Final = "/api/v1/storage/upload"
CUSTOMER: Final = uuid4().int % 10**9
FIELDS: Final = {"category": "image", "action": "upload", "customerId": str(CUSTOMER)}


@pytest.fixture
def client(clients: Clients) -> Api:
    return clients("alice", tenant=CUSTOMER)


def upload(client: Api, content: bytes, filename: str, **fields: str | None) -> requests.Response:
    said = {name: value for name, value in (FIELDS | fields).items() if value is not None}
    return client.post(PATH, files={"file": (filename, content)}, data=said)


def enveloped(response: requests.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    body: dict[str, Any] = response.json()
    assert set(body) == {"code", "success", "message", "data", "meta"}
    assert (body["code"], body["success"]) == (status, status < 400)
    return body


def total(client: Api) -> int:
    count: int = client.get("/api/v1/files?offset=0").json()["total"]
    return count


def test_a_file_is_answered_in_the_envelope_and_anybody_may_read_it(client: Api) -> None:
    content = picture("JPEG")

    body = enveloped(upload(client, content, "file.jpg"), 200)

    data = body["data"]
    assert body["message"] == "File uploaded successfully"
    assert set(data) == {"url", "result", "filename"}
    assert data["result"] == data["url"]
    assert re.fullmatch(r"\d{8}_[0-9a-f]{8}_file\.jpg", data["filename"])
    assert body["meta"] == {
        "category": "image",
        "action": "upload",
        "extension": "jpg",
        "content_type": "image/jpeg",
    }
    assert requests.get(data["url"], timeout=10).content == content


def test_files_lie_where_their_customers_files_always_lay(client: Api) -> None:
    body = enveloped(upload(client, text(), "notes.txt"), 200)

    [file] = client.get("/api/v1/files").json()["items"][:1]
    assert file["s3_key"] == f"{CUSTOMER}/assets/chat/1/{body['data']['filename']}"


@pytest.mark.parametrize(
    ("filename", "safe"),
    [
        ("my file (1).txt", "my_file__1_.txt"),
        ("naïve.txt", "na_ve.txt"),
        ("a..b.txt", "a..b.txt"),
        ("ok-1_2.txt", "ok-1_2.txt"),
    ],
)
def test_names_are_made_safe_by_the_documented_pattern(
    client: Api, filename: str, safe: str
) -> None:
    body = enveloped(upload(client, text(), filename), 200)

    assert body["data"]["filename"].partition("_")[2].partition("_")[2] == safe


def test_a_forced_name_is_kept_and_given_once(client: Api) -> None:
    name, forced = f"{uuid4().hex}.txt", json.dumps({"force_filename": True})

    body = enveloped(upload(client, text(), name, userInput=forced), 200)
    again = enveloped(upload(client, text(), name, userInput=forced), 409)

    assert body["data"]["filename"] == name
    assert again["data"] is None


def test_what_is_said_of_the_file_is_kept_with_it(client: Api) -> None:
    asset, settings = {"source": "tts"}, {"voice": "Zoë"}

    upload(
        client,
        text(),
        "notes.txt",
        assetInput=json.dumps(asset),
        userSettings=json.dumps(settings),
    )

    [file] = client.get("/api/v1/files").json()["items"][:1]
    assert file["metadata"] == {
        "category": "image",
        "action": "upload",
        "assetInput": asset,
        "userSettings": settings,
    }


@pytest.mark.parametrize(
    ("filename", "content", "content_type"),
    [
        ("notes.txt", b"use <b> here", "text/plain"),
        ("notes.txt", b"a < b", "text/plain"),
        ("notes.txt", b"the <script> of a page", "text/plain"),
        ("song.mp3", bytes(700) + mp3(), "audio/mpeg"),
        ("clip.mp4", mov(), "video/quicktime"),
    ],
)
def test_what_is_unusual_and_good_is_taken(
    client: Api, filename: str, content: bytes, content_type: str
) -> None:
    body = enveloped(upload(client, content, filename), 200)

    shown = requests.get(body["data"]["url"], timeout=10)
    assert body["meta"]["content_type"] == content_type
    assert shown.content == content
    assert shown.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("nothing", ["", " ", "null", "{}", "[]", '""'])
def test_a_field_that_says_nothing_is_as_good_as_none(client: Api, nothing: str) -> None:
    fields = dict.fromkeys(("userInput", "userSettings", "assetInput"), nothing)

    enveloped(upload(client, text(), "notes.txt", **fields), 200)

    [file] = client.get("/api/v1/files").json()["items"][:1]
    assert file["metadata"] == {"category": "image", "action": "upload"}


def test_fields_may_be_of_any_kind_and_as_large_as_the_form(client: Api) -> None:
    settings, assets = {"prompt": "é" * 20_000}, [{"id": 1}, "two", None]

    upload(
        client,
        text(),
        "notes.txt",
        userSettings=json.dumps(settings, ensure_ascii=False),
        assetInput=json.dumps(assets),
    )

    [file] = client.get("/api/v1/files").json()["items"][:1]
    assert (file["metadata"]["userSettings"], file["metadata"]["assetInput"]) == (settings, assets)


def test_fields_larger_than_a_form_may_have_are_refused(client: Api) -> None:
    large, before = json.dumps({"prompt": "x" * 70_000}), total(client)

    enveloped(upload(client, text(), "notes.txt", userSettings=large), 413)

    assert total(client) == before


@pytest.mark.parametrize(
    ("said", "is_forced"),
    [
        *((said, True) for said in (True, "true", "True", 1, "1", "yes")),
        *((said, False) for said in (False, "false", 0, "0", "no", None, "")),
    ],
)
def test_a_name_is_forced_by_whatever_says_yes(client: Api, said: Any, is_forced: bool) -> None:
    name = f"{uuid4().hex}.txt"

    body = enveloped(
        upload(client, text(), name, userInput=json.dumps({"force_filename": said})), 200
    )

    assert (body["data"]["filename"] == name) == is_forced


def test_user_input_that_is_no_object_forces_no_name(client: Api) -> None:
    name = f"{uuid4().hex}.txt"

    body = enveloped(upload(client, text(), name, userInput='["force_filename"]'), 200)

    assert body["data"]["filename"] != name


@pytest.mark.parametrize(
    ("filename", "content", "fields"),
    [
        ("notes.txt", b"", {}),
        ("page.html", b"<html></html>", {}),
        ("notes", b"text", {}),
        ("file.jpg", b"MZ\x90\x00" + bytes(200), {}),
        ("notes.txt", b"text", {"userInput": "{"}),
        ("notes.txt", b"text", {"userSettings": "voice=Zoe"}),
        ("notes.txt", b"text", {"assetInput": '{"size": NaN}'}),
        ("notes.txt", b"text", {"assetInput": '{"name": "\\u0000"}'}),
        ("notes.txt", b"text", {"assetInput": '"\\ud800"'}),
        ("notes.txt", b"text", {"assetInput": "[" * 70 + "]" * 70}),
        ("notes.txt", b"text", {"userInput": '{"force_filename": "perhaps"}'}),
        ("notes.txt", b"text", {"userInput": '{"force_filename": 2}'}),
        ("notes.txt", b"text", {"category": None}),
        ("notes.txt", b"text", {"action": " "}),
        ("notes.txt", b"text", {"customerId": None}),
        ("notes.txt", b"text", {"customerId": "acme"}),
    ],
)
def test_what_is_wrong_is_a_400_and_leaves_nothing(
    client: Api, filename: str, content: bytes, fields: dict[str, str | None]
) -> None:
    before = total(client)

    body = enveloped(upload(client, content, filename, **fields), 400)

    assert body["data"] is None
    assert total(client) == before


def test_another_customers_id_is_refused(client: Api) -> None:
    enveloped(upload(client, text(), "notes.txt", customerId=str(CUSTOMER + 1)), 403)


def test_nobody_is_refused_in_the_envelope(client: Api) -> None:
    client.headers.pop("Authorization")

    enveloped(upload(client, text(), "notes.txt"), 401)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", PATH, 405), ("GET", "/api/v1/storage/else", 404)]
)
def test_what_is_not_there_is_said_in_the_envelope(
    client: Api, method: str, path: str, status: int
) -> None:
    enveloped(client.request(method, path), status)


@pytest.mark.parametrize("place", ["form", "query"])
def test_a_forced_name_is_given_again_to_who_says_that_it_replaces(client: Api, place: str) -> None:
    name, forced = f"{uuid4().hex}.txt", json.dumps({"force_filename": True})
    first = enveloped(upload(client, b"the first", name, userInput=forced), 200)
    fields = FIELDS | {"userInput": forced} | ({"replace": "true"} if place == "form" else {})
    path = PATH if place == "form" else f"{PATH}?replace=true"
    answer = client.post(path, files={"file": (name, b"the second")}, data=fields)
    body = enveloped(answer, 200)

    assert body["data"]["filename"] == name
    assert body["data"]["url"] == first["data"]["url"]
    assert requests.get(body["data"]["url"], timeout=10).content == b"the second"


def test_an_address_ends_in_the_name_and_a_cache_asks_whether_it_is_still_that_file(
    client: Api,
) -> None:
    name, forced = f"{uuid4().hex}.txt", json.dumps({"force_filename": True})
    url = enveloped(upload(client, b"the first", name, userInput=forced), 200)["data"]["url"]
    first = requests.get(url, timeout=10)
    known = {"If-None-Match": first.headers["ETag"]}
    same = requests.get(url, headers=known, timeout=10)
    upload(client, b"the second", name, userInput=forced, replace="true")
    other = requests.get(url, headers=known, timeout=10)

    assert url.endswith(f"/public/{CUSTOMER}/assets/chat/1/{name}")
    assert first.headers["Cache-Control"] == "public, no-cache"
    assert (same.status_code, other.status_code, other.content) == (304, 200, b"the second")
    assert other.headers["ETag"] != first.headers["ETag"]


def test_only_public_files_of_this_dialect_are_read_by_their_keys(client: Api) -> None:
    url = enveloped(upload(client, text(), "a file.txt"), 200)["data"]["url"]
    [file] = client.get("/api/v1/files").json()["items"][:1]
    base = url.removesuffix(file["s3_key"])
    other = client.post(
        "/api/v1/files/upload",
        files={"file": ("b.txt", text())},
        data={"is_public": "true", "folder": "x/assets/y"},
    ).json()

    assert url.endswith("_a_file.txt")
    assert requests.get(url, timeout=10).status_code == 200
    assert requests.get(f"{base}{other['s3_key']}", timeout=10).status_code == 404
    assert requests.get(f"{base}{file['id']}/a%20file.txt", timeout=10).status_code == 200
    for path in (f"{CUSTOMER}/assets/chat/1/none.txt", f"{file['s3_key']}%00", "a/b/c"):
        assert requests.get(f"{base}{path}", timeout=10).status_code == 404
    client.patch(f"/api/v1/files/{file['id']}", json={"is_public": False})
    assert requests.get(url, timeout=10).status_code == 404


def test_another_user_s_forced_name_is_not_replaced(client: Api, clients: Clients) -> None:
    name, forced = f"{uuid4().hex}.txt", json.dumps({"force_filename": True})
    enveloped(upload(client, b"alice's", name, userInput=forced), 200)
    bob = clients("bob", tenant=CUSTOMER)

    enveloped(upload(bob, b"bob's", name, userInput=forced, replace="true"), 409)


def test_whether_to_replace_is_true_or_false(client: Api) -> None:
    enveloped(upload(client, b"text", "notes.txt", replace="maybe"), 400)
