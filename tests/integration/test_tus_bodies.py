"""Bodies over tus as they are on the wire: in small pieces, with trailers, refused, cut."""

import base64
import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Final
from urllib.parse import urlsplit

import pytest

from shared.services.streams import LEAST_BODY, MOST_SMALL
from tests.e2e.wire import Answer
from tests.integration.conftest import Dial
from tests.support.api import Api
from tests.support.tus import BODY, Tus, metadata
from tests.support.waiting import eventually
from tests.support.web import Web, a_web

CHUNK: Final = 16 * 1024  # of a service whose chunks are shorter than what is looked at
TEXT: Final = b"The quick brown fox jumps over the lazy dog.\n"
PROGRAM: Final = b"MZ" + bytes(100_000)
NOTES: Final = metadata(filename="notes.txt")


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with a_web(tmp_path_factory.mktemp("web"), CHUNK_SIZE=str(CHUNK)) as web:
        yield web


@pytest.fixture
def tus(alice: Api) -> Tus:
    return Tus(alice)


def id_of(url: str) -> str:
    return url.split("/tus/")[1][:36]


def staged(web: Web, url: str) -> int:
    return len(list((web.folder / "staging").rglob(f"{id_of(url)}/*")))


def crumbs(web: Web, url: str, count: int) -> None:
    """Let an upload have come in so many pieces of a byte."""
    rows = [(id_of(url), 0, at, 1, "0" * 16, f"crumb-{at}") for at in range(count)]
    into = (
        'INSERT INTO chunks (upload_id, number, "offset", length, crc64, name) VALUES (?,?,?,?,?,?)'
    )
    with closing(sqlite3.connect(web.folder / "sluice.db")) as database, database:
        database.executemany(into, rows)
        database.execute("UPDATE uploads SET received = ? WHERE id = ?", (count, id_of(url)))


def pieces(*blocks: bytes) -> Iterator[bytes]:
    """A body in chunks of HTTP, whose length nobody says."""
    yield from blocks


def sha1(content: bytes) -> str:
    digest = hashlib.sha1(content, usedforsecurity=False).digest()
    return f"sha1 {base64.b64encode(digest).decode()}"


def chunked(
    dial: Dial, url: str, content: bytes, *, behind: Sequence[str] = (), said: Sequence[str] = ()
) -> Answer:
    """Send a PATCH from the start in one chunk of HTTP, with these trailers."""
    head = ("Tus-Resumable: 1.0.0", "Upload-Offset: 0", f"Content-Type: {BODY}")
    with dial() as wire:
        wire.head("PATCH", urlsplit(url).path, None, *head, "Transfer-Encoding: chunked", *said)
        wire.send(b"%x\r\n%s\r\n0\r\n" % (len(content), content))
        wire.send("".join(f"{line}\r\n" for line in (*behind, "")).encode())
        return wire.answer("PATCH")


# Small pieces.


def test_an_upload_in_very_many_pieces_takes_no_small_ones_any_more(web: Web, tus: Tus) -> None:
    url = tus.create(10 * LEAST_BODY, Upload_Metadata=NOTES)
    crumbs(web, url, MOST_SMALL)

    for body in (b"x", b"x" * (LEAST_BODY - 1), pieces(b"x", b"y")):
        answer = tus.patch(url, MOST_SMALL, body)
        assert (answer.status_code, answer.json()["type"]) == (422, "chunk_too_small")
        assert answer.json()["minimum"] == LEAST_BODY
    summed = tus.patch(url, MOST_SMALL, pieces(b"x"), Upload_Checksum=sha1(b"x"))
    assert summed.status_code == 422
    assert (tus.offset(url), staged(web, url)) == (MOST_SMALL, 0)

    tus.sent(url, b"x" * LEAST_BODY, MOST_SMALL)
    assert tus.patch(url, tus.offset(url), b"x").status_code == 422
    assert tus.patch(url, tus.offset(url), pieces(b"x" * LEAST_BODY, b"y")).status_code == 204


