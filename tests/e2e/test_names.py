"""Names and folders: kept as data, never followed as paths."""

import re
import unicodedata
from typing import Final
from urllib.parse import quote

import pytest

from tests.e2e.books import Books
from tests.support.api import Api, answered, pointers, refused
from tests.support.fixtures import Dial, Discreet
from tests.support.samples import text

GOOD: Final = {
    "notes.txt": "notes.txt",
    "../../etc/passwd": "passwd",
    "..\\..\\x": "x",
    "/etc/passwd": "passwd",
    "C:\\Windows\\win.txt": "win.txt",
    "\\\\server\\share\\a.txt": "a.txt",
    "a/b/c.txt": "c.txt",
    "..%2f..%2fa.txt": "..%2f..%2fa.txt",
    "photo\u202etxt.gpj.txt": "phototxt.gpj.txt",
    "a\u200bb\ufeffc.txt": "abc.txt",
    "cafe\u0301.txt": "café.txt",
    "café.txt": "café.txt",
    "CON": "CON",
    "nul.txt": "nul.txt",
    "-rf": "-rf",
    "~": "~",
    ".hidden": ".hidden",
    "  spaced  .txt  ": "spaced  .txt",
    "a\tb\nc\r\nd.txt": "abcd.txt",
    "🏖️ été.txt": "🏖️ été.txt",
    "报告.txt": "报告.txt",
    '<img src=x onerror="alert(1)">.txt': '<img src=x onerror="alert(1)">.txt',
    "'; DROP TABLE files; --.txt": "'; DROP TABLE files; --.txt",
    "{{7*7}}${7*7}%(x)s.txt": "{{7*7}}${7*7}%(x)s.txt",
    "x" * 251 + ".txt": "x" * 251 + ".txt",
    "é" * 125 + ".txt": "é" * 125 + ".txt",
}
BAD: Final = (
    "",
    " ",
    ".",
    "..",
    "...",
    "../..",
    "/",
    "\\",
    "a/",
    "dir\\",
    ". . .",
    "\u202e",
    "\u200b\ufeff",
    "x" * 256,
    "x" * 300 + ".txt",
    "é" * 128,
    "🏖" * 64,
)


@pytest.mark.parametrize(("said", "kept"), GOOD.items(), ids=lambda name: repr(name)[:40])
def test_a_name_is_kept_without_what_could_harm(alice: Api, said: str, kept: str) -> None:
    opened = alice.open_upload(said, size=len(text()))
    answered(alice.put_chunk(opened["id"], 0, text()), 200)
    file = alice.ended(alice.complete(opened["id"])["id"])["file"]

    assert opened["filename"] == file["filename"] == kept
    assert re.fullmatch(rf"\d{{4}}/\d\d/\d\d/{file['id']}_[A-Za-z0-9._-]{{1,120}}", file["s3_key"])
    assert alice.download(file["id"]).content == text()


