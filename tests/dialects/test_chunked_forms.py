"""Forms of `/upload/chunk`: fields before and after the chunk, what is wrong with them, cut ones."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import pytest

from tests.dialects.conftest import Clients
from tests.dialects.sessions import PATH, cleared, complete, said, sent, session
from tests.e2e.books import Books
from tests.support.api import Api
from tests.support.samples import mp3

MIB: Final = 1024**2
BOUNDARY: Final = "9051914041544843365972754266"
Part = tuple[str, bytes]


@pytest.fixture(autouse=True)
def _tidy(books: Books) -> Iterator[None]:
    """Leave the next test no folder that goes while it looks."""
    yield
    cleared(books)


@pytest.fixture
def client(clients: Clients) -> Api:
    return clients("alice")


def field(name: str, value: Any) -> Part:
    return f'form-data; name="{name}"', str(value).encode()


def file(content: bytes, name: str = "chunk") -> Part:
    return f'form-data; name="{name}"; filename="blob"', content


def form(parts: Sequence[Part], end: str = f"--{BOUNDARY}--\r\n") -> bytes:
    written = b"".join(
        f"--{BOUNDARY}\r\nContent-Disposition: {head}\r\n\r\n".encode() + content + b"\r\n"
        for head, content in parts
    )
    return written + end.encode()


def post(client: Api, body: Any, **headers: str) -> Any:
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    return client.post(f"{PATH}/chunk", data=body, headers={"Content-Type": kind, **headers})


@pytest.mark.parametrize("order", ["sic", "sci", "isc", "ics", "csi", "cis"])
@pytest.mark.parametrize("length", [1, 70_000, 9 * MIB])
def test_fields_may_stand_on_either_side_of_the_chunk(
    client: Api, books: Books, order: str, length: int
) -> None:
    opened, content = session(client), (mp3() + bytes(length))[:length]
    parts = {"s": field("upload_session_id", opened), "i": field("chunk_index", 0)}
    parts["c"] = file(content)

    said(post(client, form([parts[each] for each in order])), 200)

    folders = {name.split("/")[1] for name in books.staged()}
    assert opened in folders
    assert books.count("chunks", upload_id=opened) == -(-length // (8 * MIB))
    if length > 1:
        said(complete(client, opened, 1), 200)
        assert client.download(opened).content == content


def test_a_chunk_that_names_its_place_last_is_still_compared(client: Api, books: Books) -> None:
    opened = session(client)
    sent(client, opened, [mp3()])
    place = [field("upload_session_id", opened), field("chunk_index", 0)]

    with books.unchanged():
        said(post(client, form([file(mp3()), *place])), 200)
        said(post(client, form([file(mp3()[:-1]), *place])), 409)


def test_a_form_without_a_length_is_taken_as_it_comes(client: Api) -> None:
    opened, content = session(client), mp3() + bytes(2 * MIB)
    place = [field("upload_session_id", opened), field("chunk_index", 0)]
    body = form([*place, file(content)])

    said(post(client, (body[at : at + 10_007] for at in range(0, len(body), 10_007))), 200)
    said(complete(client, opened, 1), 200)

    assert client.download(opened).content == content


def test_other_fields_are_passed_over_and_the_chunk_needs_no_name(client: Api) -> None:
    opened = session(client)
    parts = [field("other", "x"), field("upload_session_id", opened), field("chunk_index", " 0 ")]

    said(post(client, form([*parts, ('form-data; name="chunk"', mp3()), field("more", 1)])), 200)
    said(complete(client, opened, 1), 200)

    assert client.download(opened).content == mp3()


S: Final = field("upload_session_id", "SESSION")
I: Final = field("chunk_index", "0")  # noqa: E741  # its letter
C: Final = file(b"bytes")
BAD_FORMS: Final[list[tuple[list[Part], int]]] = [
    ([], 422),
    ([S, I], 422),
    ([C], 422),
    ([S, C], 422),
    ([I, C], 422),
    ([C, S], 422),
    ([C, I], 422),
    ([S, I, file(b"")], 400),
    ([file(b""), S, I], 400),
    ([S, I, C, C], 400),
    ([S, I, C, file(b"x", "other")], 400),
    ([file(b"x", "other"), S, I, C], 400),
    ([S, S, I, C], 400),
    ([S, I, C, S], 400),
    ([S, I, C, field("chunk_index", "1")], 400),
    ([S, I, C, field("x", "x" * 70_000)], 413),
    ([field("x", "x" * 70_000), S, I, C], 413),
    ([*(field(f"x{n}", "x") for n in range(33)), S, I, C], 413),
    ([S, I, C, ("attachment", b"")], 200),
    *(
        ([S, field("chunk_index", index), C], 400)
        for index in ("", "-1", "1.0", "x", "٣", "0x1", "1e3", "9" * 30, "\x00")
    ),
    ([S, field("chunk_index", "10000"), C], 409),
    ([field("upload_session_id", ""), I, C], 404),
    ([field("upload_session_id", "\x00" * 36), I, C], 404),
]


@pytest.mark.parametrize(("parts", "status"), BAD_FORMS)
def test_what_is_wrong_in_a_form_is_refused_and_leaves_nothing(
    client: Api, books: Books, parts: list[Part], status: int
) -> None:
    opened = session(client)
    meant = [(head, content.replace(b"SESSION", opened.encode())) for head, content in parts]

    if status == 200:
        said(post(client, form(meant)), status)
        return
    with books.unchanged():
        said(post(client, form(meant)), status)


@pytest.mark.parametrize("keep", [0, 1, 60, 200, -200, -60, -8, -5])
@pytest.mark.parametrize("fields_last", [False, True])
def test_a_form_that_ends_early_is_refused_and_leaves_nothing(
    client: Api, books: Books, keep: int, fields_last: bool
) -> None:
    opened = session(client)
    place = [field("upload_session_id", opened), field("chunk_index", 0)]
    whole = form([file(bytes(100_000)), *place] if fields_last else [*place, file(bytes(100_000))])

    with books.unchanged():
        said(post(client, whole[:keep]), 400)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json"},
        {"Content-Type": "application/octet-stream"},
        {"Content-Type": "multipart/form-data"},
        {"Content-Type": "multipart/form-data; boundary="},
        {"Content-Type": "multipart/form-data; boundary=another"},
    ],
)
def test_a_body_that_is_no_such_form_is_refused(
    client: Api, books: Books, headers: dict[str, str]
) -> None:
    opened = session(client)
    body = form([field("upload_session_id", opened), field("chunk_index", 0), file(b"x")])

    with books.unchanged():
        said(client.post(f"{PATH}/chunk", data=body, headers=headers), 400)


def test_a_coded_form_is_refused(client: Api) -> None:
    said(post(client, b"x", **{"Content-Encoding": "gzip"}), 415)


def test_a_file_may_not_grow_beyond_the_limit_but_be_repeated_at_it(
    client: Api, books: Books
) -> None:
    opened, rest = session(client), bytes(12 * MIB)
    sent(client, opened, [mp3(), rest])

    sent(client, opened, {1: rest})
    with books.unchanged():
        place = [field("upload_session_id", opened), field("chunk_index", 2)]
        body = said(post(client, form([*place, file(rest)])), 413)
        last = said(post(client, form([file(rest), *place])), 413)

    assert (body["code"], last["code"]) == ("too_large", "too_large")