def test_one_piece_less_is_not_too_many(web: Web, tus: Tus) -> None:
    url = tus.create(LEAST_BODY, Upload_Metadata=NOTES)
    crumbs(web, url, MOST_SMALL - 1)

    tus.sent(url, b"x", MOST_SMALL - 1)

    assert tus.patch(url, MOST_SMALL, b"x").status_code == 422


@pytest.mark.parametrize("says_its_length", [True, False])
def test_a_body_of_several_chunks_is_kept_or_refused_as_one(
    web: Web, tus: Tus, says_its_length: bool
) -> None:
    body = b"x" * (3 * CHUNK)
    url = tus.create(10 * LEAST_BODY, Upload_Metadata=NOTES)
    crumbs(web, url, MOST_SMALL - 1)

    sent = tus.patch(url, MOST_SMALL - 1, body if says_its_length else pieces(body))
    assert sent.status_code == 204
    assert tus.offset(url) == MOST_SMALL - 1 + 3 * CHUNK
    assert tus.patch(url, tus.offset(url), pieces(body)).status_code == 422
    assert tus.offset(url) == MOST_SMALL - 1 + 3 * CHUNK


def test_large_pieces_are_no_small_ones(web: Web, tus: Tus) -> None:
    url = tus.create(None, Upload_Metadata=NOTES, Upload_Defer_Length="1")
    crumbs(web, url, MOST_SMALL)
    with closing(sqlite3.connect(web.folder / "sluice.db")) as database, database:
        database.execute(
            "UPDATE chunks SET length = ? WHERE upload_id = ?", (LEAST_BODY, id_of(url))
        )

    assert tus.patch(url, MOST_SMALL, b"x").status_code == 204


@pytest.mark.parametrize("size", [MOST_SMALL + 2, None])
def test_a_small_piece_that_ends_an_upload_is_always_taken(
    web: Web, tus: Tus, size: int | None
) -> None:
    said = {} if size else {"Upload_Defer_Length": "1"}
    url = tus.create(size, None, Upload_Metadata=NOTES, **said)
    crumbs(web, url, MOST_SMALL)
    length = {} if size else {"Upload_Length": str(MOST_SMALL + 2)}

    assert tus.patch(url, MOST_SMALL, b"x", **length).status_code == 422
    assert tus.patch(url, MOST_SMALL, b"xy", **length).status_code == 204

    assert "Upload-Job" in tus.head(url)


def test_so_little_of_a_cut_body_is_not_kept_and_the_next_one_goes_on(
    web: Web, tus: Tus, dial: Dial
) -> None:
    size = MOST_SMALL + 2 * LEAST_BODY
    url = tus.create(size, Upload_Metadata=NOTES)
    crumbs(web, url, MOST_SMALL)
    head = ("Tus-Resumable: 1.0.0", f"Upload-Offset: {MOST_SMALL}", f"Content-Type: {BODY}")
    for length, kept in ((100, 0), (LEAST_BODY + 100, LEAST_BODY + 100)):
        with dial() as wire:
            said = f"Content-Length: {2 * LEAST_BODY}"
            wire.head("PATCH", urlsplit(url).path, None, *head, said)
            wire.send(b"x" * length)
            wire.half_close()
            assert wire.answer("PATCH").headers["upload-offset"] == str(MOST_SMALL + kept)

    tus.sent(url, b"x" * (LEAST_BODY - 100), tus.offset(url))

    assert "Upload-Job" in tus.head(url)


# What is refused stores nothing.


@pytest.mark.parametrize(
    ("body", "said", "status"),
    [
        (TEXT, {"Upload_Checksum": sha1(b"other")}, 460),
        (b"", {"Upload_Checksum": sha1(b"other")}, 460),
        (TEXT * 3000, {}, 413),
        (PROGRAM, {}, 415),
        (TEXT, {"Content_Type": "text/plain"}, 415),
        (TEXT, {"Upload_Checksum": "sha3 eA=="}, 400),
    ],
)
def test_a_length_that_comes_with_refused_bytes_is_not_kept(
    web: Web, tus: Tus, body: bytes, said: dict[str, str], status: int
) -> None:
    url = tus.create(None, Upload_Metadata=NOTES, Upload_Defer_Length="1")

    answer = tus.patch(url, 0, body, Upload_Length="100002", **said)

    assert answer.status_code == status
    told = tus.head(url)
    assert (told["Upload-Defer-Length"], told["Upload-Offset"]) == ("1", "0")
    assert "Upload-Length" not in told
    assert staged(web, url) == 0


