"""A whole file in one form: fields, waiting, and asking twice."""

from typing import Any, Final
from uuid import uuid4

import pytest

from tests.e2e.books import Books
from tests.support.api import Api, answered, pointers, refused
from tests.support.samples import picture, text
from tests.support.stack import Stack

SAID: Final = {
    "folder": "notes/2026",
    "description": "What was said",
    "metadata": {"who": ["Ada", "Zoë"], "deep": {"n": 1.5}},
    "tags": ["a", "b"],
    "is_public": True,
    "expires_in": 3600,
    "reference": "order-7",
    "profile": "default",
}


@pytest.mark.parametrize("fields_last", [False, True], ids=["before", "after"])
def test_fields_may_stand_before_or_after_the_file(alice: Api, *, fields_last: bool) -> None:
    answer = alice.submit(text(), "minutes.txt", fields=SAID, fields_last=fields_last)

    file = answered(answer, 201)
    assert {name: file[name] for name in SAID if name in file} == {
        name: value for name, value in SAID.items() if name in file
    }
    assert file["expires_at"] > file["created_at"]
    assert answered(alice.get(answer.headers["Location"]), 200) == file
    assert alice.download(file["id"]).content == text()


@pytest.mark.parametrize("tags", ["a,b", " a , b ,", '["a", "b"]', '["b", "a", "a"]'])
def test_tags_are_a_list_or_names_with_commas(alice: Api, tags: str) -> None:
    assert alice.stored(text(), tags=tags)["tags"] == ["a", "b"]


@pytest.mark.parametrize("prefer", ["wait=0", "respond-async", "respond-async, wait=0"])
def test_who_does_not_wait_gets_the_job(alice: Api, prefer: str) -> None:
    answer = alice.submit(text(), Prefer=prefer)

    job = answered(answer, 202)
    assert answer.headers["Location"].endswith(f"/api/v1/jobs/{job['id']}")
    assert alice.ended(job["id"])["state"] == "succeeded"


def test_who_waits_in_vain_gets_the_job(alice: Api, stack: Stack) -> None:
    with stack.paused("worker"):
        answer = alice.submit(text(), Prefer="wait=1")

        job = answered(answer, 202)
        assert job["state"] == "queued"
        assert answer.elapsed.total_seconds() >= 1
    assert alice.ended(job["id"])["state"] == "succeeded"


@pytest.mark.parametrize(
    "prefer", ["wait=many", "wait=-1", "wait", "return=minimal", "wait=²", "wait=" + "1" * 5000]
)
def test_an_odd_preference_is_as_good_as_none(alice: Api, prefer: str) -> None:
    assert alice.submit(text(), Prefer=prefer.encode().decode("latin-1")).status_code == 201


def test_opening_twice_with_one_key_opens_once(alice: Api, books: Books) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    said = {"filename": "notes.txt", "size": 10, "tags": ["a"]}

    first, second = (alice.post("/api/v1/uploads", json=said, headers=key) for _ in range(2))

    assert answered(first, 201) == answered(second, 201)
    assert first.headers["Location"] == second.headers["Location"]
    assert books.count("uploads", tenant=alice.tenant) == 1


def test_a_key_is_good_for_one_request_only(alice: Api, bob: Api, books: Books) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    first = answered(alice.post("/api/v1/uploads", json={"filename": "a.txt"}, headers=key), 201)

    other = alice.post("/api/v1/uploads", json={"filename": "b.txt"}, headers=key)
    another = bob.post("/api/v1/uploads", json={"filename": "a.txt"}, headers=key)

    refused(other, 422, "idempotency_key_reused")
    assert answered(another, 201)["id"] != first["id"]
    assert books.count("uploads", tenant=alice.tenant) == 2


