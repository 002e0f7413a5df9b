"""Bodies that are no JSON, or say what may not be said."""

import json
from typing import Any, Final

import pytest

from tests.e2e.books import Books
from tests.support.api import Api, pointers, refused

OPEN: Final = "/api/v1/uploads"
HOOKS: Final = "/api/v1/webhooks"
NAMED: Final = '{"filename": "notes.txt", '

NO_JSON: Final[dict[str, bytes]] = {
    "nothing": b"",
    "spaces": b"  ",
    "half": b'{"filename": "notes.txt"',
    "words": b"filename=notes.txt",
    "single quotes": b"{'filename': 'notes.txt'}",
    "a comma too many": b'{"filename": "notes.txt",}',
    "two objects": b'{"filename": "a.txt"}{"filename": "b.txt"}',
    "a comment": b'{"filename": "notes.txt"} // mine',
    "an array": b"[]",
    "an array of it": b'[{"filename": "notes.txt"}]',
    "text": b'"notes.txt"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "100,000 arrays": b"[" * 100_000,
    "100,000 arrays, closed": b"[" * 100_000 + b"]" * 100_000,
    "100,000 objects": b'{"a":' * 100_000,
    "NaN": (NAMED + '"size": NaN}').encode(),
    "infinity": (NAMED + '"metadata": {"a": -Infinity}}').encode(),
    "a number beyond all": (NAMED + '"metadata": {"a": 1e400}}').encode(),
    "a number of 5,000 digits": (NAMED + '"size": ' + "9" * 5000 + "}").encode(),
    "a name twice": (NAMED + '"filename": "b.txt"}').encode(),
    "a name twice, deeper": (NAMED + '"metadata": {"a": {"b": 1, "b": 2}}}').encode(),
    "half a character": b'{"filename": "\\ud800.txt"}',
    "half a character, deeper": (NAMED + '"metadata": {"a": ["\\uDFFF"]}}').encode(),
    "half a character as a name": (NAMED + '"metadata": {"\\ud83d": 1}}').encode(),
    "half a character, in bytes": b'{"filename": "\xed\xa0\x80.txt"}',
    "UTF-16": '{"filename": "notes.txt"}'.encode("utf-16"),
    "UTF-16 without a mark": '{"filename": "notes.txt"}'.encode("utf-16-le"),
    "UTF-32": '{"filename": "notes.txt"}'.encode("utf-32"),
    "Latin-1": '{"filename": "café.txt"}'.encode("latin-1"),
    "overlong": b'{"filename": "\xc0\xae.txt"}',
    "a raw line break in text": b'{"filename": "a\nb.txt"}',
    "a raw NUL in text": b'{"filename": "a\0b.txt"}',
    "NULs": bytes(100),
}


@pytest.mark.parametrize("path", [OPEN, HOOKS])
@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON.keys())
def test_what_is_no_json_object_is_refused(
    alice: Api, books: Books, path: str, body: bytes
) -> None:
    with books.unchanged():
        answer = alice.post(path, data=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in {400, 422}, answer.text
    assert answer.json()["type"] == "invalid_request"


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON.keys())
def test_completing_with_what_is_no_json_object_leaves_the_upload_open(
    alice: Api, body: bytes
) -> None:
    opened = alice.open_upload(size=1)
    path = f"{OPEN}/{opened['id']}/complete"

    answer = alice.post(path, data=body, headers={"Content-Type": "application/json"})

    # Nothing in this body is required, so that there may be none; then a chunk is missing.
    assert answer.status_code in ({409} if body in {b"", b"null"} else {400, 422}), answer.text
    assert alice.get(f"{OPEN}/{opened['id']}").json()["state"] == "receiving"


@pytest.mark.parametrize("path", [OPEN, HOOKS])
def test_json_of_two_mebibytes_is_too_large(alice: Api, books: Books, path: str) -> None:
    body = json.dumps({"filename": "notes.txt", "description": "x" * 2 * 1024**2}).encode()

    with books.unchanged():
        answer = alice.post(path, data=body, headers={"Content-Type": "application/json"})

    refused(answer, 413, "too_large")


