"""Files of no bytes are refused, whichever way they come."""

from tests.e2e.books import Books
from tests.support.api import Api, answered, pointers, refused


def test_an_upload_of_no_bytes_is_not_opened(alice: Api, books: Books) -> None:
    with books.unchanged():
        asked = {"filename": "notes.txt", "size": 0}
        problem = refused(alice.post("/api/v1/uploads", json=asked), 422, "file_empty")

    assert pointers(problem) == {"/size"}


def test_a_form_with_an_empty_file_is_refused(alice: Api, books: Books) -> None:
    with books.unchanged():
        refused(alice.submit(b""), 422, "file_empty")
        refused(alice.submit(b"", "photo.jpg", "image/jpeg", fields={"folder": "a"}), 422)


def test_an_empty_chunk_is_refused(alice: Api, books: Books) -> None:
    opened = alice.open_upload()

    with books.unchanged():
        refused(alice.put_chunk(opened["id"], 0, b""), 400, "body_cut")
        path = f"/api/v1/uploads/{opened['id']}/chunks/0"
        refused(alice.put(path, data=iter([])), 400, "body_cut")
        refused(alice.post(f"/api/v1/uploads/{opened['id']}/complete", json={}), 422)

    assert answered(alice.get(f"/api/v1/uploads/{opened['id']}"), 200)["received"] == []
