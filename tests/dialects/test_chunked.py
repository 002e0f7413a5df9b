"""`/upload` as its document shows it: sessions, chunks cut as the client likes, what is answered."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.dialects import sessions
from tests.dialects.conftest import Clients
from tests.dialects.sessions import (
    chunk,
    cleared,
    complete,
    delete,
    init,
    listed,
    said,
    sent,
    session,
)
from tests.dialects.sessions import stored as stored_in_chunks
from tests.e2e.books import Books
from tests.support.api import Api
from tests.support.samples import mp3, pdf, text, wav
from tests.support.samples_sound import aiff, amr, wma
from tests.support.samples_video import mp4

NOBODY: Final = "; there is no main service to notify."


@pytest.fixture(autouse=True)
def _tidy(books: Books) -> Iterator[None]:
    """Leave the next test no folder that goes while it looks."""
    yield
    cleared(books)


@pytest.fixture
def client(clients: Clients) -> Api:
    return clients("alice")


def content_of(client: Api, opened: str) -> bytes:
    answer = client.download(opened)
    assert answer.status_code == 200, answer.text
    return bytes(answer.content)


def test_a_file_goes_through_the_documents_three_calls(client: Api) -> None:
    opened = said(init(client), 200)
    assert opened["message"] == "Upload session initialized."
    assert set(opened["data"]) == {"upload_session_id"}
    name, content = opened["data"]["upload_session_id"], mp3()

    sent(client, name, [content[:1000], content[1000:]])
    body = said(complete(client, name, 2), 200)

    key = f"{client.tenant}/alice/123/audio.mp3"
    assert body["message"] == f"File upload completed{NOBODY}"
    assert body["data"]["notified"] is False
    place = body["data"]["file_path_on_upload_service"]
    assert urlsplit(place).path.endswith(f"/{key}")
    assert listed(client) == [place]
    assert content_of(client, name) == content


@pytest.mark.parametrize(
    ("filename", "content", "content_type"),
    [
        ("voice.amr", amr(), "audio/amr"),
        ("take.aiff", aiff(), "audio/aiff"),
        ("song.wma", wma(), "audio/x-ms-wma"),
        ("voice.3gp", mp4(brand=b"3gp4", handlers=(b"soun",)), "audio/3gpp"),
    ],
)
def test_what_recorders_write_is_audio(
    client: Api, filename: str, content: bytes, content_type: str
) -> None:
    opened, _ = stored_in_chunks(client, content, filename, pieces=1)

    assert client.file(opened)["content_type"] == content_type


def test_chunks_of_any_lengths_in_any_order_are_one_file(client: Api) -> None:
    content, opened = wav() + bytes(5000), session(client, "voice.wav")
    ends = [0, 1, 2, 700, 701, 3000, len(content)]
    chunks = {n: content[ends[n] : ends[n + 1]] for n in range(len(ends) - 1)}
    order = list(chunks)
    random.Random(4).shuffle(order)  # noqa: S311  # an order, no secret

    sent(client, opened, {n: chunks[n] for n in order})
    said(complete(client, opened, len(chunks)), 200)

    assert content_of(client, opened) == content


def test_chunks_in_parallel_are_one_file(client: Api) -> None:
    content, opened = mp3(400), session(client)
    cut = [content[start : start + 999] for start in range(0, len(content), 999)]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: chunk(client, opened, n, cut[n]), range(len(cut))))

    assert {answer.status_code for answer in answers} == {200}
    said(complete(client, opened, len(cut)), 200)
    assert content_of(client, opened) == content


def test_chunks_of_one_byte_are_one_file(client: Api) -> None:
    content, opened = mp3(1)[:60], session(client)

    sent(client, opened, [content[n : n + 1] for n in range(len(content))])
    said(complete(client, opened, len(content)), 200)

    assert content_of(client, opened) == content


def test_a_chunk_larger_than_our_own_is_one_chunk(client: Api) -> None:
    content, opened = mp3() + bytes(9 * 1024**2), session(client)

    sent(client, opened, [content])
    sent(client, opened, [content])
    said(complete(client, opened, 1), 200)

    assert content_of(client, opened) == content


def test_the_same_chunk_again_is_success_and_another_is_not(client: Api, books: Books) -> None:
    opened = session(client)
    sent(client, opened, [mp3()])

    with books.unchanged():
        sent(client, opened, [mp3()])
        assert said(chunk(client, opened, 0, mp3()[:-1]), 409)["code"] == "chunk_conflict"


def test_of_many_that_race_for_one_number_one_wins(client: Api) -> None:
    opened = session(client)

    with ThreadPoolExecutor(6) as pool:
        rivals = [bytes([65 + n]) * 500 for n in range(6)]
        answers = list(pool.map(lambda rival: chunk(client, opened, 0, rival), rivals))

    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5


def test_gaps_are_named_and_can_be_filled(client: Api) -> None:
    content, opened = mp3(), session(client)
    sent(client, opened, {1: content[100:200], 3: content[300:]})

    assert said(complete(client, opened, 4), 409)["missing"] == [0, 2]
    sent(client, opened, {0: content[:100], 2: content[200:300]})
    assert said(complete(client, opened, 5), 409)["missing"] == [4]
    assert "More chunks" in said(complete(client, opened, 3), 422)["message"]
    said(complete(client, opened, 4), 200)

    assert content_of(client, opened) == content


def test_completing_again_is_answered_the_same(client: Api, books: Books) -> None:
    opened, first = stored_in_chunks(client, mp3())

    assert said(complete(client, opened, 3), 200) == first
    assert books.count("jobs", upload_id=opened) == 1


@pytest.mark.parametrize("index", [10_000, 10**14])
def test_a_number_beyond_the_last_is_refused(client: Api, books: Books, index: int) -> None:
    opened = session(client)

    with books.unchanged():
        assert said(chunk(client, opened, index, b"x"), 409)["code"] == "chunk_misplaced"


def test_another_main_service_file_id_completes_nothing(client: Api, books: Books) -> None:
    opened = session(client)
    sent(client, opened, [mp3()])

    with books.unchanged():
        said(complete(client, opened, 1, number=124), 409)

    said(complete(client, opened, 1), 200)


def test_numbers_may_come_as_text(client: Api) -> None:
    opened = session(client, number=" 0123")
    sent(client, opened, [mp3()])

    said(complete(client, opened, "1", number=123.0), 200)

    assert client.file(opened)["reference"] == "123"


def test_what_nobody_knows_is_passed_over_and_null_is_nothing(client: Api) -> None:
    asked = {"main_service_file_id": 7, "original_file_name": "a.mp3", "replace": None, "else": 1}

    opened = said(client.post(f"{sessions.PATH}/init", json=asked), 200)["data"]
    sent(client, opened["upload_session_id"], [mp3()])
    said(complete(client, opened["upload_session_id"], 1, number=7, user={"id": 1}), 200)

    gone = {**opened, "reason": "old"}
    said(client.delete(f"{sessions.PATH}/file", json=gone), 200)


def test_an_init_after_a_crash_begins_anew(client: Api, books: Books) -> None:
    first = session(client)
    sent(client, first, [mp3()])

    second = session(client)

    assert second != first
    assert [name for name in books.staged() if first in name] == []
    assert said(chunk(client, first, 1, b"x"), 409)["code"] == "upload_not_receiving"
    said(complete(client, first, 1), 409)
    sent(client, second, [mp3(5)])
    said(complete(client, second, 1), 200)
    assert content_of(client, second) == mp3(5)


def test_of_many_inits_at_once_one_session_is_left(client: Api) -> None:
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: init(client), range(5)))

    opened = [said(answer, 200)["data"]["upload_session_id"] for answer in answers]
    open_still = [name for name in opened if chunk(client, name, 0, mp3()).status_code == 200]
    assert len(open_still) == 1


def test_another_name_number_or_user_is_another_session(clients: Clients) -> None:
    client, bob = clients("alice"), clients("bob")
    opened = [session(client), session(client, "b.mp3"), session(client, number=4), session(bob)]
    others = [client, client, client, bob]

    for who, name in zip(others, opened, strict=True):
        sent(who, name, [mp3()])


def test_two_names_that_make_one_key_take_nothing_from_each_other(client: Api) -> None:
    opened = session(client, "a*b.mp3")

    assert said(init(client, "a?b.mp3"), 409)["code"] == "name_taken"

    sent(client, opened, [mp3()])


def test_a_name_whose_file_is_there_is_taken(client: Api) -> None:
    opened, _ = stored_in_chunks(client, mp3())

    assert said(init(client), 409)["code"] == "name_taken"

    assert said(delete(client, opened), 200)["message"] == "File deleted successfully."
    stored_in_chunks(client, mp3(3))


@pytest.mark.parametrize(("query", "body"), [("", {"replace": True}), ("?replace=true", {})])
def test_a_file_that_is_there_gives_way_when_that_is_said(
    client: Api, query: str, body: dict[str, bool]
) -> None:
    old, _ = stored_in_chunks(client, mp3())
    asked = {"main_service_file_id": 123, "original_file_name": "audio.mp3", **body}

    again = said(client.post(f"/upload/init{query}", json=asked), 200)["data"]
    sent(client, again["upload_session_id"], [mp3(3)])
    told = said(complete(client, again["upload_session_id"], 1), 200)

    assert listed(client) == [told["data"]["file_path_on_upload_service"]]
    assert content_of(client, again["upload_session_id"]) == mp3(3)
    assert client.download(old).status_code == 404


def test_an_unfinished_session_is_cancelled_and_frees_what_it_held(
    client: Api, books: Books
) -> None:
    opened = session(client)
    sent(client, opened, [mp3()])

    assert said(delete(client, opened), 200)["message"] == "Upload session cancelled."

    assert [name for name in books.staged() if opened in name] == []
    said(chunk(client, opened, 0, mp3()), 409)
    said(delete(client, opened), 200)
    assert listed(client) == []


def test_a_deleted_file_is_gone_for_good(client: Api) -> None:
    opened, _ = stored_in_chunks(client, mp3())

    said(delete(client, opened), 200)

    assert listed(client) == []
    assert client.get(f"/api/v1/files/{opened}").status_code == 404
    assert said(delete(client, opened), 404)["code"] == "file_not_found"


def test_a_list_has_all_files_of_this_dialect_and_no_others(clients: Clients) -> None:
    client, bob = clients("alice"), clients("bob")
    client.stored(text())
    stored_in_chunks(bob, mp3(), pieces=1)

    places = [
        stored_in_chunks(client, mp3(), number=number, pieces=1)[1]["data"] for number in range(3)
    ]

    newest_first = [place["file_path_on_upload_service"] for place in reversed(places)]
    assert listed(client) == newest_first
    assert listed(clients("carol")) == []


@pytest.mark.parametrize(("filename", "content"), [("audio.mp3", pdf()), ("audio.mp3", text())])
def test_what_is_no_audio_is_rejected_at_the_end(
    client: Api, filename: str, content: bytes
) -> None:
    opened = session(client, filename)
    sent(client, opened, [content])

    assert said(complete(client, opened, 1), 415)["code"] == "type_not_allowed"
    assert listed(client) == []
    said(delete(client, opened), 409)
    stored_in_chunks(client, mp3(), filename)


def test_what_is_no_audio_by_its_first_bytes_is_refused_with_them(
    client: Api, books: Books
) -> None:
    opened = session(client)

    with books.unchanged():
        said(chunk(client, opened, 0, b"%PDF-1.7\n" + bytes(70_000)), 415)


def test_a_name_of_no_audio_is_refused_at_once(client: Api, books: Books) -> None:
    with books.unchanged():
        assert said(init(client, "notes.pdf"), 415)["code"] == "type_not_allowed"


def test_another_users_session_is_not_there(clients: Clients, books: Books) -> None:
    client = clients("alice")
    opened = session(client)
    sent(client, opened, [mp3()])

    for other in (clients("bob"), clients("alice", tenant="t-of-nobody")):
        with books.unchanged():
            for name in (opened, str(uuid4()), "no-id", "../../etc"):
                said(chunk(other, name, 0, mp3()), 404)
                said(complete(other, name, 1), 404)
                said(delete(other, name), 404)


BAD_INITS: Final[list[Any]] = [
    None,
    [],
    "text",
    {},
    {"main_service_file_id": 1},
    {"original_file_name": "a.mp3"},
    {"main_service_file_id": None, "original_file_name": "a.mp3"},
    {"main_service_file_id": True, "original_file_name": "a.mp3"},
    {"main_service_file_id": 1.5, "original_file_name": "a.mp3"},
    {"main_service_file_id": -1, "original_file_name": "a.mp3"},
    {"main_service_file_id": "1a", "original_file_name": "a.mp3"},
    {"main_service_file_id": "٣", "original_file_name": "a.mp3"},
    {"main_service_file_id": 10**30, "original_file_name": "a.mp3"},
    {"main_service_file_id": "9" * 40, "original_file_name": "a.mp3"},
    {"main_service_file_id": 1, "original_file_name": ""},
    {"main_service_file_id": 1, "original_file_name": 7},
    {"main_service_file_id": 1, "original_file_name": "a\x00.mp3"},
    {"main_service_file_id": 1, "original_file_name": "a" * 1025},
]


@pytest.mark.parametrize("asked", BAD_INITS)
def test_what_is_wrong_in_an_init_is_refused_in_its_shape(
    client: Api, books: Books, asked: Any
) -> None:
    with books.unchanged():
        answer = client.post(f"{sessions.PATH}/init", json=asked)
        said(answer, answer.status_code)

    assert answer.status_code in {400, 422}


@pytest.mark.parametrize(
    "said_too",
    [
        {"total_chunks": 0},
        {"total_chunks": -1},
        {"total_chunks": 10_001},
        {"total_chunks": "x"},
        {"total_chunks": 1.5},
        {"total_chunks": True},
        {"total_chunks": "1.5"},
        {"total_chunks": None},
        {"upload_session_id": 5},
        {"upload_session_id": ""},
        {"upload_session_id": "x" * 65},
        {"main_service_file_id": "x"},
        {"main_service_file_id": False},
    ],
)
def test_what_is_wrong_in_a_complete_is_refused_in_its_shape(
    client: Api, books: Books, said_too: dict[str, Any]
) -> None:
    opened = session(client)
    sent(client, opened, [mp3()])

    with books.unchanged():
        said(complete(client, opened, 1, **said_too), 422)


@pytest.mark.parametrize("asked", [{}, {"upload_session_id": None}, {"upload_session_id": 1}, []])
def test_what_is_wrong_in_a_deletion_is_refused_in_its_shape(client: Api, asked: Any) -> None:
    said(client.delete(f"{sessions.PATH}/file", json=asked), 422)


def test_nobody_nothing_and_nowhere_are_refused_in_the_same_shape(clients: Clients) -> None:
    client, reader = clients("alice"), clients("alice", scope="files:read")
    said(init(reader), 403)
    assert said(client.get(f"{sessions.PATH}/init"), 405)["code"] == "method_not_allowed"
    said(client.get(f"{sessions.PATH}/nowhere"), 404)
    said(
        client.post(
            f"{sessions.PATH}/init", data=b"{", headers={"Content-Type": "application/json"}
        ),
        400,
    )
    client.headers.pop("Authorization")
    for method, path in (
        *(("POST", "init"), ("POST", "chunk"), ("POST", "complete")),
        *(("DELETE", "file"), ("GET", "files")),
    ):
        answer = client.request(method, f"{sessions.PATH}/{path}")
        assert said(answer, 401)["code"] == "unauthenticated"
        assert answer.headers["WWW-Authenticate"] == "Bearer"
