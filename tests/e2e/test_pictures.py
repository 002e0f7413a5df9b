"""Pictures that can't be opened, and pictures that should not be."""

import threading
import time
from collections.abc import Callable
from typing import Final

import pytest

from tests.e2e.books import Books
from tests.support.api import Api, answered, refused
from tests.support.bombs import (
    a_frame_bomb,
    a_pixel_bomb,
    a_text_bomb,
    with_wrong_checksum,
)
from tests.support.pictures import SECRET, a_jpeg, a_png
from tests.support.samples import text
from tests.support.stack import Stack

BROKEN: Final = {
    "a photo cut in half": ("photo.jpg", a_jpeg(400, 300)[:2000]),
    "a drawing cut in half": ("drawing.png", a_png(400, 300)[:300]),
    "a drawing of a wrong checksum": ("drawing.png", with_wrong_checksum(a_png(40, 30), b"IHDR")),
    "a photo of zeros": ("photo.jpg", a_jpeg(40, 30)[:200] + bytes(2000)),
    "the head of a webp": ("photo.webp", b"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0" + bytes(24)),
    "the head of a gif": ("photo.gif", b"GIF89a\x10\0\x10\0\x80\0\0" + bytes(10)),
}


@pytest.mark.parametrize(("filename", "content"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_picture_is_rejected_with_a_reason(
    alice: Api, books: Books, filename: str, content: bytes
) -> None:
    with books.unchanged(uploads=2, jobs=2):
        job = alice.chunked(content, filename)
        problem = refused(alice.submit(content, filename), 422)

        assert (job["state"], job["attempt"], job["file_id"]) == ("rejected", 1, None)
        assert job["error"]["code"] == problem["type"] == "image_broken"
        assert job["error"]["detail"] == problem["detail"]


def test_an_exploding_picture_is_rejected_while_others_go_on(
    alice: Api, bob: Api, books: Books
) -> None:
    bomb = a_pixel_bomb(20_000, 20_000)
    with books.unchanged(uploads=2, jobs=2):
        began = time.monotonic()
        job = answered(alice.submit(bomb, "bomb.png", Prefer="wait=0"), 202)
        meanwhile = bob.stored(text())
        ended = alice.ended(job["id"], 20)

        assert time.monotonic() - began < 20
        assert (ended["state"], ended["error"]["code"]) == ("rejected", "image_too_large")
        assert bob.delete(f"/api/v1/files/{meanwhile['id']}?hard_delete=true").status_code == 204


@pytest.mark.parametrize(
    "make",
    [
        lambda: a_text_bomb(b"zTXt"),
        lambda: a_text_bomb(b"iCCP"),
        lambda: a_pixel_bomb(60_000, 800),
    ],
    ids=["text", "profile", "just under the limit of pixels"],
)
def test_other_bombs_end_and_leave_the_worker_alive(
    alice: Api, stack: Stack, make: Callable[[], bytes]
) -> None:
    worker = stack.process("worker").pid

    job = alice.chunked(make(), "bomb.png")

    assert job["state"] in {"rejected", "succeeded"}
    assert job["attempt"] == 1
    assert alice.stored(text())["size"] == len(text())
    assert stack.process("worker").pid == worker


def test_of_many_frames_one_is_looked_at(alice: Api) -> None:
    job = alice.chunked(a_frame_bomb(), "many.gif", chunk_size=2**20)

    assert job["state"] == "succeeded"
    assert len(job["file"]["thumbnails"]) == 3


def test_several_bombs_at_once_do_not_stop_the_service(alice: Api, bob: Api) -> None:
    bomb = a_pixel_bomb(20_000, 20_000)
    jobs: list[str] = []

    def send() -> None:
        with Api(alice.base_url, alice.token) as api:
            jobs.append(answered(api.submit(bomb, "bomb.png", Prefer="wait=0"), 202)["id"])

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    file = bob.stored(text())

    assert {alice.ended(job)["state"] for job in jobs} == {"rejected"}
    assert bob.download(file["id"]).content == text()


def test_a_thumbnail_tells_nothing_of_the_camera(alice: Api) -> None:
    photo = a_jpeg(400, 300, gps=True)
    file = alice.stored(photo, "beach.jpg")

    assert SECRET.encode() in alice.download(file["id"]).content
    for small in file["thumbnails"]:
        content = alice.get(small["url"]).content
        assert SECRET.encode() not in content
        assert b"EXIF" not in content


def test_a_turned_photo_stands_upright_in_its_thumbnails(alice: Api) -> None:
    file = alice.stored(a_jpeg(300, 200, orientation=6), "beach.jpg")

    sizes = {(small["width"] > small["height"]) for small in file["thumbnails"]}

    assert sizes == {file["width"] > file["height"]}