def test_a_length_is_kept_with_the_first_bytes_whatever_becomes_of_the_others(
    tus: Tus, dial: Dial
) -> None:
    url = tus.create(None, Upload_Metadata=NOTES, Upload_Defer_Length="1")
    head = ("Tus-Resumable: 1.0.0", "Upload-Offset: 0", f"Content-Type: {BODY}")
    with dial() as wire:
        length = ("Upload-Length: 900000", "Content-Length: 900000")
        wire.head("PATCH", urlsplit(url).path, None, *head, *length)
        wire.send(b"x" * 600_000)
        eventually(lambda: tus.head(url).get("Upload-Length") == "900000")
        wire.reset()

    def goes_on() -> bool:
        here = tus.offset(url)  # what was on its way comes in
        return tus.patch(url, here, b"x" * (900_000 - here)).status_code == 204

    assert tus.patch(url, tus.offset(url), b"", Upload_Length="900001").status_code in {400, 409}
    assert eventually(goes_on)
    assert "Upload-Job" in tus.head(url)


@pytest.mark.parametrize("size", [20, 0])
def test_a_length_may_come_with_a_body_in_chunks_that_is_empty(tus: Tus, size: int) -> None:
    url = tus.create(None, Upload_Metadata=NOTES, Upload_Defer_Length="1")

    answer = tus.patch(url, 0, pieces(), Upload_Length=str(size))

    assert (answer.status_code, answer.headers["Upload-Length"]) == (204, str(size))
    assert tus.patch(url, 0, pieces(), Upload_Length=str(size)).status_code == 204


def test_more_than_all_is_refused_in_chunks_too(tus: Tus) -> None:
    url = tus.create(5, b"hello", Upload_Metadata=NOTES)

    assert tus.patch(url, 5, pieces(b"x")).status_code == 413
    assert tus.patch(url, 5, pieces()).status_code == 204


def test_a_creation_with_an_empty_body_in_chunks_is_one_without_bytes(tus: Tus) -> None:
    said = {"Upload_Length": "5", "Upload_Metadata": NOTES}

    assert tus.ask("POST", "/tus/", pieces(), **said).status_code == 201
    assert tus.ask("POST", "/tus/", pieces(b"hello"), **said).status_code == 415
    whole = tus.ask("POST", "/tus/", pieces(b"hello"), Content_Type=BODY, **said)
    assert (whole.status_code, whole.headers["Upload-Offset"]) == (201, "5")


def test_a_join_may_have_an_empty_body_in_chunks(tus: Tus) -> None:
    part = tus.create(5, b"hello", Upload_Concat="partial")

    assert tus.ask("POST", "/tus/", pieces(b"x"), Upload_Concat=f"final;{part}").status_code == 400
    assert tus.ask("POST", "/tus/", pieces(), Upload_Concat=f"final;{part}").status_code == 201


def test_nothing_is_kept_of_a_program_however_short_chunks_are(web: Web, tus: Tus) -> None:
    url = tus.create(len(PROGRAM), Upload_Metadata=NOTES)

    for body in (PROGRAM, pieces(PROGRAM[:50_000], PROGRAM[50_000:])):
        assert tus.patch(url, 0, body).status_code == 415

    assert (tus.offset(url), staged(web, url)) == (0, 0)


# Trailers.

ANNOUNCED: Final = ("Trailer: Upload-Checksum",)


def test_a_checksum_may_come_behind_the_body(web: Web, tus: Tus, dial: Dial) -> None:
    url = tus.create(10 * len(TEXT), Upload_Metadata=NOTES)

    said = ("Trailer: X-Other, upload-checksum",)
    wrong = chunked(dial, url, TEXT, behind=[f"Upload-Checksum: {sha1(b'x')}"], said=said)
    assert (wrong.status, tus.offset(url), staged(web, url)) == (460, 0, 0)

    right = chunked(dial, url, TEXT, behind=[f"upload-checksum: {sha1(TEXT)}"], said=said)
    assert (right.status, right.headers["upload-offset"]) == (204, str(len(TEXT)))


