"""Lists of files: pages, orders, filters, and whose files they show."""

from collections.abc import Iterator
from typing import Any, Final
from uuid import uuid4

import pytest

from tests.e2e.manners import Manners
from tests.support.api import Api, Body, answered, pointers, refused
from tests.support.fixtures import a_caller
from tests.support.samples import picture, wav
from tests.support.stack import Stack

# Names, sizes and times are in different orders; two sizes are the same.
NOTES: Final = {"d.txt": 30, "A.txt": 10, "c.txt": 20, "b.txt": 20, "ä.txt": 50}
SORTS: Final = ("created_at", "-created_at", "filename", "-filename", "size", "-size")


@pytest.fixture(scope="module")
def owner(stack: Stack, manners: Manners) -> Iterator[Api]:
    with a_caller(stack, manners, "owner", tenant=f"t-{uuid4().hex[:12]}") as api:
        yield api


@pytest.fixture(scope="module")
def files(owner: Api) -> list[Body]:
    """Seven files, in the order they were made."""
    notes = [
        owner.stored(b"x" * size, name, folder="notes", tags=[name[0], "note"])
        for name, size in NOTES.items()
    ]
    song = owner.stored(wav(), "song.wav", reference="order-7", description="A long TONE")
    photo = owner.stored(picture("PNG"), "100%_photo.png", tags=["photo"])
    return [*notes, song, photo]


@pytest.fixture(scope="module")
def boss(stack: Stack, manners: Manners, owner: Api) -> Iterator[Api]:
    with a_caller(stack, manners, "root", tenant=owner.tenant, scope="admin") as api:
        yield api


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_show_each_file_once_and_in_order(
    owner: Api, files: list[Body], sort: str, limit: int
) -> None:
    seen = [file for page in pages(owner, sort=sort, limit=limit) for file in page]

    name = sort.removeprefix("-")
    values = [file[name] for file in seen]
    assert sorted(file["id"] for file in seen) == sorted(file["id"] for file in files)
    assert values == sorted(values, reverse=sort.startswith("-"))


def test_a_file_that_comes_while_one_turns_pages_moves_nothing(alice: Api) -> None:
    for name in "abcd":
        alice.stored(b"text", f"{name}.txt")
    first = answered(alice.get("/api/v1/files?limit=2"), 200)
    alice.stored(b"text", "e.txt")

    second = answered(alice.get(f"/api/v1/files?limit=2&cursor={first['next_cursor']}"), 200)

    names = [file["filename"] for file in first["items"] + second["items"]]
    assert names == ["d.txt", "c.txt", "b.txt", "a.txt"]
    assert second["next_cursor"] is None


def test_newest_first_unless_said_otherwise(owner: Api, files: list[Body]) -> None:
    assert ids(owner) == [file["id"] for file in files[::-1]]


def test_a_list_shows_files_as_they_are_shown_alone(owner: Api, files: list[Body]) -> None:
    shown = answered(owner.get("/api/v1/files?sort=created_at"), 200)

    assert shown == {"items": files, "next_cursor": None}


def test_offset_counts(owner: Api, files: list[Body]) -> None:
    body = answered(owner.get("/api/v1/files?offset=5&limit=3&sort=created_at"), 200)

    assert [file["id"] for file in body["items"]] == [file["id"] for file in files[5:]]
    assert (body["total"], body["limit"], body["offset"]) == (7, 3, 5)
    beyond = answered(owner.get("/api/v1/files?offset=100&tag=note"), 200)
    assert (beyond["items"], beyond["total"], beyond["next_cursor"]) == ([], 5, None)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"category": "image"}, {6}),
        ({"category": "audio"}, {5}),
        ({"category": "document"}, {0, 1, 2, 3, 4}),
        ({"category": "video"}, set()),
        ({"content_type": "audio/wav"}, {5}),
        ({"content_type": "image/jpeg"}, set()),
        ({"tag": "note"}, {0, 1, 2, 3, 4}),
        ({"tag": "c"}, {2}),
        ({"tag": "not"}, set()),
        ({"tag": "%"}, set()),
        ({"folder": "notes"}, {0, 1, 2, 3, 4}),
        ({"folder": "note"}, set()),
        ({"reference": "order-7"}, {5}),
        ({"reference": "order-%"}, set()),
        ({"q": "photo"}, {6}),
        ({"q": "PHOTO"}, {6}),
        ({"q": "tone"}, {5}),
        ({"q": "100%"}, {6}),
        ({"q": "%_p"}, {6}),
        ({"q": "%"}, {6}),
        ({"q": "_"}, {6}),
        ({"q": "\\"}, set()),
        ({"q": "ä"}, {4}),
        ({"q": "' OR 1=1 --"}, set()),
        ({"state": "deleted"}, set()),
        ({"category": "document", "tag": "b"}, {3}),
        ({"colour": "red", "token": "x", "owner": "root"}, {0, 1, 2, 3, 4, 5, 6}),
    ],
    ids=str,
)
def test_a_filter_lets_through_what_fits(
    owner: Api, files: list[Body], query: dict[str, str], expected: set[int]
) -> None:
    assert set(ids(owner, **query)) == {files[number]["id"] for number in expected}


