"""Bytes out again: whole, in part, under a condition, and under a name that does no harm."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote
from uuid import uuid4

import pytest
import requests

from tests.e2e.manners import Manners
from tests.support.api import Api, Body, answered, refused
from tests.support.fixtures import a_caller
from tests.support.pictures import a_jpeg
from tests.support.samples import archive, csv, pdf, text
from tests.support.stack import Stack
from tests.support.waiting import eventually

CONTENT: Final = bytes(range(32, 127)) * 100
LENGTH: Final = len(CONTENT)


@pytest.fixture(scope="module")
def owner(stack: Stack, manners: Manners) -> Iterator[Api]:
    with a_caller(stack, manners, "owner", tenant=f"t-{uuid4().hex[:12]}") as api:
        yield api


@pytest.fixture(scope="module")
def file(owner: Api) -> Body:
    return owner.stored(CONTENT, "table.txt")


@pytest.fixture(scope="module")
def public(owner: Api) -> Body:
    return owner.stored(CONTENT, "public table.txt", is_public=True)


def test_a_whole_file_comes_with_headers_that_make_it_safe(owner: Api, file: Body) -> None:
    answer = owner.download(file["id"])

    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["Content-Type"].partition(";")[0] == "text/plain"
    assert answer.headers["ETag"] == f'"{file["etag"]}"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"].startswith("private")
    assert answer.headers["Last-Modified"]


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=100-199", 100, 199),
        ("bytes=9000-", 9000, LENGTH - 1),
        (f"bytes={LENGTH - 1}-", LENGTH - 1, LENGTH - 1),
        ("bytes=-1", LENGTH - 1, LENGTH - 1),
        ("bytes=-500", LENGTH - 500, LENGTH - 1),
        (f"bytes=-{LENGTH * 2}", 0, LENGTH - 1),
        ("bytes=9000-999999", 9000, LENGTH - 1),
        ("bytes=0-", 0, LENGTH - 1),
    ],
)
def test_a_range_is_answered_with_just_that(
    owner: Api, file: Body, asked: str, first: int, last: int
) -> None:
    answer = owner.download(file["id"], Range=asked)

    assert (answer.status_code, answer.content) == (206, CONTENT[first : last + 1])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{LENGTH}"
    assert answer.headers["Content-Length"] == str(last - first + 1)


@pytest.mark.parametrize("asked", [f"bytes={LENGTH}-", f"bytes={LENGTH}-{LENGTH + 5}", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused_with_the_length(
    owner: Api, file: Body, asked: str
) -> None:
    answer = owner.download(file["id"], Range=asked)

    refused(answer, 416)
    assert answer.headers["Content-Range"] == f"bytes */{LENGTH}"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-9,20-29",
        "bytes=0-0,-1",
        "bytes=" + ",".join(f"{n}-{n}" for n in range(200)),
        "lines=1-2",
        "bytes=a-b",
        "bytes=5-2",
        "bytes=--5",
        "bytes 0-9",
        "bytes=",
        "0-9",
        "bytes=0-" + "9" * 5000,
        "bytes=" + "9" * 5000 + "-",
    ],
)
def test_any_other_range_is_answered_with_the_whole_or_refused(
    owner: Api, file: Body, asked: str
) -> None:
    answer = owner.download(file["id"], Range=asked)

    assert answer.status_code == 416 or answer.content == CONTENT


def test_if_range_asks_for_a_part_of_what_is_still_the_same(owner: Api, file: Body) -> None:
    def asked(condition: str) -> int:
        answer = owner.download(file["id"], Range="bytes=0-9", If_Range=condition)
        assert answer.content == (CONTENT[:10] if answer.status_code == 206 else CONTENT)
        return answer.status_code

    modified = owner.download(file["id"]).headers["Last-Modified"]
    assert asked(f'"{file["etag"]}"') == 206
    assert asked(modified) == 206
    assert asked('"another"') == 200
    assert asked(f'W/"{file["etag"]}"') == 200
    assert asked("Mon, 01 Jan 2001 00:00:00 GMT") == 200
    assert asked("nonsense") == 200


def test_what_the_client_has_already_is_not_sent_again(owner: Api, file: Body) -> None:
    for condition in (f'"{file["etag"]}"', f'W/"{file["etag"]}"', f'"x", "{file["etag"]}"', "*"):
        answer = owner.download(file["id"], If_None_Match=condition)

        assert (answer.status_code, answer.content) == (304, b""), condition
        assert answer.headers["ETag"] == f'"{file["etag"]}"'
    assert owner.download(file["id"], If_None_Match='"another"').status_code == 200


def test_head_tells_all_but_the_bytes(owner: Api, file: Body) -> None:
    path = f"/api/v1/files/{file['id']}/download"
    whole = owner.get(path).headers

    answer = owner.head(path)

    assert (answer.status_code, answer.content) == (200, b"")
    for name in ("Content-Length", "Content-Type", "ETag", "Content-Disposition", "Last-Modified"):
        assert answer.headers[name] == whole[name], name
    assert owner.head(path, headers={"If-None-Match": whole["ETag"]}).status_code == 304


def test_a_thumbnail_is_cached_by_its_etag(owner: Api) -> None:
    url = owner.stored(a_jpeg(200, 100), "beach.jpg")["thumbnails"][0]["url"]
    etag = owner.get(url).headers["ETag"]

    again = owner.get(url, headers={"If-None-Match": etag})

    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("content", "filename", "how", "content_type"),
    [
        (text(), "notes.txt", "inline", "text/plain"),
        (pdf(), "paper.pdf", "inline", "application/pdf"),
        (a_jpeg(32, 32), "beach.jpg", "inline", "image/jpeg"),
        (csv(), "table.csv", "attachment", "application/octet-stream"),
        (archive(), "bundle.zip", "attachment", "application/zip"),
    ],
)
def test_only_what_no_script_hides_in_is_shown_inline(
    owner: Api, content: bytes, filename: str, how: str, content_type: str
) -> None:
    file_id = owner.stored(content, filename)["id"]

    answer = owner.download(file_id)

    assert answer.headers["Content-Disposition"].partition(";")[0] == how
    assert answer.headers["Content-Type"].partition(";")[0] == content_type


def test_who_wants_an_attachment_gets_one(owner: Api, file: Body) -> None:
    path = f"/api/v1/files/{file['id']}/download"

    said = {
        flag: owner.get(f"{path}?as_attachment={flag}").headers["Content-Disposition"][:6]
        for flag in ("true", "1", "false", "0")
    }

    assert said == {"true": "attach", "1": "attach", "false": "inline", "0": "inline"}
    refused(owner.get(f"{path}?as_attachment=perhaps"), 422)


@pytest.mark.parametrize(
    "filename",
    [
        "报告.txt",
        "café.txt",
        "Straße №7 – «Plan».txt",
        "🏖️ beach.txt",
        'quo"ted.txt',
        "semi;colon=1.txt",
        "per%cent%20.txt",
        "it's.txt",
        "back\\slash.txt",
        "a\r\nSet-Cookie: x=1.txt",
        'a";filename="b.html.txt',
        "a\u2028b\u2029c\x85d.txt",
        "tab\tand\x1bescape.txt",
        "<img src=x onerror=alert(1)>.txt",
        ";.txt",
    ],
)
def test_any_name_comes_back_in_a_header_that_is_one_header(owner: Api, filename: str) -> None:
    opened = owner.open_upload(filename, size=3)
    answered(owner.put_chunk(opened["id"], 0, b"abc"), 200)
    owner.ended(owner.complete(opened["id"])["id"])

    answer = owner.get(f"/api/v1/files/{opened['id']}/download?as_attachment=true")

    stored = owner.file(opened["id"])["filename"]
    assert stored == opened["filename"]
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in stored)
    assert (answer.status_code, answer.content) == (200, b"abc")
    assert "Set-Cookie" not in answer.headers
    assert suggested(answer.headers["Content-Disposition"]) == stored
    link = answered(
        owner.get(f"/api/v1/files/{opened['id']}/presigned-url?force_download=true"), 200
    )
    linked = requests.get(link["url"], timeout=10)
    assert (linked.status_code, linked.content) == (200, b"abc")
    assert suggested(linked.headers["Content-Disposition"]) == stored


def test_a_public_file_needs_no_token(public: Body, anybody: Api) -> None:
    answer = anybody.get(public["url"])
    part = anybody.get(public["url"], headers={"Range": "bytes=10-19"})
    known = anybody.get(public["url"], headers={"If-None-Match": answer.headers["ETag"]})

    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert (part.status_code, part.content) == (206, CONTENT[10:20])
    assert known.status_code == 304
    assert anybody.head(public["url"]).headers["Content-Length"] == str(LENGTH)
    assert answer.headers["Cache-Control"].startswith("public")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert suggested(answer.headers["Content-Disposition"]) == "public table.txt"


def test_a_private_file_is_not_public(file: Body, anybody: Api) -> None:
    refused(anybody.get(f"/public/{file['id']}/table.txt"), 404, "file_not_found")
    refused(anybody.get(f"/api/v1/files/{file['id']}/download"), 401)


def test_a_public_file_that_was_deleted_is_gone_for_everybody(alice: Api, anybody: Api) -> None:
    url = alice.stored(text(), is_public=True)["url"]
    alice.delete(f"/api/v1/files/{url.split('/')[-2]}")

    refused(anybody.get(url), 404, "file_not_found")


def test_a_private_file_says_where_it_is_and_does_not_open(alice: Api) -> None:
    url = alice.stored(text())["url"]

    assert requests.get(url, timeout=10).status_code == 403


def test_a_file_that_expires_vanishes(alice: Api, anybody: Api) -> None:
    file = alice.stored(text(), expires_in=3, is_public=True)
    path = f"/api/v1/files/{file['id']}"

    assert alice.download(file["id"]).content == text()

    eventually(lambda: alice.get(path).status_code == 404, timeout=8)
    for rest in ("/download", "/metadata", "/presigned-url"):
        refused(alice.get(path + rest), 404, "file_not_found")
    refused(anybody.get(file["url"]), 404, "file_not_found")
    assert answered(alice.get("/api/v1/files?offset=0"), 200)["total"] == 0
    assert alice.delete(f"{path}?hard_delete=true").status_code == 204


def suggested(disposition: str) -> str:
    """Return the name a browser would take (RFC 6266): `filename*` before `filename`."""
    extended = re.search(r"filename\*=UTF-8''([^;]+)", disposition)
    if extended:
        return unquote(extended[1])
    plain = re.fullmatch(
        r'(?:attachment|inline); filename=(?:"((?:[^"\\]|\\.)*)"|([^;"]+))', disposition
    )
    assert plain, disposition
    return re.sub(r"\\(.)", r"\1", plain[1]) if plain[1] is not None else plain[2]
