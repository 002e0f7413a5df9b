"""Bodies that end before they should, or are longer than they may be; and requests torn apart."""

from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tests.e2e.books import Books
from tests.support.api import Api, Body, answered, refused
from tests.support.fixtures import MIB, MOST, Dial, Discreet
from tests.support.samples import text
from tests.support.stack import Stack

CHUNK: Final = 1000
EDGE: Final = "b0undary"
FORM: Final = f"Content-Type: multipart/form-data; boundary={EDGE}"
UPLOAD: Final = "/api/v1/files/upload"
HEAD: Final = (
    f"--{EDGE}\r\nContent-Disposition: form-data; "
    'name="file"; filename="notes.txt"\r\nContent-Type: text/plain\r\n\r\n'
).encode()
FIELD: Final = (
    f'\r\n--{EDGE}\r\nContent-Disposition: form-data; name="folder"\r\n\r\nnotes'.encode()
)
END: Final = f"\r\n--{EDGE}--\r\n".encode()


@pytest.fixture
def upload(alice: Api) -> Body:
    return alice.open_upload(size=2 * CHUNK, chunk_size=CHUNK)


@pytest.mark.parametrize("sent", [0, 1, CHUNK - 1])
def test_a_chunk_shorter_than_it_said_is_not_kept(
    alice: Api, books: Books, dial: Dial, discreet: Discreet, upload: Body, sent: int
) -> None:
    with books.unchanged(), dial() as wire:
        wire.head("PUT", place(upload), alice.token, f"Content-Length: {CHUNK}")
        wire.send(b"x" * sent)
        wire.half_close()
        answer = discreet(wire.answer())

    assert (answer.status, answer.json()["type"]) == (400, "body_cut")
    assert answer.json()["received"] == sent


def test_a_chunk_in_pieces_that_ends_too_early_is_not_kept(
    alice: Api, books: Books, dial: Dial, discreet: Discreet, upload: Body
) -> None:
    for piece in (b"3e8\r\n" + b"x" * 500, b"1f4\r\n" + b"x" * 500 + b"\r\n", b"", b"3e"):
        with books.unchanged(), dial() as wire:
            wire.head("PUT", place(upload), alice.token, "Transfer-Encoding: chunked")
            wire.send(piece)
            wire.half_close()
            answer = discreet(wire.answer())

        assert answer.status == 400, piece


def test_a_chunk_in_pieces_that_is_whole_but_short_is_not_kept(
    alice: Api, books: Books, upload: Body
) -> None:
    with books.unchanged():
        answer = alice.put(place(upload), data=iter([b"x" * 500, b"y" * 499]))

    refused(answer, 400, "body_cut")


def test_a_chunk_in_pieces_is_as_good_as_one_in_one(alice: Api, upload: Body) -> None:
    pieces = iter([b"x", b"y" * 500, b"z" * 499])

    assert answered(alice.put(place(upload), data=pieces), 200)["length"] == CHUNK


