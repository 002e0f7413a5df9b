"""Uploads straight to the object store: handed out, sent, checked; and what their senders can't do."""

import hashlib
from typing import Any, Final

import pytest
import requests

from tests.e2e.books import Books
from tests.support.api import Api, answered, refused
from tests.support.pictures import a_jpeg
from tests.support.samples import text
from tests.support.stack import Stack
from tests.support.waiting import eventually

MIB: Final = 1024**2
PART: Final = 5 * MIB  # the smallest that S3 takes
NOWHERE: Final = "00000000-0000-7000-8000-000000000000"


def sent(target: dict[str, Any], body: bytes) -> requests.Response:
    return requests.put(target["url"], data=body, headers=target["headers"], timeout=30)


def opened(api: Api, filename: str = "notes.txt", **said: Any) -> dict[str, Any]:
    return answered(
        api.post("/api/v1/uploads", json={"filename": filename, "transfer": "direct", **said}), 201
    )


def completed(api: Api, upload: dict[str, Any], **said: Any) -> dict[str, Any]:
    return api.ended(api.complete(upload["id"], **said)["id"])


def many(size: int) -> bytes:
    line = b"The quick brown fox jumps over the lazy dog, again and again.\n"
    return (line * (size // len(line) + 1))[:size]


def test_a_photo_sent_with_one_put_becomes_a_file(alice: Api, books: Books) -> None:
    photo = a_jpeg(800, 600)
    upload = opened(alice, "beach.jpg", size=len(photo), content_type="image/jpeg")
    (target,) = upload["targets"]
    assert (target["method"], target["offset"], target["size"]) == ("PUT", 0, len(photo))

    assert sent(target, photo).status_code == 200
    job = completed(alice, upload, sha256=hashlib.sha256(photo).hexdigest())

    assert (job["state"], job.get("error")) == ("succeeded", None)
    file = job["file"]
    assert (file["id"], file["width"], file["height"]) == (upload["id"], 800, 600)
    assert file["sha256"] == hashlib.sha256(photo).hexdigest()
    assert [small["name"] for small in file["thumbnails"]] == ["small", "medium", "large"]
    assert alice.download(file["id"]).content == photo
    assert "staging" not in file["s3_key"]
    assert books.count("chunks", upload_id=upload["id"]) == 0


def test_a_large_file_goes_in_parts_in_any_order_and_can_be_resumed(alice: Api) -> None:
    content = many(2 * PART + 1000)
    upload = opened(alice, "long.txt", size=len(content), chunk_size=PART)
    targets = {each["number"]: each for each in upload["targets"]}
    assert sorted(targets) == [0, 1, 2]
    pieces = {
        number: content[each["offset"] : each["offset"] + each["size"]]
        for number, each in targets.items()
    }

    assert sent(targets[2], pieces[2]).status_code == 200
    assert sent(targets[0], pieces[0]).status_code == 200
    status = answered(alice.get(f"/api/v1/uploads/{upload['id']}"), 200)
    early = refused(alice.post(f"/api/v1/uploads/{upload['id']}/complete", json={}), 409)
    again = answered(alice.get(f"/api/v1/uploads/{upload['id']}/targets"), 200)

    assert (status["missing"], status["received_bytes"]) == ([1], PART + 1000)
    assert status["received"] == [[0, PART], [2 * PART, len(content)]]
    assert (early["type"], early["missing"]) == ("chunks_missing", [1])
    assert [each["number"] for each in again["targets"]] == [1]
    assert sent(again["targets"][0], pieces[1]).status_code == 200
    job = completed(alice, upload, total_chunks=3)
    assert job["file"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert alice.download(upload["id"]).content == content


def test_complete_answers_the_same_job_again(alice: Api) -> None:
    upload = opened(alice)
    sent(upload["targets"][0], text())

    first = alice.complete(upload["id"])
    second = alice.complete(upload["id"])

    assert first["id"] == second["id"]


def test_what_is_in_the_store_is_adopted_when_its_client_never_says_so(alice: Api) -> None:
    upload = opened(alice)
    assert sent(upload["targets"][0], text()).status_code == 200

    def is_ready() -> bool:
        status = answered(alice.get(f"/api/v1/uploads/{upload['id']}"), 200)
        return bool(status["state"] == "ready")

    eventually(is_ready, timeout=30)
    assert alice.download(upload["id"]).content == text()


def test_nothing_is_ready_before_anything_was_sent(alice: Api) -> None:
    upload = opened(alice)

    said = refused(alice.post(f"/api/v1/uploads/{upload['id']}/complete", json={}), 409)

    assert (said["type"], said["missing"]) == ("chunks_missing", [0])


def test_the_links_take_the_announced_length_and_type_and_no_other(alice: Api) -> None:
    upload = opened(alice, size=len(text()), content_type="text/plain")
    (target,) = upload["targets"]

    longer = sent(target, text() + b"more")
    other = requests.put(
        target["url"], data=text(), headers={"Content-Type": "text/html"}, timeout=30
    )

    assert (longer.status_code, other.status_code) == (403, 403)
    refused(alice.post(f"/api/v1/uploads/{upload['id']}/complete", json={}), 409)


def test_a_link_that_is_changed_or_meant_for_another_key_writes_nothing(alice: Api) -> None:
    (target,) = opened(alice)["targets"]
    elsewhere = target["url"].replace("/.staging/", "/")
    cut = target["url"][:-4] + "0000"

    answers = [requests.put(url, data=b"x", timeout=30).status_code for url in (elsewhere, cut)]

    assert answers == [403, 403]


def test_bytes_that_come_after_complete_are_not_in_the_file(alice: Api) -> None:
    """The link works on; what it writes changes no file, it can only spoil its own upload."""
    upload = opened(alice)
    (target,) = upload["targets"]
    sent(target, text())
    job = completed(alice, upload)
    assert job["state"] == "succeeded"

    sent(target, b"something else altogether")

    assert alice.download(upload["id"]).content == text()


def test_an_upload_written_over_before_it_was_processed_is_rejected(
    alice: Api, stack: Stack
) -> None:
    upload = opened(alice)
    (target,) = upload["targets"]
    sent(target, text())
    with stack.paused("worker"):
        job = alice.complete(upload["id"])
        sent(target, b"something else altogether")

    ended = alice.ended(job["id"])

    assert (ended["state"], ended["error"]["code"]) == ("rejected", "upload_changed")
    refused(alice.get(f"/api/v1/files/{upload['id']}"), 404)


def test_a_type_that_is_not_allowed_is_rejected_by_its_bytes(alice: Api) -> None:
    upload = opened(alice, "notes.txt", content_type="text/plain")
    sent(upload["targets"][0], b"\x7fELF\x02\x01\x01" + bytes(200))

    job = completed(alice, upload)

    assert (job["state"], job["error"]["code"]) == ("rejected", "type_not_allowed")
    refused(alice.get(f"/api/v1/files/{upload['id']}"), 404)


def test_a_digest_that_disagrees_rejects_the_file(alice: Api) -> None:
    upload = opened(alice)
    sent(upload["targets"][0], text())

    job = completed(alice, upload, sha256="0" * 64)

    assert (job["state"], job["error"]["code"]) == ("rejected", "digest_mismatch")


def test_an_empty_object_is_refused_and_can_be_sent_again(alice: Api) -> None:
    upload = opened(alice)
    (target,) = upload["targets"]
    sent(target, b"")

    said = refused(alice.post(f"/api/v1/uploads/{upload['id']}/complete", json={}), 422)
    sent(target, text())

    assert said["type"] == "file_empty"
    assert completed(alice, upload)["state"] == "succeeded"


def test_chunks_and_targets_are_refused_where_they_do_not_belong(alice: Api) -> None:
    straight, chunked = opened(alice), alice.open_upload(size=3)

    chunk = refused(alice.put(f"/api/v1/uploads/{straight['id']}/chunks/0", data=b"abc"), 409)
    targets = refused(alice.get(f"/api/v1/uploads/{chunked['id']}/targets"), 409)
    beyond = refused(alice.get(f"/api/v1/uploads/{straight['id']}/targets?numbers=1"), 409)
    malformed = refused(alice.get(f"/api/v1/uploads/{straight['id']}/targets?numbers=a"), 422)

    assert [chunk["type"], targets["type"], beyond["type"]] == [
        "conflict",
        "conflict",
        "chunk_misplaced",
    ]
    assert malformed["type"] == "invalid_request"


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({"size": 10 * MIB, "chunk_size": PART - 1}, "/chunk_size"),
        ({"transfer": "pigeon"}, "/transfer"),
        ({"replace": True}, "/replace"),
    ],
)
def test_what_can_not_go_straight_to_the_store_is_refused(
    alice: Api, books: Books, said: dict[str, Any], pointer: str
) -> None:
    body = {"filename": "notes.txt", "transfer": "direct", **said}
    with books.unchanged():
        problem = refused(alice.post("/api/v1/uploads", json=body), 422)

    assert problem["errors"][0]["pointer"] == pointer


def test_uploads_of_others_have_no_targets(alice: Api, bob: Api) -> None:
    upload = opened(alice)

    for upload_id in (upload["id"], NOWHERE, "nonsense"):
        refused(bob.get(f"/api/v1/uploads/{upload_id}/targets"), 404)


def test_a_cancelled_upload_leaves_nothing_in_the_store(alice: Api, stack: Stack) -> None:
    small, large = opened(alice), opened(alice, size=2 * PART, chunk_size=PART)
    books = Books(stack)
    sent(large["targets"][0], many(PART))
    sent(small["targets"][0], text())

    for upload in (small, large):  # before it is adopted
        assert alice.delete(f"/api/v1/uploads/{upload['id']}").status_code == 204
    stack.command("sweep", "direct-leftovers")

    assert not books.objects(f".staging/direct/{small['id']}")
    assert sent(large["targets"][1], many(PART)).status_code == 404
    refused(alice.get(f"/api/v1/uploads/{small['id']}/targets"), 409)


def test_the_same_key_answers_the_same_upload_with_targets(alice: Api) -> None:
    said = {"filename": "notes.txt", "transfer": "direct"}
    headers = {"Idempotency-Key": "once"}

    first = answered(alice.post("/api/v1/uploads", json=said, headers=headers), 201)
    again = answered(alice.post("/api/v1/uploads", json=said, headers=headers), 201)

    assert first["id"] == again["id"]
    assert sent(again["targets"][0], text()).status_code == 200
    assert completed(alice, first)["state"] == "succeeded"
