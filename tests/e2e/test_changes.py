"""Files changed, copied, restored and deleted by the dozen, as clients ask for it."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pytest
import requests

from tests.e2e.books import Books
from tests.support.api import Api, Body, answered, pointers, refused
from tests.support.fixtures import MIB
from tests.support.pictures import a_jpeg
from tests.support.races import at_once
from tests.support.samples import text
from tests.support.waiting import eventually

FILES: Final = "/api/v1/files"
NOBODYS: Final = "01890000-0000-7000-8000-000000000000"
WRONG_CHANGES: Final[list[tuple[Any, str]]] = [
    ({"owner": "bob"}, "/owner"),
    ({"size": 1}, "/size"),
    ({"folder": "a"}, "/folder"),
    ({"filename": None}, "/filename"),
    ({"filename": ""}, "/filename"),
    ({"filename": "..."}, "/filename"),
    ({"filename": 7}, "/filename"),
    ({"filename": "a\0.txt"}, "/filename"),
    ({"filename": "x" * 300}, "/filename"),
    ({"description": "x" * 2001}, "/description"),
    ({"description": ["a"]}, "/description"),
    ({"metadata": None}, "/metadata"),
    ({"metadata": "{}"}, "/metadata"),
    ({"metadata": {"a": "x" * 20_000}}, "/metadata"),
    ({"tags": None}, "/tags"),
    ({"tags": "a,b"}, "/tags"),
    ({"tags": ["x" * 65]}, "/tags/0"),
    ({"tags": ["a"] * 33}, "/tags"),
    ({"is_public": None}, "/is_public"),
    ({"is_public": "yes"}, "/is_public"),
    ({"is_public": 1}, "/is_public"),
    ({"expires_at": "tomorrow"}, "/expires_at"),
    ({"expires_at": 4102444800}, "/expires_at"),
    ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
    ({"expires_at": "9999-12-31T23:59:59-14:00"}, "/expires_at"),
    ({"expires_at": "0001-01-01T00:00:00+14:00"}, "/expires_at"),
    ({"expires_at": True}, "/expires_at"),
]
WRONG_COPIES: Final[list[tuple[Any, str]]] = [
    ({"folder": "a"}, "/folder"),
    ({"new_folder": "../etc"}, "/folder"),
    ({"new_folder": 1}, "/new_folder"),
    ({"new_folder": "x" * 513}, "/new_folder"),
    ({"new_filename": ""}, "/new_filename"),
    ({"new_filename": "/"}, "/filename"),
    ({"new_metadata": [1]}, "/new_metadata"),
    ({"new_metadata": {"a": "x" * 20_000}}, "/new_metadata"),
]


@pytest.fixture
def file(alice: Api) -> Body:
    return alice.stored(text(), folder="notes", tags=["a"], metadata={"n": 1})


def path(file: Body, verb: str = "") -> str:
    return f"{FILES}/{file['id']}{verb}"


def test_a_file_is_changed_field_by_field(alice: Api, file: Body) -> None:
    said: list[dict[str, Any]] = [
        {"filename": "dir/Übersicht.txt"},
        {"description": "all of it"},
        {"metadata": {"reviewed": True}},
        {"tags": ["z", "b"]},
        {"expires_at": "2031-01-01T12:00:00Z"},
        {"expires_at": None, "description": None},
        {"expires_at": "2031-01-01T12:00:00+02:00"},
    ]
    for each in said:
        answered(alice.patch(path(file), json=each), 200)

    found = alice.file(file["id"])
    changed: Body = {
        "filename": "Übersicht.txt",
        "metadata": {"reviewed": True},
        "tags": ["b", "z"],
    }
    changed |= {"description": None, "expires_at": "2031-01-01T10:00:00.000Z"}
    assert found == file | changed | {"updated_at": found["updated_at"]}
    assert found["updated_at"] > file["updated_at"]
    saved = alice.download(file["id"], as_attachment="true").headers["Content-Disposition"]
    assert "filename*=UTF-8''%C3%9Cbersicht.txt" in saved
    assert [each["id"] for each in listed(alice, tag="z")] == [file["id"]]
    assert listed(alice, tag="a") == []


def test_a_file_is_made_public_and_private_again(alice: Api, anybody: Api, file: Body) -> None:
    public = answered(alice.patch(path(file), json={"is_public": True}), 200)
    assert anybody.get(public["url"]).content == text()

    answered(alice.patch(path(file), json={"is_public": False}), 200)

    assert anybody.get(public["url"]).status_code == 404


def test_a_job_shows_its_file_as_it_was_changed(alice: Api) -> None:
    job = alice.chunked(text())
    answered(alice.patch(f"{FILES}/{job['file_id']}", json={"description": "new"}), 200)

    def shown() -> bool:
        found = answered(alice.get(f"/api/v1/jobs/{job['id']}"), 200)
        return bool(found["file"]["description"] == "new")

    eventually(shown)


@pytest.mark.parametrize(("said", "pointer"), WRONG_CHANGES, ids=str)
def test_a_change_that_is_wrong_is_pointed_at_and_changes_nothing(
    alice: Api, file: Body, said: Any, pointer: str
) -> None:
    problem = refused(alice.patch(path(file), json={"description": "new"} | said), 422)

    assert pointers(problem) == {pointer}
    assert alice.file(file["id"]) == file


@pytest.mark.parametrize("body", ["[]", '"x"', "{", '{"tags": ["a"], "tags": []}'])
def test_a_change_that_is_no_object_is_refused(alice: Api, file: Body, body: str) -> None:
    answer = alice.patch(path(file), data=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in {400, 422}
    assert alice.file(file["id"]) == file


def test_a_name_that_no_upload_could_have_is_refused(alice: Api, file: Body) -> None:
    for name in ("virus.exe", "page.html", "script.svg"):
        refused(alice.patch(path(file), json={"filename": name}), 415, "type_not_allowed")
        refused(alice.post(path(file, "/copy"), json={"new_filename": name}), 415)

    assert alice.file(file["id"]) == file


def test_a_copy_is_a_file_of_its_own(alice: Api, books: Books) -> None:
    photo = alice.stored(a_jpeg(300, 200), "beach.jpg", is_public=True, expires_in=3600)
    said = {"new_folder": "archives", "new_metadata": {"archived": True, "date": "2025-01-15"}}

    answer = alice.post(path(photo, "/copy"), json=said)

    copy = answered(answer, 201)
    assert answer.headers["Location"] == f"{alice.base_url}{path(copy)}"
    assert copy == alice.file(copy["id"])
    assert copy["s3_key"] == f"archives/{copy['id']}_beach.jpg"
    assert (copy["metadata"], copy["is_public"]) == (said["new_metadata"], False)
    assert {copy["id"], copy["s3_key"]}.isdisjoint({photo["id"], photo["s3_key"]})
    same = ("filename", "size", "sha256", "content_type", "category", "width", "height")
    assert [copy[name] for name in same] == [photo[name] for name in same]
    assert alice.delete(f"{path(photo)}?hard_delete=true").status_code == 204
    assert alice.download(copy["id"]).content == a_jpeg(300, 200)
    for small in copy["thumbnails"]:
        assert len(alice.get(small["url"]).content) == small["size"]
    assert len(copy["thumbnails"]) == len(photo["thumbnails"]) > 0
    assert books.objects(f"archives/{copy['id']}") == {copy["s3_key"]}


def test_a_copy_without_a_word_is_as_its_source(alice: Api, file: Body) -> None:
    bodies: list[Any] = [None, {}, {"new_folder": None, "new_filename": None, "new_metadata": None}]

    copies = [answered(alice.post(path(file, "/copy"), json=said), 201) for said in bodies]

    own = ("id", "s3_key", "url", "created_at", "updated_at", "etag")
    for copy in copies:
        assert copy == file | {name: copy[name] for name in own}


def test_a_large_file_is_copied_in_parts(alice: Api, books: Books) -> None:
    body = b"A line of a large note.\n" * (11 * MIB // 24)
    large = alice.stored(body, "large.txt")

    copy = answered(alice.post(path(large, "/copy")), 201)

    assert alice.download(copy["id"]).content == body
    assert books.strays() == []


@pytest.mark.parametrize(("said", "pointer"), WRONG_COPIES, ids=str)
def test_a_copy_that_is_wrong_is_pointed_at_and_leaves_nothing(
    alice: Api, file: Body, books: Books, said: Any, pointer: str
) -> None:
    with books.unchanged():
        problem = refused(alice.post(path(file, "/copy"), json=said), 422)

    assert pointers(problem) == {pointer}


def test_what_is_gone_from_sight_is_not_copied_or_changed(
    alice: Api, file: Body, books: Books
) -> None:
    alice.delete(path(file))

    with books.unchanged():
        refused(alice.post(path(file, "/copy")), 404, "file_not_found")
        refused(alice.patch(path(file), json={"tags": []}), 404, "file_not_found")


def test_a_deleted_file_is_restored_until_it_is_removed(alice: Api, file: Body) -> None:
    alice.delete(path(file))
    refused(alice.get(path(file)), 404)
    assert [each["id"] for each in listed(alice, state="deleted")] == [file["id"]]

    restored = answered(alice.post(path(file, "/restore")), 200)

    assert restored == file | {"updated_at": restored["updated_at"]}
    assert alice.download(file["id"]).content == text()
    assert file["id"] in {each["id"] for each in listed(alice)}
    assert listed(alice, state="deleted") == []
    answered(alice.post(path(file, "/restore")), 200)
    alice.delete(f"{path(file)}?hard_delete=true")
    refused(alice.post(path(file, "/restore")), 404, "file_not_found")


def test_a_file_whose_time_is_over_is_not_restored(alice: Api) -> None:
    file = alice.stored(text(), expires_in=1)
    alice.delete(path(file))

    def over() -> bool:
        return bool(alice.post(path(file, "/restore")).status_code == 410)

    eventually(over, 5)
    refused(alice.post(path(file, "/restore")), 410, "gone")


@pytest.mark.parametrize("hard", [True, False])
def test_each_of_many_deletions_has_its_answer(
    alice: Api, bob: Api, stranger: Api, hard: bool
) -> None:
    mine, other = alice.stored(text()), alice.stored(text())
    bobs, strangers = bob.stored(text()), stranger.stored(text())
    hidden = alice.stored(text())
    alice.delete(path(hidden))
    asked = [mine["id"], bobs["id"], "x", strangers["id"], NOBODYS, hidden["id"], mine["id"]]

    said = {"ids": asked, "hard_delete": hard}
    items = answered(alice.post(f"{FILES}/delete", json=said), 200)["items"]

    assert [each["id"] for each in items] == asked[:-1]
    deleted = {mine["id"], hidden["id"]} if hard else {mine["id"]}
    assert {each["id"] for each in items if each["deleted"]} == deleted
    assert {each["error"]["code"] for each in items if not each["deleted"]} == {"file_not_found"}
    assert all((each["error"] is None) == each["deleted"] for each in items)
    refused(alice.get(path(mine)), 404)
    for api, file in ((alice, other), (bob, bobs), (stranger, strangers)):
        api.file(file["id"])
    assert alice.post(path(mine, "/restore")).status_code == (404 if hard else 200)


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({}, "/ids"),
        ({"ids": []}, "/ids"),
        ({"ids": [NOBODYS] * 101}, "/ids"),
        ({"ids": NOBODYS}, "/ids"),
        ({"ids": [1]}, "/ids/0"),
        ({"ids": [None]}, "/ids/0"),
        ({"ids": ["\0"]}, "/ids/0"),
        ({"ids": [NOBODYS], "hard_delete": "yes"}, "/hard_delete"),
        ({"ids": [NOBODYS], "force": True}, "/force"),
    ],
    ids=lambda said: str(said)[:40],
)
def test_deletions_that_are_wrong_are_pointed_at(alice: Api, said: Any, pointer: str) -> None:
    assert pointers(refused(alice.post(f"{FILES}/delete", json=said), 422)) == {pointer}


def test_a_copy_and_a_removal_at_once_leave_no_half(alice: Api, books: Books) -> None:
    for _ in range(3):
        photo = alice.stored(a_jpeg(300, 200), "beach.jpg")
        works: list[Callable[[], requests.Response]] = [
            partial(ask, alice, "POST", path(photo, "/copy")),
            partial(ask, alice, "POST", path(photo, "/copy")),
            partial(ask, alice, "DELETE", f"{path(photo)}?hard_delete=true"),
        ]

        answers = at_once(works)

        assert {answer.status_code for answer in answers} <= {201, 204, 404}
        for answer in answers:
            if answer.status_code == 201:
                copy = answer.json()
                assert alice.download(copy["id"]).content == a_jpeg(300, 200)
                assert all(alice.get(each["url"]).ok for each in copy["thumbnails"])
    assert books.strays() == []


def ask(api: Api, method: str, where: str) -> requests.Response:
    """Ask on a connection of its own: a session is one thread's."""
    headers = {"Authorization": f"Bearer {api.token}"}
    return requests.request(method, f"{api.base_url}{where}", headers=headers, timeout=30)


def listed(api: Api, **query: str) -> list[Body]:
    found: list[Body] = answered(api.get(FILES, params=query), 200)["items"]
    return found
