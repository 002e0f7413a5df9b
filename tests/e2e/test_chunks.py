"""Chunks that do not fit, are damaged or come too late: refused, and not kept."""

import base64
import hashlib
import threading
from typing import Any, Final

import pytest
import requests

from tests.e2e.books import Books
from tests.support.api import Api, Body, answered, pointers, refused
from tests.support.samples import text

CHUNK: Final = 1000
SIZE: Final = 2500


@pytest.fixture
def upload(alice: Api) -> Body:
    """An open upload of three chunks, the last of them shorter; none has arrived."""
    return alice.open_upload(size=SIZE, chunk_size=CHUNK)


@pytest.mark.parametrize(
    ("number", "length", "status", "code"),
    [
        (0, CHUNK + 1, 413, "too_large"),
        (0, SIZE, 413, "too_large"),
        (2, CHUNK, 409, "chunk_misplaced"),
        (0, CHUNK - 1, 409, "chunk_misplaced"),
        (2, 1, 409, "chunk_misplaced"),
        (0, 0, 409, "chunk_misplaced"),
        (3, CHUNK, 409, "chunk_misplaced"),
        (9_999_999, CHUNK, 409, "chunk_misplaced"),
    ],
)
def test_a_chunk_that_does_not_fit_its_place_is_refused(
    alice: Api, books: Books, upload: Body, number: int, length: int, status: int, code: str
) -> None:
    with books.unchanged():
        refused(alice.put_chunk(upload["id"], number, b"x" * length), status, code)


@pytest.mark.parametrize("number", ["-1", "1.0", "1e3", "x", "٣", "²", "%2b1", "10000000", "0x1"])
def test_a_chunks_number_is_a_whole_number(
    alice: Api, books: Books, upload: Body, number: str
) -> None:
    with books.unchanged():
        refused(alice.put_chunk(upload["id"], number, b"x" * CHUNK), 400, "invalid_request")


@pytest.mark.parametrize(
    "digest",
    [
        f"sha-256=:{base64.b64encode(bytes(32)).decode()}:",
        f"sha-256=:{base64.b64encode(bytes(31)).decode()}:",
        "sha-256=::",
        f"sha-512=:AA==:, sha-256=:{base64.b64encode(bytes(32)).decode()}:",
        "sha-256=:not base64:",
        "sha-256=abc",
        "sha-256=1",
        "sha-256",
        "sha-256=:",
        "sha-256=(1 2)",
        "=",
        "é",
    ],
)
def test_a_wrong_digest_is_refused_and_the_chunk_not_kept(
    alice: Api, books: Books, upload: Body, digest: str
) -> None:
    with books.unchanged():
        answer = alice.put_chunk(upload["id"], 0, b"x" * CHUNK, Content_Digest=digest)

    refused(answer, 400)


def test_a_right_digest_is_taken(alice: Api, upload: Body) -> None:
    content = b"x" * CHUNK
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()

    for said in (f"sha-256=:{digest}:", f"sha-512=:AA==:, sha-256=:{digest}:", "sha-512=:AA==:"):
        answer = alice.put_chunk(upload["id"], 0, content, Content_Digest=said)
        assert answered(answer, 200)["length"] == CHUNK


def test_the_same_chunk_again_is_welcome(alice: Api, books: Books, upload: Body) -> None:
    first = answered(alice.put_chunk(upload["id"], 0, b"x" * CHUNK), 200)
    with books.unchanged():
        second = answered(alice.put_chunk(upload["id"], 0, b"x" * CHUNK), 200)

    assert (first["repeated"], second["repeated"]) == (False, True)


def test_another_chunk_in_the_same_place_is_refused(alice: Api, books: Books, upload: Body) -> None:
    answered(alice.put_chunk(upload["id"], 0, b"x" * CHUNK), 200)

    with books.unchanged():
        refused(alice.put_chunk(upload["id"], 0, b"y" * CHUNK), 409, "chunk_conflict")