@pytest.mark.parametrize(
    ("behind", "said"),
    [
        ((), ANNOUNCED),
        (("X-Other: 1",), ANNOUNCED),
        (("Upload-Checksum: sha3 eA==",), ANNOUNCED),
        ((f"Upload-Checksum: {sha1(TEXT)}",) * 2, ANNOUNCED),
        ((f"Upload-Checksum: {sha1(TEXT)}",), (*ANNOUNCED, f"Upload-Checksum: {sha1(TEXT)}")),
        (("no field",), ANNOUNCED),
    ],
)
def test_a_body_whose_announced_checksum_does_not_come_once_is_refused(
    web: Web, tus: Tus, dial: Dial, behind: Sequence[str], said: Sequence[str]
) -> None:
    url = tus.create(len(TEXT), Upload_Metadata=NOTES)

    answer = chunked(dial, url, TEXT, behind=behind, said=said)

    assert (answer.status, tus.offset(url), staged(web, url)) == (400, 0, 0)


def test_a_body_that_is_cut_before_its_checksum_is_not_kept(web: Web, tus: Tus, dial: Dial) -> None:
    url = tus.create(10 * LEAST_BODY, Upload_Metadata=NOTES)
    head = ("Tus-Resumable: 1.0.0", "Upload-Offset: 0", f"Content-Type: {BODY}", *ANNOUNCED)
    with dial() as wire:
        wire.head("PATCH", urlsplit(url).path, None, *head, "Transfer-Encoding: chunked")
        wire.send(b"%x\r\n%s\r\n0\r\n" % (2 * LEAST_BODY, b"x" * 2 * LEAST_BODY))
        wire.half_close()
        answer = wire.answer("PATCH")

    assert (answer.status, tus.offset(url), staged(web, url)) == (400, 0, 0)


def test_a_trailer_needs_a_body_in_chunks(tus: Tus) -> None:
    url = tus.create(len(TEXT), Upload_Metadata=NOTES)

    assert tus.patch(url, 0, TEXT, Trailer="Upload-Checksum").status_code == 400
    assert tus.offset(url) == 0


def test_a_trailer_that_was_not_announced_says_nothing(tus: Tus, dial: Dial) -> None:
    url = tus.create(len(TEXT), Upload_Metadata=NOTES)

    assert chunked(dial, url, TEXT, behind=[f"Upload-Checksum: {sha1(b'x')}"]).status == 204


def test_a_creation_may_have_its_checksum_behind_its_bytes(tus: Tus, dial: Dial) -> None:
    head = ("Tus-Resumable: 1.0.0", "Upload-Length: 5", f"Content-Type: {BODY}", *ANNOUNCED)
    statuses = []
    for content in (b"other", b"hello"):
        with dial() as wire:
            token = tus.api.token
            wire.head("POST", "/tus/", token, *head, "Transfer-Encoding: chunked")
            wire.send(b"5\r\nhello\r\n0\r\nUpload-Checksum: %s\r\n\r\n" % sha1(content).encode())
            statuses.append(wire.answer("POST").status)

    assert statuses == [460, 201]


def test_a_connection_serves_on_behind_a_trailer(tus: Tus, dial: Dial) -> None:
    url = tus.create(10 * len(TEXT), Upload_Metadata=NOTES)
    head = ("Tus-Resumable: 1.0.0", f"Content-Type: {BODY}", *ANNOUNCED)
    statuses = []
    with dial() as wire:
        for number in range(3):
            offset = f"Upload-Offset: {number * len(TEXT)}"
            said = (*head, offset, "Transfer-Encoding: chunked")
            wire.head("PATCH", urlsplit(url).path, None, *said)
            body = b"%x\r\n%s\r\n0\r\nUpload-Checksum: %s\r\n\r\n"
            wire.send(body % (len(TEXT), TEXT, sha1(TEXT).encode()))
            statuses.append(wire.answer("PATCH").status)

    assert statuses == [204] * 3