@pytest.mark.parametrize(
    "framing", ["zz\r\n", "-1\r\n", "0x3e8\r\n", "3e8;\r\n\r\n", "+3e8\r\n", "3_e8\r\n"]
)
def test_pieces_of_an_odd_length_are_refused(
    alice: Api, books: Books, dial: Dial, discreet: Discreet, upload: Body, framing: str
) -> None:
    with books.unchanged(), dial() as wire:
        wire.head("PUT", place(upload), alice.token, "Transfer-Encoding: chunked")
        wire.send(framing.encode() + b"x" * 500 + b"\r\n0\r\n\r\n")
        wire.half_close()
        answer = discreet(wire.answer())

    assert answer.status == 400


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 1000", "Transfer-Encoding: chunked"),
        ("Content-Length: 1000", "Content-Length: 5"),
        ("Content-Length: +1000",),
        ("Content-Length: -1",),
        ("Content-Length: 1_000",),
        ("Content-Length: 0x3e8",),
        ("Content-Length: 1000, 1000",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding : chunked",),
        ("Content-Length : 1000",),
    ],
    ids=str,
)
def test_a_length_that_may_be_read_in_two_ways_is_refused(
    alice: Api, books: Books, dial: Dial, discreet: Discreet, upload: Body, lines: tuple[str, ...]
) -> None:
    with books.unchanged(), dial() as wire:
        wire.head("PUT", place(upload), alice.token, *lines)
        wire.send(b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
        wire.half_close()
        answer = discreet(wire.answer())

    assert answer.status in {400, 501}


def test_a_chunk_without_a_length_has_no_bytes(
    alice: Api, books: Books, dial: Dial, discreet: Discreet, upload: Body
) -> None:
    with books.unchanged(), dial() as wire:
        wire.head("PUT", place(upload), alice.token)
        answer = discreet(wire.answer())

    assert answer.status in {400, 409, 411}


CUT_FORMS: Final[dict[str, bytes]] = {
    "nothing": b"",
    "half an edge": HEAD[:5],
    "half a head": HEAD[:40],
    "no content": HEAD,
    "some of the content": HEAD + text()[:20],
    "no edge behind the content": HEAD + text(),
    "half an edge behind it": HEAD + text() + END[:6],
    "an edge that does not close": HEAD + text() + END[:-4],
    "some of the next field": HEAD + text() + FIELD[:30],
    "no edge behind the next field": HEAD + text() + FIELD,
}


@pytest.mark.parametrize("form", CUT_FORMS.values(), ids=CUT_FORMS.keys())
@pytest.mark.parametrize(
    "framing", ["shorter than said", "as long as said", "in pieces", "cut piece"]
)
def test_a_form_that_ends_too_early_leaves_nothing(
    alice: Api, books: Books, dial: Dial, discreet: Discreet, form: bytes, framing: str
) -> None:
    body = {
        "shorter than said": form,
        "as long as said": form,
        "in pieces": b"%x\r\n%b\r\n0\r\n\r\n" % (len(form), form) if form else b"0\r\n\r\n",
        "cut piece": b"%x\r\n%b" % (len(form) + 50, form),
    }[framing]
    length = len(form) + (50 if framing == "shorter than said" else 0)
    said = "Transfer-Encoding: chunked" if "piece" in framing else f"Content-Length: {length}"

    with books.unchanged(), dial() as wire:
        wire.head("POST", UPLOAD, alice.token, FORM, said)
        wire.send(body)
        wire.half_close()
        answer = discreet(wire.answer())

    assert answer.status in {400, 422}, answer.body
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("end", ["closed", "reset"])
def test_a_client_that_goes_away_leaves_nothing(
    alice: Api, books: Books, dial: Dial, upload: Body, end: str
) -> None:
    requests_begun = (
        ("PUT", place(upload), "X-Nothing: here", CHUNK, b"x" * 500),
        ("POST", UPLOAD, FORM, 8 * MIB, HEAD + b"x" * MIB),
    )
    for method, target, head, length, body in requests_begun:
        with books.unchanged(), dial() as wire:
            wire.head(method, target, alice.token, head, f"Content-Length: {length}")
            wire.send(body)
            if end == "reset":
                wire.reset()
            else:
                wire.close()


def test_a_declared_size_over_the_limit_is_refused_at_once(alice: Api, books: Books) -> None:
    with books.unchanged():
        asked = {"filename": "film.mp4", "size": MOST + 1}
        problem = refused(alice.post("/api/v1/uploads", json=asked), 413, "too_large")

    assert problem["limit"] == MOST


TOO_LARGE: Final[dict[str, Callable[[Body], tuple[str, str, str, int]]]] = {
    "a chunk of more than its place": lambda upload: (
        "PUT", place(upload), "X-Nothing: here", CHUNK + 1,
    ),
    "a chunk of a gibibyte": lambda upload: ("PUT", place(upload), "X-Nothing: here", 1024 * MIB),
    "a chunk of more than there is room": lambda upload: (
        "PUT", place(upload, "endless"), "X-Nothing: here", MOST + 1,
    ),
    "a form": lambda _: ("POST", UPLOAD, FORM, MOST + 2 * MIB),
    "an object": lambda _: ("POST", "/api/v1/uploads", "Content-Type: application/json", 2 * MIB),
}  # fmt: skip


@pytest.mark.parametrize("expect", [False, True], ids=["at once", "with Expect"])
@pytest.mark.parametrize("make", TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_what_is_too_large_is_refused_before_its_bytes_are_sent(
    alice: Api,
    books: Books,
    dial: Dial,
    discreet: Discreet,
    upload: Body,
    make: Callable[[Body], tuple[str, str, str, int]],
    *,
    expect: bool,
) -> None:
    endless = alice.open_upload()
    method, target, head, length = make({**upload, "endless": endless["id"]})
    expectation = ["Expect: 100-continue"] if expect else []

    with books.unchanged(), dial() as wire:
        wire.head(method, target, alice.token, head, f"Content-Length: {length}", *expectation)
        answer = discreet(wire.answer())

    assert (answer.status, answer.json()["type"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("target", "token", "status"),
    [
        (UPLOAD, None, 401),
        (UPLOAD, "forged", 401),
        ("/api/v1/uploads/01890000-0000-7000-8000-000000000000/chunks/0", "good", 404),
        ("/api/v1/nowhere", "good", 404),
        ("/api/v1/files", "good", 405),
    ],
)
def test_other_refusals_do_not_wait_for_the_body_either(
    alice: Api, dial: Dial, discreet: Discreet, target: str, token: str | None, status: int
) -> None:
    method = "PUT" if "chunks" in target else "POST"
    said = alice.token if token == "good" else token

    with dial() as wire:
        wire.head(method, target, said, FORM, f"Content-Length: {20 * MIB}")
        answer = discreet(wire.answer())

    assert answer.status == status


def test_who_expects_to_be_asked_is_asked_and_heard(
    alice: Api, dial: Dial, discreet: Discreet, upload: Body
) -> None:
    with dial() as wire:
        wire.head("PUT", place(upload), alice.token, "Content-Length: 1000", "Expect: 100-continue")
        assert wire.interim() == 100
        wire.send(b"x" * CHUNK)
        answer = discreet(wire.answer())

    assert answer.status == 200


def test_who_sends_all_the_same_reads_the_refusal(alice: Api, books: Books) -> None:
    with books.unchanged():
        opened = {"filename": "notes.txt", "size": 5, "colour": "red"}
        refused(alice.post("/api/v1/uploads", json=opened), 422)
        for length in (100, 65_535, 65_536, 65_537, MIB):
            target = f"/api/v1/uploads/01890000-0000-7000-8000-000000000000/chunks/{length % 7}"
            refused(alice.put(target, data=b"x" * length), 404, "upload_not_found")


def test_a_body_of_unsaid_length_is_refused_where_the_limit_is(
    alice: Api, books: Books, upload: Body
) -> None:
    with books.unchanged():
        answer = alice.put(place(upload), data=iter([b"x" * CHUNK, b"x"]))

        refused(answer, 413, "too_large")


def test_a_form_of_unsaid_length_is_refused_where_the_limit_is(alice: Api, books: Books) -> None:
    def form() -> Iterator[bytes]:
        yield HEAD
        for _ in range(MOST // MIB + 1):
            yield b"x" * MIB
        yield END

    with books.unchanged():
        answer = alice.post(UPLOAD, data=form(), headers={"Content-Type": FORM.partition(": ")[2]})

        refused(answer, 413, "too_large")


def test_an_upload_of_unknown_size_grows_to_the_limit_and_not_beyond(
    alice: Api, books: Books
) -> None:
    opened = alice.open_upload()
    half = b"0123456789abcde\n" * (MOST // 32)
    answered(alice.put_chunk(opened["id"], 0, half), 200)
    answered(alice.put_chunk(opened["id"], 1, half), 200)

    with books.unchanged():
        refused(alice.put_chunk(opened["id"], 2, b"x"), 413, "too_large")
        refused(alice.put(place(opened, number=2), data=iter([b"x"])), 413, "too_large")

    assert alice.ended(alice.complete(opened["id"])["id"])["state"] == "succeeded"


def test_a_kind_of_file_has_a_limit_of_its_own(alice: Api, books: Books, stack: Stack) -> None:
    assert stack.environment["MAX_SIZE_IMAGE"] == str(MOST)
    with books.unchanged():
        asked = {"filename": "photo.jpg", "content_type": "image/jpeg", "size": MOST + 1}
        refused(alice.post("/api/v1/uploads", json=asked), 413, "too_large")


def place(upload: Body, name: str = "id", *, number: int = 0) -> str:
    return f"/api/v1/uploads/{upload[name]}/chunks/{number}"