def test_of_many_that_race_for_a_place_one_wins(alice: Api, books: Books, upload: Body) -> None:
    start = threading.Barrier(8)
    said: list[int] = []

    def put(content: bytes) -> None:
        start.wait()
        url = f"{alice.base_url}/api/v1/uploads/{upload['id']}/chunks/0"
        said.append(requests.put(url, content, headers=dict(alice.headers), timeout=20).status_code)

    rivals = [threading.Thread(target=put, args=(bytes([65 + n]) * CHUNK,)) for n in range(8)]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join()

    assert sorted(said) == [200] + [409] * 7
    assert books.count("chunks", upload_id=upload["id"]) == 1
    assert (
        len(
            [
                name
                for name in books.staged()
                if f"{upload['id']}/" in name and not name.endswith("/")
            ]
        )
        == 1
    )
    status = answered(alice.get(f"/api/v1/uploads/{upload['id']}"), 200)
    assert status["received_bytes"] == CHUNK


def test_gaps_are_named_and_the_upload_stays_open(alice: Api, upload: Body) -> None:
    answered(alice.put_chunk(upload["id"], 1, b"x" * CHUNK), 200)

    answer = alice.post(f"/api/v1/uploads/{upload['id']}/complete", json={})

    assert refused(answer, 409, "chunks_missing")["missing"] == [0, 2]
    status = answered(alice.get(f"/api/v1/uploads/{upload['id']}"), 200)
    assert (status["state"], status["missing"]) == ("receiving", [0, 2])


@pytest.mark.parametrize("said", [{}, {"total_chunks": 0}, {"total_chunks": 3}])
def test_an_upload_without_a_chunk_is_not_completed(
    alice: Api, books: Books, said: dict[str, Any]
) -> None:
    opened = alice.open_upload()

    with books.unchanged():
        answer = alice.post(f"/api/v1/uploads/{opened['id']}/complete", json=said)

    assert answer.status_code in {409, 422}, answer.text


def test_completing_twice_answers_one_job(alice: Api, books: Books) -> None:
    opened = alice.open_upload(size=len(text()))
    answered(alice.put_chunk(opened["id"], 0, text()), 200)

    first, second = alice.complete(opened["id"]), alice.complete(opened["id"])

    assert first["id"] == second["id"]
    assert books.count("jobs", upload_id=opened["id"]) == 1
    alice.ended(first["id"])
    assert alice.complete(opened["id"])["id"] == first["id"]


def test_a_sealed_upload_takes_no_other_bytes(alice: Api, books: Books) -> None:
    job = alice.chunked(text())

    with books.unchanged():
        refused(alice.put_chunk(job["upload_id"], 0, text()[::-1]), 409)
        refused(alice.put_chunk(job["upload_id"], 1, text()), 409)

    assert alice.download(job["file_id"]).content == text()


def test_a_file_that_is_not_what_was_announced_is_rejected(alice: Api, books: Books) -> None:
    announced = hashlib.sha256(b"other").hexdigest()

    with books.unchanged(uploads=1, jobs=1):
        job = alice.chunked(text(), sha256=announced)

        assert (job["state"], job["error"]["code"]) == ("rejected", "digest_mismatch")
        assert job["error"]["actual"] == hashlib.sha256(text()).hexdigest()
        assert job["file_id"] is None


@pytest.mark.parametrize("number", [10_000, 9_999_999])
def test_an_upload_of_unknown_size_has_at_most_10000_chunks(
    alice: Api, books: Books, number: int
) -> None:
    opened = alice.open_upload()

    with books.unchanged():
        refused(alice.put_chunk(opened["id"], number, b"x"), 409, "chunk_misplaced")

    answered(alice.put_chunk(opened["id"], 9_999, b"x"), 200)
    status = answered(alice.get(f"/api/v1/uploads/{opened['id']}"), 200)
    assert len(status["missing"]) == 9_999
    answer = alice.post(f"/api/v1/uploads/{opened['id']}/complete", json={"total_chunks": 10_001})
    assert pointers(refused(answer, 422)) == {"/total_chunks"}
