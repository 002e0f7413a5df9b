"""Uploads that are given up, and those that can't be any more."""

from tests.e2e.books import Books
from tests.support.api import Api, Body, answered, refused
from tests.support.bombs import a_pixel_bomb
from tests.support.samples import text
from tests.support.stack import Stack
from tests.support.waiting import eventually


def test_a_cancelled_upload_frees_what_it_held(alice: Api, books: Books) -> None:
    with books.unchanged(uploads=1):
        opened = alice.open_upload(size=8, chunk_size=4)
        answered(alice.put_chunk(opened["id"], 0, b"abcd"), 200)
        assert books.page().quotas[alice.tenant] == (0, 8)

        assert alice.delete(path(opened)).status_code == 204

        status = answered(alice.get(path(opened)), 200)
        assert (status["state"], status["job_id"], status["file_id"]) == ("cancelled", None, None)


def test_a_cancelled_upload_takes_nothing_more(alice: Api, books: Books) -> None:
    opened = alice.open_upload(size=4)
    answered(alice.put_chunk(opened["id"], 0, b"abcd"), 200)
    alice.delete(path(opened))

    with books.unchanged():
        again = alice.put_chunk(opened["id"], 0, b"abcd")
        refused(again, 409, "upload_not_receiving")
        complete = alice.post(f"{path(opened)}/complete", json={})
        assert refused(complete, 409, "upload_not_receiving")["state"] == "cancelled"


def test_cancelling_twice_is_success(alice: Api) -> None:
    opened = alice.open_upload()

    assert [alice.delete(path(opened)).status_code for _ in range(3)] == [204] * 3


def test_the_job_of_a_cancelled_upload_is_cancelled_and_stays_so(
    alice: Api, books: Books, stack: Stack
) -> None:
    with books.unchanged(uploads=2, jobs=2):
        with stack.paused("worker"):
            opened = alice.open_upload(size=len(text()))
            answered(alice.put_chunk(opened["id"], 0, text()), 200)
            job = alice.complete(opened["id"])

            assert alice.delete(path(opened)).status_code == 204

            ended = alice.ended(job["id"], 2)
        after = alice.stored(text())  # the worker has seen the cancelled job before this one

        assert (ended["state"], ended["file_id"]) == ("cancelled", None)
        assert alice.ended(job["id"]) == ended
        assert alice.complete(opened["id"]) == ended
        assert answered(alice.get(path(opened)), 200)["state"] == "cancelled"
        alice.delete(f"/api/v1/files/{after['id']}?hard_delete=true")


def test_a_job_that_runs_stops_when_its_upload_is_cancelled(alice: Api, books: Books) -> None:
    picture = a_pixel_bomb(7_000, 7_000)  # allowed, and work for a second

    opened = alice.open_upload("large.png", size=len(picture))
    answered(alice.put_chunk(opened["id"], 0, picture), 200)
    job = alice.complete(opened["id"])
    eventually(lambda: books.count("jobs", id=job["id"], step="thumbnail"), every=0.01)

    assert alice.delete(path(opened)).status_code == 204
    assert alice.ended(job["id"], 2)["state"] == "cancelled"
    for _ in range(2):  # as many as the worker runs at once: now it has left the picture
        alice.stored(text())

    assert alice.ended(job["id"])["state"] == "cancelled"
    assert books.count("files", id=opened["id"]) == 0
    assert books.count("chunks", upload_id=opened["id"]) == 0
    assert not any(opened["id"] in name for name in books.staged() | books.objects())


def test_what_has_become_a_file_is_not_cancelled(alice: Api) -> None:
    job = alice.chunked(text())

    problem = refused(alice.delete(path({"id": job["upload_id"]})), 409, "conflict")

    assert problem["state"] == "ready"
    assert alice.download(job["file_id"]).content == text()


def test_what_was_rejected_is_not_cancelled(alice: Api) -> None:
    job = alice.chunked(b"\x7fELF" + bytes(60), "photo.jpg", chunk_size=10)

    assert refused(alice.delete(path({"id": job["upload_id"]})), 409)["state"] == "rejected"


def path(upload: Body) -> str:
    return f"/api/v1/uploads/{upload['id']}"