def test_json_with_a_charset_and_a_character_of_two_escapes_is_fine(alice: Api) -> None:
    body = b'{"filename": "\\ud83c\\udfd6.txt", "metadata": {"\\uD83C\\uDFD6": "\\ud83c\\udfd6"}}'

    answer = alice.post(
        OPEN, data=body, headers={"Content-Type": "application/json; charset=utf-8"}
    )

    assert (answer.status_code, answer.json()["filename"]) == (201, "🏖.txt")


def a_deep_one(levels: int) -> dict[str, Any]:
    """Return an object in an object in an object, so many in all."""
    found: dict[str, Any] = {"end": "ä"}
    for _ in range(levels - 1):
        found = {"n": found}
    return found


WRONG_FIELDS: Final[list[tuple[dict[str, Any], set[str]]]] = [
    ({}, {"/filename"}),
    ({"filename": None}, {"/filename"}),
    ({"filename": 7}, {"/filename"}),
    ({"filename": ["a.txt"]}, {"/filename"}),
    ({"filename": ""}, {"/filename"}),
    ({"filename": "x" * 1025}, {"/filename"}),
    ({"filename": "a\0b.txt"}, {"/filename"}),
    ({"size": "10"}, {"/size"}),
    ({"size": 1.5}, {"/size"}),
    ({"size": True}, {"/size"}),
    ({"size": -1}, {"/size"}),
    ({"size": 2**53 + 1}, {"/size"}),
    ({"size": 10**30}, {"/size"}),
    ({"size": [10]}, {"/size"}),
    ({"chunk_size": 0}, {"/chunk_size"}),
    ({"chunk_size": -1}, {"/chunk_size"}),
    ({"chunk_size": 2**30 + 1}, {"/chunk_size"}),
    ({"size": 10_001, "chunk_size": 1}, {"/chunk_size"}),
    ({"content_type": 5}, {"/content_type"}),
    ({"content_type": "x" * 256}, {"/content_type"}),
    ({"sha256": "abc"}, {"/sha256"}),
    ({"sha256": "g" * 64}, {"/sha256"}),
    ({"sha256": "0" * 64 + "\n"}, {"/sha256"}),
    ({"sha256": "A" * 64}, {"/sha256"}),
    ({"folder": 1}, {"/folder"}),
    ({"folder": "x" * 513}, {"/folder"}),
    ({"folder": "a/../b"}, {"/folder"}),
    ({"description": {"a": 1}}, {"/description"}),
    ({"description": "x" * 2001}, {"/description"}),
    ({"metadata": []}, {"/metadata"}),
    ({"metadata": "a"}, {"/metadata"}),
    ({"metadata": {"a": "x" * 17_000}}, {"/metadata"}),
    ({"metadata": {"a": "\0"}}, {"/metadata"}),
    ({"metadata": {"\0": "a"}}, {"/metadata"}),
    ({"tags": "a,b"}, {"/tags"}),
    ({"tags": {"a": 1}}, {"/tags"}),
    ({"tags": ["a", 1, ""]}, {"/tags/1", "/tags/2"}),
    ({"tags": ["x" * 65]}, {"/tags/0"}),
    ({"tags": ["a"] * 33}, {"/tags"}),
    ({"is_public": "true"}, {"/is_public"}),
    ({"is_public": 1}, {"/is_public"}),
    ({"expires_in": 0}, {"/expires_in"}),
    ({"expires_in": "60"}, {"/expires_in"}),
    ({"expires_in": 10**12}, {"/expires_in"}),
    ({"reference": "x" * 256}, {"/reference"}),
    ({"profile": "none such"}, {"/profile"}),
    ({"profile": 1}, {"/profile"}),
    ({"colour": "red"}, {"/colour"}),
    ({"tenant": "other", "owner": "bob"}, {"/tenant", "/owner"}),
    ({"id": "x", "state": "ready", "key": "k"}, {"/id", "/state", "/key"}),
    ({"__proto__": {}, "a/b": 1, "c~d": 2}, {"/__proto__", "/a~1b", "/c~0d"}),
    ({"metadata": a_deep_one(65)}, {"/metadata"}),
    ({"metadata": a_deep_one(900)}, {"/metadata"}),
]