def test_files_are_found_by_when_they_were_made(owner: Api, files: list[Body]) -> None:
    third, fifth = files[2]["created_at"], files[4]["created_at"]

    between = ids(owner, created_after=third, created_before=fifth, sort="created_at")

    inside = [file["id"] for file in files if third <= file["created_at"] <= fifth]
    assert set(between) <= set(inside)
    assert files[3]["id"] in between
    zoned = third.replace("Z", "+00:00")
    assert ids(owner, created_after=third) == ids(owner, created_after=zoned)
    naive = third.removesuffix("Z")
    assert ids(owner, created_after=third) == ids(owner, created_after=naive)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"limit": "0"}, "/limit"),
        ({"limit": "101"}, "/limit"),
        ({"limit": "many"}, "/limit"),
        ({"limit": "9" * 5000}, "/limit"),
        ({"offset": "-1"}, "/offset"),
        ({"offset": "9" * 20}, "/offset"),
        ({"sort": "owner"}, "/sort"),
        ({"sort": "size; DROP TABLE files"}, "/sort"),
        ({"sort": "size\n"}, "/sort"),
        ({"category": "other"}, "/category"),
        ({"state": "gone"}, "/state"),
        ({"created_after": "yesterday"}, "/created_after"),
        ({"q": "x" * 201}, "/q"),
        ({"q": "a\0b"}, "/q"),
        ({"tag": "\0"}, "/tag"),
    ],
    ids=str,
)
def test_a_query_that_is_out_of_bounds_is_pointed_at(
    owner: Api, query: dict[str, str], pointer: str
) -> None:
    problem = refused(owner.get("/api/v1/files", params=query), 422, "invalid_request")

    assert pointers(problem) == {pointer}


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "1e99", "0"])
def test_a_time_at_the_edge_does_no_harm(owner: Api, time: str) -> None:
    answer = owner.get("/api/v1/files", params={"created_after": time})

    assert answer.status_code in {200, 422}


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "!!!",
        "bnVsbA",
        "e30",
        "WyJjcmVhdGVkX2F0IiwgMSwgMl0",
        "WyItY3JlYXRlZF9hdCIsIjk5OTk5LTAxLTAxVDAwOjAwOjAwWiIsIngiXQ",
        "WyItY3JlYXRlZF9hdCIsICIyMDI2LTAxLTAxVDAwOjAwOjAwIiwgIngiXQ",
        "é",
        "a" * 5000,
    ],
)
def test_a_cursor_that_is_none_of_ours_is_refused(owner: Api, cursor: str) -> None:
    answer = owner.get("/api/v1/files", params={"cursor": cursor})

    assert answer.status_code in {200, 400} if cursor.startswith("WyIt") else {400}, answer.text


def test_a_cursor_belongs_to_its_order(owner: Api, files: list[Body]) -> None:
    del files
    cursor = answered(owner.get("/api/v1/files?limit=1&sort=size"), 200)["next_cursor"]

    for sort in ("-size", "filename", "-created_at"):
        answer = owner.get("/api/v1/files", params={"cursor": cursor, "sort": sort})
        problem = refused(answer, 400, "invalid_request")
        assert pointers(problem) == {"/cursor"}


def test_others_see_nothing_and_the_admin_all(
    owner: Api, boss: Api, files: list[Body], stranger: Api, stack: Stack, manners: Manners
) -> None:
    with a_caller(stack, manners, "colleague", tenant=owner.tenant) as colleague:
        assert ids(colleague) == ids(stranger) == []
        counted = answered(colleague.get("/api/v1/files?offset=0"), 200)
    assert counted["total"] == 0
    assert set(ids(boss)) == {file["id"] for file in files}


def test_a_cursor_of_somebody_else_opens_nothing(
    owner: Api, files: list[Body], stranger: Api
) -> None:
    del files
    cursor = answered(owner.get("/api/v1/files?limit=1"), 200)["next_cursor"]

    assert ids(stranger, cursor=cursor) == []


def pages(api: Api, **query: Any) -> Iterator[list[Body]]:
    cursor: str | None = None
    while True:
        body = answered(api.get("/api/v1/files", params={**query, "cursor": cursor}), 200)
        yield body["items"]
        cursor = body["next_cursor"]
        if cursor is None:
            return


def ids(api: Api, **query: str) -> list[str]:
    found = answered(api.get("/api/v1/files", params=query), 200)["items"]
    return [file["id"] for file in found]