def test_submitting_twice_with_one_key_makes_one_file(alice: Api, books: Books) -> None:
    key = uuid4().hex
    first = answered(alice.submit(text(), Idempotency_Key=key), 201)

    with books.unchanged():
        second = alice.submit(text(), Idempotency_Key=key)
        other = alice.submit(text() + b"!", Idempotency_Key=key)
        renamed = alice.submit(text(), "other.txt", Idempotency_Key=key)

    assert answered(second, 201) == first
    refused(other, 422, "idempotency_key_reused")
    refused(renamed, 422, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", "k" * 256, "tab\there"])
def test_a_key_has_1_to_255_printable_characters(alice: Api, books: Books, key: str) -> None:
    with books.unchanged():
        refused(alice.submit(text(), Idempotency_Key=key), 400, "invalid_request")
        said = {"filename": "notes.txt"}
        opened = alice.post("/api/v1/uploads", json=said, headers={"Idempotency-Key": key})
        refused(opened, 400, "invalid_request")


Part = tuple[str, tuple[Any, ...]]
FILE: Final[Part] = ("file", ("notes.txt", text()))
BAD_FORMS: Final[dict[str, tuple[list[Part], set[int]]]] = {
    "no file": ([("folder", (None, "a"))], {422}),
    "no file name": ([("file", (None, text()))], {422}),
    "empty file name": ([("file", ("", text()))], {422}),
    "file under another name": ([("upload", ("notes.txt", text()))], {422}),
    "empty file": ([("file", ("notes.txt", b""))], {422}),
    "two files": ([FILE, ("file", ("more.txt", text()))], {400, 422}),
    "two files of two names": ([FILE, ("more", ("more.txt", text()))], {400, 422}),
    "unknown field": ([FILE, ("colour", (None, "red"))], {422}),
    "33 fields": ([*((f"f{n}", (None, "x")) for n in range(33)), FILE], {413, 422}),
    "33 fields after the file": ([FILE, *((f"f{n}", (None, "x")) for n in range(33))], {413, 422}),
    "field of 65 KiB": ([("description", (None, "x" * 66560)), FILE], {413, 422}),
    "field of 65 KiB after the file": ([FILE, ("description", (None, "x" * 66560))], {413, 422}),
    "ten fields of 10 KiB": (
        [*(("description", (None, "x" * 10240)) for _ in range(10)), FILE],
        {413, 422},
    ),
    "description of 2001 characters": ([("description", (None, "x" * 2001)), FILE], {422}),
    "metadata that is no JSON": ([("metadata", (None, "{a: 1}")), FILE], {422}),
    "metadata that is a list": ([("metadata", (None, "[1]")), FILE], {422}),
    "metadata with NaN": ([("metadata", (None, '{"a": NaN}')), FILE], {422}),
    "metadata with a name twice": ([("metadata", (None, '{"a": 1, "a": 2}')), FILE], {422}),
    "metadata of infinity": ([("metadata", (None, '{"a": 1e400}')), FILE], {422}),
    "metadata without bottom": ([("metadata", (None, '{"a":' + "[" * 20000)), FILE], {422}),
    "metadata with half a character": ([("metadata", (None, '{"a": "\\ud800"}')), FILE], {422}),
    "metadata with NUL": ([("metadata", (None, '{"a": "\\u0000"}')), FILE], {422}),
    "tags that are no list": ([("tags", (None, "[1")), FILE], {422}),
    "tags that are numbers": ([("tags", (None, "[1]")), FILE], {422}),
    "33 tags": ([("tags", (None, ",".join(f"t{n}" for n in range(33)))), FILE], {422}),
    "public perhaps": ([("is_public", (None, "perhaps")), FILE], {422}),
    "expires in never": ([("expires_in", (None, "never")), FILE], {422}),
    "expires in no time": ([("expires_in", (None, "0")), FILE], {422}),
    "expires before": ([("expires_in", (None, "-1")), FILE], {422}),
    "expires in digits of another kind": ([("expires_in", (None, "²")), FILE], {422}),
    "expires in 5,000 digits": ([("expires_in", (None, "9" * 5000)), FILE], {422}),
    "folder with dots": ([("folder", (None, "a/../b")), FILE], {422}),
    "NUL in a field": ([("reference", (None, "a\0b")), FILE], {422}),
    "no such profile": ([("profile", (None, "other")), FILE], {422}),
}


@pytest.mark.parametrize(("parts", "statuses"), BAD_FORMS.values(), ids=BAD_FORMS.keys())
def test_a_bad_form_is_refused_and_leaves_nothing(
    alice: Api, books: Books, parts: list[Part], statuses: set[int]
) -> None:
    with books.unchanged():
        answer = alice.post("/api/v1/files/upload", files=parts)

    assert answer.status_code in statuses, answer.text


def test_a_refused_field_is_pointed_at(alice: Api) -> None:
    fields = {"colour": "red", "expires_in": 0, "tags": [""]}

    problem = refused(alice.submit(text(), fields=fields), 422, "invalid_request")

    assert pointers(problem) == {"/colour", "/expires_in", "/tags/0"}


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=other",
        "multipart/form-data; boundary=" + "b" * 300,
        "multipart/mixed; boundary=b",
    ],
)
def test_what_is_no_form_is_refused(alice: Api, books: Books, content_type: str) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nx\r\n--b--'

    with books.unchanged():
        headers = {"Content-Type": content_type}
        answer = alice.post("/api/v1/files/upload", data=body, headers=headers)

    assert answer.status_code in {400, 415, 422}, answer.text


def test_a_picture_in_a_form_gets_its_thumbnails_at_once(alice: Api) -> None:
    file = alice.stored(picture("PNG", 300, 200), "drawing.png")

    assert (file["width"], file["height"]) == (300, 200)
    assert len(file["thumbnails"]) == 3