@pytest.mark.parametrize(("said", "wrong"), WRONG_FIELDS, ids=lambda value: str(value)[:60])
def test_a_wrong_field_is_pointed_at(
    alice: Api, books: Books, said: dict[str, Any], wrong: set[str]
) -> None:
    body = said if "filename" in said or not said else {"filename": "notes.txt", **said}

    with books.unchanged():
        problem = refused(alice.post(OPEN, json=body), 422, "invalid_request")

    assert pointers(problem) == wrong
    assert all(each["detail"] for each in problem["errors"])


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"total_chunks": "1"}, "/total_chunks"),
        ({"total_chunks": -1}, "/total_chunks"),
        ({"total_chunks": 2}, "/total_chunks"),
        ({"total_chunks": 10**9}, "/total_chunks"),
        ({"sha256": 5}, "/sha256"),
        ({"sha256": "0"}, "/sha256"),
        ({"parts": []}, "/parts"),
    ],
    ids=str,
)
def test_a_wrong_field_leaves_the_upload_open(alice: Api, said: dict[str, Any], wrong: str) -> None:
    opened = alice.open_upload(size=1)
    assert alice.put_chunk(opened["id"], 0, b"x").status_code == 200

    problem = refused(alice.post(f"{OPEN}/{opened['id']}/complete", json=said), 422)

    assert pointers(problem) == {wrong}
    assert alice.get(f"{OPEN}/{opened['id']}").json()["state"] == "receiving"


def test_another_sha256_at_the_end_is_refused(alice: Api) -> None:
    opened = alice.open_upload(size=1, sha256="0" * 64)
    assert alice.put_chunk(opened["id"], 0, b"x").status_code == 200

    answer = alice.post(f"{OPEN}/{opened['id']}/complete", json={"sha256": "1" * 64})

    assert pointers(refused(answer, 422)) == {"/sha256"}


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"url": "https://93.184.215.14/"}, {"/events"}),
        ({"events": []}, {"/events"}),
        ({"events": "file.ready"}, {"/events"}),
        ({"events": ["file.ready", "file.lost"]}, {"/events/1"}),
        ({"events": [1]}, {"/events/0"}),
        ({"url": 1}, {"/url"}),
        ({"url": ""}, {"/url"}),
        ({"url": "not a url"}, {"/url"}),
        ({"url": "ftp://93.184.215.14/"}, {"/url"}),
        ({"url": "file:///etc/passwd"}, {"/url"}),
        ({"url": "https://user:word@93.184.215.14/"}, {"/url"}),
        ({"url": "https://93.184.215.14/\r\nX: y"}, {"/url"}),
        ({"url": "https://93.184.215.14/\0"}, {"/url"}),
        ({"url": "https://"}, {"/url"}),
        ({"url": "https://93.184.215.14:99999/"}, {"/url"}),
        ({"url": "https://[::1/"}, {"/url"}),
        ({"url": "https://" + "x" * 3000 + ".example/"}, {"/url"}),
        ({"enabled": "yes"}, {"/enabled"}),
        ({"description": "x" * 501}, {"/description"}),
        ({"secret": "whsec_mine"}, {"/secret"}),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_wrong_webhook_is_pointed_at(
    alice: Api, books: Books, said: dict[str, Any], wrong: set[str]
) -> None:
    right = {"url": "https://93.184.215.14/", "events": ["file.ready"]}
    body = said if wrong == {"/events"} and "events" not in said else {**right, **said}

    with books.unchanged():
        problem = refused(alice.post(HOOKS, json=body), 422, "invalid_request")

    assert pointers(problem) == wrong


def test_metadata_may_be_deep_and_comes_back_as_it_was(alice: Api) -> None:
    metadata = a_deep_one(64)

    file = alice.stored(b"text", metadata=metadata)

    assert file["metadata"] == alice.file(file["id"])["metadata"] == metadata


def test_metadata_keeps_every_kind_of_value(alice: Api) -> None:
    metadata = {
        "text": "é 🏖 \u2028 </script> '\"\\",
        "numbers": [0, -1, 1.5, 1e300, 2**63, 10**40],
        "flags": [True, False, None],
        "empty": {"": {}, "list": []},
    }

    file = alice.stored(b"text", metadata=metadata)

    assert file["metadata"] == metadata
    assert alice.file(file["id"])["metadata"] == metadata
