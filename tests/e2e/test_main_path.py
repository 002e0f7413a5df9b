"""The way of a file from its first byte to its last trace."""

import hashlib
from io import BytesIO
from typing import Any, Final

import requests
from PIL import Image
from standardwebhooks import Webhook

from tests.e2e.books import Books
from tests.support.api import Api, answered, refused
from tests.support.pictures import a_jpeg
from tests.support.receiver import Receiver, a_receiver
from tests.support.samples import text
from tests.support.stack import Stack
from tests.support.waiting import eventually

CHUNK: Final = 4096


def test_a_photo_sent_in_chunks_out_of_order_becomes_a_file(alice: Api, books: Books) -> None:
    photo = a_jpeg(1600, 1000)
    opened = alice.open_upload("beach.jpg", size=len(photo), chunk_size=CHUNK, tags=["sea"])
    numbers = list(range(-(-len(photo) // CHUNK)))

    for number in numbers[::2][::-1] + numbers[1::2]:
        chunk = photo[number * CHUNK : (number + 1) * CHUNK]
        answered(alice.put_chunk(opened["id"], number, chunk), 200)
    job = alice.ended(alice.complete(opened["id"], total_chunks=len(numbers))["id"])

    assert (job["state"], job.get("error")) == ("succeeded", None)
    assert job["progress"] == {"done": len(photo), "total": len(photo), "percent": 100}
    file = alice.file(job["file_id"])
    assert file == job["file"]
    assert (file["width"], file["height"], file["tags"]) == (1600, 1000, ["sea"])
    assert (file["content_type"], file["category"]) == ("image/jpeg", "image")
    assert file["sha256"] == hashlib.sha256(photo).hexdigest()
    assert alice.download(file["id"]).content == photo
    assert books.count("chunks", upload_id=opened["id"]) == 0
    eventually(lambda: not any(opened["id"] in name for name in books.staged()))


def test_an_upload_says_what_has_arrived_and_what_is_missing(alice: Api) -> None:
    opened = alice.open_upload(size=10, chunk_size=4)
    answered(alice.put_chunk(opened["id"], 2, b"ij"), 200)
    answered(alice.put_chunk(opened["id"], 0, b"abcd"), 200)

    status = answered(alice.get(f"/api/v1/uploads/{opened['id']}"), 200)

    assert (status["state"], status["received_bytes"]) == ("receiving", 6)
    assert (status["received"], status["missing"]) == ([[0, 4], [8, 10]], [1])
    assert (status["job_id"], status["file_id"]) == (None, None)


def test_a_photo_gets_thumbnails_that_are_pictures(alice: Api) -> None:
    file = alice.stored(a_jpeg(1600, 1000), "beach.jpg")

    small = {each["name"]: each for each in file["thumbnails"]}

    assert set(small) == {"small", "medium", "large"}
    for name, longer in {"small": 150, "medium": 400, "large": 1024}.items():
        answer = alice.get(small[name]["url"])
        picture = Image.open(BytesIO(answer.content))
        assert answer.headers["Content-Type"] == small[name]["content_type"] == "image/webp"
        assert picture.size == (small[name]["width"], small[name]["height"])
        assert (max(picture.size), len(answer.content)) == (longer, small[name]["size"])


def test_thumbnails_stand_in_one_order_everywhere(alice: Api) -> None:
    for side in (64, 2000):
        job = alice.chunked(a_jpeg(side, side), "square.jpg", chunk_size=2**20)

        names = [each["name"] for each in job["file"]["thumbnails"]]
        assert [each["name"] for each in alice.file(job["file_id"])["thumbnails"]] == names


def test_a_thumbnail_that_is_not_there_names_those_that_are(alice: Api) -> None:
    file = alice.stored(a_jpeg(64, 64), "beach.jpg")

    problem = refused(
        alice.get(f"/api/v1/files/{file['id']}/thumbnails/huge"), 404, "thumbnail_not_found"
    )

    assert set(problem["available"]) == {each["name"] for each in file["thumbnails"]}


def test_a_file_larger_than_a_part_arrives_whole(alice: Api) -> None:
    content = b"".join(b"%015d\n" % number for number in range(20 * 1024**2 // 16))

    job = alice.chunked(content, "numbers.txt", chunk_size=3 * 1024**2 + 1)

    assert job["file"]["sha256"] == hashlib.sha256(content).hexdigest()
    whole = alice.download(job["file_id"])
    assert hashlib.sha256(whole.content).digest() == hashlib.sha256(content).digest()


def test_an_upload_of_unknown_size_is_as_long_as_its_chunks(alice: Api) -> None:
    opened = alice.open_upload("notes.txt")
    answered(alice.put_chunk(opened["id"], 1, b"world"), 200)
    answered(alice.put_chunk(opened["id"], 0, b"hello, "), 200)

    job = alice.ended(alice.complete(opened["id"], total_chunks=2)["id"])

    assert alice.download(job["file_id"]).content == b"hello, world"


def test_a_presigned_link_works_without_a_token(alice: Api) -> None:
    file = alice.stored(text(), "notes.txt")

    link = answered(
        alice.get(f"/api/v1/files/{file['id']}/presigned-url?expiry=60&force_download=true"), 200
    )

    got = requests.get(link["url"], timeout=10)
    assert (got.status_code, got.content) == (200, text())
    assert got.headers["Content-Disposition"].startswith("attachment")
    assert requests.get(link["url"].partition("?")[0], timeout=10).status_code == 403
    assert requests.get(link["url"].replace("attachment", "inline"), timeout=10).status_code == 403


def test_a_link_lives_from_a_second_to_a_week(alice: Api) -> None:
    file = alice.stored(text())

    for seconds in (0, -1, 7 * 24 * 3600 + 1):
        path = f"/api/v1/files/{file['id']}/presigned-url?expiry={seconds}"
        refused(alice.get(path), 422, "invalid_request")


def test_a_webhook_hears_of_the_file_signed_as_standard_webhooks_says(alice: Api) -> None:
    with a_receiver() as receiver:
        hook = a_hook(alice, receiver, ["file.ready", "file.rejected", "file.deleted"])
        file = alice.stored(text(), reference="order-7")

        heard = eventually(lambda: receiver.calls[0] if receiver.calls else None)

        assert heard is not None
        said = Webhook(hook["secret"]).verify(heard.body, dict(heard.headers))
        assert (said["type"], said["data"]["file"]) == ("file.ready", alice.file(file["id"]))
        assert heard.headers["webhook-id"].startswith("evt_")


def test_a_webhook_hears_that_a_file_was_deleted_once(alice: Api) -> None:
    with a_receiver() as receiver:
        hook = a_hook(alice, receiver, ["file.deleted"])
        file = alice.stored(text())

        alice.delete(f"/api/v1/files/{file['id']}")
        alice.delete(f"/api/v1/files/{file['id']}?hard_delete=true")

        heard = eventually(lambda: receiver.calls[0] if receiver.calls else None)
        assert heard is not None
        said = Webhook(hook["secret"]).verify(heard.body, dict(heard.headers))
        assert (said["type"], said["data"]["file"]["id"]) == ("file.deleted", file["id"])
        assert len(receiver.calls) == 1


def test_a_webhook_hears_why_a_file_was_rejected(alice: Api) -> None:
    with a_receiver() as receiver:
        hook = a_hook(alice, receiver, ["file.ready", "file.rejected"])
        job = alice.chunked(b"\x7fELF" + bytes(60), "photo.jpg", chunk_size=10, reference="order-7")

        heard = eventually(lambda: receiver.calls[0] if receiver.calls else None)

        assert heard is not None
        said = Webhook(hook["secret"]).verify(heard.body, dict(heard.headers))
        file = said["data"]["file"]
        assert (said["type"], file["id"]) == ("file.rejected", job["upload_id"])
        assert (file["job_id"], file["reference"]) == (job["id"], "order-7")
        assert file["error"]["code"] == job["error"]["code"] == "type_not_allowed"


def test_webhooks_are_listed_shown_without_their_secret_and_removed(alice: Api) -> None:
    url = "https://93.184.215.14/hook"
    made = answered(
        alice.post("/api/v1/webhooks", json={"url": url, "events": ["file.ready"]}), 201
    )
    secret = made.pop("secret")

    assert secret.startswith("whsec_")
    assert answered(alice.get("/api/v1/webhooks"), 200)["items"] == [made]
    assert answered(alice.get(f"/api/v1/webhooks/{made['id']}"), 200) == made
    assert alice.delete(f"/api/v1/webhooks/{made['id']}").status_code == 204
    refused(alice.get(f"/api/v1/webhooks/{made['id']}"), 404, "webhook_not_found")


def test_metadata_tells_what_the_store_says_of_the_object(alice: Api, stack: Stack) -> None:
    file = alice.stored(text(), metadata={"colour": "grün"})

    said = answered(alice.get(f"/api/v1/files/{file['id']}/metadata"), 200)

    there = stack.s3.head_object(Bucket=stack.env["S3_BUCKET_NAME"], Key=file["s3_key"])
    assert {name: said[name] for name in file} == file
    assert (said["file_size"], said["content_type"]) == (there["ContentLength"], "text/plain")
    assert (said["etag"], said["metadata"]) == (there["ETag"].strip('"'), {"colour": "grün"})


def test_a_soft_delete_hides_the_file_and_keeps_the_object(alice: Api, books: Books) -> None:
    file = alice.stored(a_jpeg(64, 64), "beach.jpg")

    assert alice.delete(f"/api/v1/files/{file['id']}").status_code == 204

    for path in ("", "/metadata", "/download", "/presigned-url", "/thumbnails/small"):
        refused(alice.get(f"/api/v1/files/{file['id']}{path}"), 404, "file_not_found")
    assert listed(alice) == []
    assert [each["id"] for each in listed(alice, state="deleted")] == [file["id"]]
    assert books.objects(file["s3_key"]) == {file["s3_key"]}
    refused(alice.delete(f"/api/v1/files/{file['id']}"), 404)


def test_a_hard_delete_removes_rows_and_objects(alice: Api, books: Books) -> None:
    kept = alice.stored(text())
    with books.unchanged(uploads=1, jobs=1):
        file = alice.stored(a_jpeg(64, 64), "beach.jpg")
        places = f"thumbnails/{file['id']}/"
        assert len(books.objects(file["s3_key"]) | books.objects(places)) == 4

        answer = alice.delete(f"/api/v1/files/{file['id']}?hard_delete=true")

        assert answer.status_code == 204
        assert books.objects(file["s3_key"]) | books.objects(places) == set()
        assert books.count("files", id=file["id"]) == 0
        refused(alice.get(f"/api/v1/files/{file['id']}"), 404)
        assert [each["id"] for each in listed(alice, state="deleted")] == []
    assert alice.file(kept["id"]) == kept


def test_a_hidden_file_can_be_removed_for_good(alice: Api, books: Books) -> None:
    file = alice.stored(text())
    alice.delete(f"/api/v1/files/{file['id']}")

    answer = alice.delete(f"/api/v1/files/{file['id']}?hard_delete=true")

    assert answer.status_code == 204
    assert books.objects(file["s3_key"]) == set()


def test_the_token_of_the_command_line_opens_the_service(stack: Stack) -> None:
    token = stack.token("carol", tenant="acme", ttl="5m")

    with Api(stack.base_url, token) as carol:
        assert carol.stored(text())["owner"] == "carol"


def a_hook(api: Api, receiver: Receiver, events: list[str]) -> dict[str, Any]:
    asked = {"url": receiver.url(), "events": events}
    return answered(api.post("/api/v1/webhooks", json=asked), 201)


def listed(api: Api, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answered(api.get("/api/v1/files", params=query), 200)["items"]
    return found