@pytest.mark.parametrize("said", BAD, ids=lambda name: repr(name)[:40])
def test_a_name_of_which_nothing_is_left_or_too_much_is_refused(
    alice: Api, books: Books, said: str
) -> None:
    with books.unchanged():
        problem = refused(alice.post("/api/v1/uploads", json={"filename": said}), 422)
        refused(alice.submit(text(), said), 422)

    assert pointers(problem) == {"/filename"}


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ('filename="../../etc/passwd"', "passwd"),
        ('filename="..\\\\..\\\\x.txt"', "x.txt"),
        ("filename*=UTF-8''%2e%2e%2fb.txt", "b.txt"),
        ("filename=\"a.txt\"; filename*=UTF-8''caf%C3%A9.txt", "café.txt"),
        ("filename*=UTF-8''a%0d%0aSet-Cookie%3a%20x.txt", "aSet-Cookie: x.txt"),
        ("filename*=UTF-8''%E2%80%AEtxt.gpj.txt", "txt.gpj.txt"),
        ("filename=plain.txt", "plain.txt"),
        ('filename="quo\\"ted.txt"', 'quo"ted.txt'),
    ],
)
def test_a_name_in_a_form_is_no_path_either(alice: Api, dial: Dial, said: str, kept: str) -> None:
    form = (
        f'--b\r\nContent-Disposition: form-data; name="file"; {said}\r\n\r\n'.encode()
        + text()
        + b"\r\n--b--\r\n"
    )

    with dial() as wire:
        head = ("Content-Type: multipart/form-data; boundary=b", f"Content-Length: {len(form)}")
        wire.head("POST", "/api/v1/files/upload", alice.token, *head)
        wire.send(form)
        answer = wire.answer()

    assert (answer.status, answer.json()["filename"]) == (201, kept)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("a", "a"),
        ("a/b/c", "a/b/c"),
        ("/a", "a"),
        ("a/", "a"),
        ("a//b", "a/b"),
        ("./a/./b", "a/b"),
        ("/", None),
        ("", None),
        ("été 2026", "été 2026"),
        ("cafe\u0301", "café"),
        ("a\u202eb", "ab"),
        ("thumbnails", "thumbnails"),
        ("%2e%2e", "%2e%2e"),
        ("C:", "C:"),
    ],
)
def test_a_folder_is_kept_clean(alice: Api, said: str, kept: str | None) -> None:
    file = alice.stored(text(), folder=said)

    assert file["folder"] == kept
    assert file["s3_key"].endswith(f"/{file['id']}_notes.txt")
    assert not file["s3_key"].startswith("/")
    assert ".." not in file["s3_key"].replace("...", "").split("/")
    assert alice.download(file["id"]).content == text()


@pytest.mark.parametrize(
    "said",
    [
        "..",
        "...",
        "a/.../b",
        "../x",
        "a/../b",
        "a/..",
        "/../x",
        "a\\..\\b",
        "\\x",
        "a/ /b",
        " a",
        "a/b ",
        "é" * 300,
    ],
)
def test_a_folder_that_leads_elsewhere_is_refused(alice: Api, books: Books, said: str) -> None:
    with books.unchanged():
        asked = {"filename": "notes.txt", "folder": said}
        problem = refused(alice.post("/api/v1/uploads", json=asked), 422, "invalid_request")
        refused(alice.submit(text(), fields={"folder": said}), 422, "invalid_request")

    assert pointers(problem) == {"/folder"}


def test_two_files_of_one_name_lie_beside_each_other(alice: Api, bob: Api) -> None:
    files = [api.stored(text(), "same.txt", folder="same") for api in (alice, alice, bob)]

    assert len({file["s3_key"] for file in files}) == 3


def test_the_two_spellings_of_an_accent_are_one_name(alice: Api) -> None:
    composed = unicodedata.normalize("NFC", "é.txt")
    apart = unicodedata.normalize("NFD", "é.txt")

    names = {alice.open_upload(name)["filename"] for name in (composed, apart)}

    assert names == {composed}


def test_a_public_address_carries_the_name_and_does_not_need_it(alice: Api, anybody: Api) -> None:
    file = alice.stored(text(), "été & <été>?#.txt", is_public=True)

    assert file["url"].endswith(f"/public/{file['id']}/{quote('été & <été>?#.txt', safe='')}")
    assert anybody.get(file["url"]).content == text()
    assert anybody.get(f"/public/{file['id']}/another-name").content == text()
    assert anybody.get(f"/public/{file['id']}/").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/public/../../etc/passwd",
        "/public/%2e%2e/%2e%2e/etc/passwd",
        "/public/..%2f..%2fetc%2fpasswd/x",
        "/docs/../../../../etc/passwd",
        "/docs/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/docs/..%2f..%2f..%2fetc%2fpasswd",
        "/docs//etc/passwd",
        "/objects/..%2f..%2fsluice.db",
        "/static/../worker/config",
        "/api/v1/files/..%2f..%2f..%2fetc%2fpasswd/download",
        "//etc/passwd",
        "/%00",
        "/docs/%00",
        "/docs/index.html%00.png",
        "/%ff%fe",
    ],
)
def test_no_address_leads_out(alice: Api, dial: Dial, discreet: Discreet, path: str) -> None:
    with dial() as wire:
        wire.head("GET", path, alice.token)
        answer = discreet(wire.answer())

    assert answer.status in {301, 302, 308, 400, 404}, answer.body[:200]
    assert b"root:" not in answer.body
