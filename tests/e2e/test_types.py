"""What is not welcome: by its declared type, its extension, or what its bytes are."""

from typing import Final

import pytest

from tests.e2e.books import Books
from tests.support.api import Api, Body, answered, refused
from tests.support.disguises import DISGUISES, Disguise
from tests.support.samples import SAMPLES, Sample, picture, text
from tests.support.waiting import eventually

ELF: Final = b"\x7fELF\x02\x01\x01" + bytes(60)


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_every_welcome_type_becomes_a_file(alice: Api, sample: Sample) -> None:
    content = sample.make()

    file = answered(alice.submit(content, sample.filename, sample.content_type), 201)

    assert (file["content_type"], file["category"]) == (sample.content_type, sample.category)
    assert file["size"] == len(content)
    assert alice.download(file["id"]).content == content


@pytest.mark.parametrize("disguise", DISGUISES, ids=str)
def test_a_disguise_in_a_form_is_refused(alice: Api, books: Books, disguise: Disguise) -> None:
    with books.unchanged():
        answer = alice.submit(disguise.make(), disguise.filename, disguise.said)

    assert refused(answer, 415, "type_not_allowed")["allowed"]


@pytest.mark.parametrize("disguise", DISGUISES, ids=str)
def test_a_disguise_in_chunks_never_becomes_a_file(
    alice: Api, books: Books, disguise: Disguise
) -> None:
    content = disguise.make()
    opened = alice.open_upload(disguise.filename, size=len(content), content_type=disguise.said)

    answer = alice.put_chunk(opened["id"], 0, content)
    if answer.status_code == 200:  # its beginning alone could still have been something else
        job = alice.ended(alice.complete(opened["id"])["id"])
        assert (job["state"], job["error"]["code"]) == ("rejected", "type_not_allowed")
    else:
        refused(answer, 415, "type_not_allowed")

    assert books.count("files", tenant=alice.tenant) == 0
    assert books.count("chunks", upload_id=opened["id"]) == 0
    eventually(lambda: not any(opened["id"] in name for name in books.staged()))
    assert not any(opened["id"] in key for key in books.objects())


@pytest.mark.parametrize("disguise", DISGUISES[::7], ids=str)
def test_a_disguise_that_comes_in_small_pieces_is_rejected_in_the_end(
    alice: Api, books: Books, disguise: Disguise
) -> None:
    content = disguise.make()

    with books.unchanged(uploads=1, jobs=1):
        job = alice.chunked(content, disguise.filename, chunk_size=max(8, len(content) // 9))

    assert (job["state"], job["error"]["code"]) == ("rejected", "type_not_allowed")
    assert answered(alice.get(f"/api/v1/uploads/{job['upload_id']}"), 200)["state"] == "rejected"


@pytest.mark.parametrize(
    ("filename", "content_type"),
    [
        ("setup.exe", None),
        ("page.html", None),
        ("drawing.svg", None),
        ("script.js", "text/plain"),
        ("shell.php", "image/jpeg"),
        ("photo.jpg.exe", None),
        ("photo.jpg", "text/html"),
        ("photo.jpg", "application/x-msdownload"),
        ("drawing.png", "image/svg+xml"),
        ("notes.txt", "application/javascript"),
        ("SETUP.EXE", None),
        ("setup.exe ", None),
        ("setup.exe.", None),
        ("setup.e\u200bxe", None),
        ("photo\u202egpj.exe", None),
        ("setup.ｅｘｅ", None),
    ],
)
def test_a_declaration_that_is_not_welcome_is_refused_before_a_byte(
    alice: Api, books: Books, filename: str, content_type: str | None
) -> None:
    with books.unchanged():
        asked = {"filename": filename, "size": 67, "content_type": content_type}
        refused(alice.post("/api/v1/uploads", json=asked), 415, "type_not_allowed")
        refused(alice.submit(ELF, filename, content_type), 415, "type_not_allowed")


@pytest.mark.parametrize(
    "content_type", ["", "nonsense", "a/b/c", ";", "image/", "*/*", "IMAGE/JPEG", "image/jpeg; q=1"]
)
def test_an_odd_declared_type_does_no_harm(alice: Api, content_type: str) -> None:
    content = picture("JPEG")

    opened = alice.post("/api/v1/uploads", json={"filename": "p.jpg", "content_type": content_type})
    sent = alice.submit(content, "photo.jpg", content_type)

    assert opened.status_code in {201, 415}, opened.text
    assert sent.status_code in {201, 415}, sent.text


def test_a_declared_type_that_disagrees_is_kept_beside_the_found_one(alice: Api) -> None:
    file = answered(alice.submit(b"fake pdf content", "test.pdf", "application/pdf"), 201)

    assert (file["content_type"], file["declared_type"]) == ("text/plain", "application/pdf")


def test_a_welcome_beginning_does_not_hide_what_follows_in_the_first_64_kib(
    alice: Api, books: Books
) -> None:
    page = text() * 20 + b"<html><body><script>alert(1)</script></body></html>"

    with books.unchanged():
        answer = alice.submit(page, "notes.txt", "text/plain")

    refused(answer, 415, "type_not_allowed")


def test_a_rejected_upload_says_why_wherever_one_looks(alice: Api) -> None:
    job = alice.chunked(ELF, "photo.jpg", chunk_size=10)
    path = f"/api/v1/jobs/{job['id']}"

    shown: list[Body] = [
        answered(alice.get(path), 200),
        answered(alice.get(f"/api/v1/jobs?ids={job['id']}"), 200)["items"][0],
        alice.complete(job["upload_id"]),
    ]

    assert job["error"]["code"] == "type_not_allowed"
    assert job["error"]["detail"]
    assert shown == [job] * 3
    assert "data: " in alice.get(f"{path}/events").text
