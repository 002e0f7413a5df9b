"""What every database must do with files and with the intents of their objects."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.adapters.records_sql import SqlRecords
from shared.model.file import File, FileQuery, Thumbnail
from shared.model.lifecycle import UploadState
from shared.records import ObjectState, Transaction
from tests.support.builders import a_chunk, a_file, an_upload

HOUR = timedelta(hours=1)
NOW = timedelta()
ALL = FileQuery("default", None, limit=100)
SMALL = Thumbnail("small", "thumbnails/x/small.webp", 150, 100, "image/webp", 900)
LARGE = Thumbnail("large", "thumbnails/x/large.webp", 1024, 700, "image/webp", 9000)


def test_a_file_comes_back_with_its_thumbnails_the_smallest_first(rows: Transaction) -> None:
    file = a_file(
        thumbnails=(LARGE, SMALL),
        tags=["b", "a"],
        attributes={"a": [1, {"b": None}]},
        width=2**31 - 1,
    )

    made = rows.files.add(file, HOUR)
    found = rows.files.find(file.id)

    assert found == replace(made, thumbnails=(SMALL, LARGE))
    assert made.expires_at is not None
    assert made.expires_at - made.created_at >= HOUR
    assert (
        replace(
            made,
            created_at=file.created_at,
            updated_at=file.updated_at,
            expires_at=None,
            number=0,
        )
        == file
    )


def test_files_are_numbered_in_their_tenant_and_found_by_it(rows: Transaction) -> None:
    mine = [rows.files.add(a_file(tenant="mine"), None) for _ in range(2)]
    theirs = rows.files.add(a_file(tenant="theirs"), None)

    assert [file.number for file in (*mine, theirs)] == [1, 2, 1]
    rows.files.drop(mine[1].id)
    assert rows.files.add(a_file(tenant="mine"), None).number == 3  # none is given twice
    assert rows.files.numbered("mine", 1) == mine[0]
    assert rows.files.numbered("mine", 2) is None
    assert rows.files.numbered("theirs", 2) is None


def test_many_files_come_with_their_thumbnails_those_that_are_there(rows: Transaction) -> None:
    one, two, three = (rows.files.add(a_file(), None) for _ in range(3))
    large = Thumbnail("small", "thumbnails/y/small.webp", 150, 100, "image/webp", 900)
    pictured = rows.files.add(a_file(thumbnails=(large,)), HOUR)
    rows.files.mark_deleted(two.id)

    found = rows.files.many([three.id, "nothing", pictured.id, one.id, two.id, one.id])

    assert {file.id for file in found} == {one.id, two.id, three.id, pictured.id}
    assert len(found) == 4
    assert pictured in found
    assert rows.files.many([]) == rows.files.many(["nothing"]) == []


def test_a_file_without_a_lifetime_does_not_expire(rows: Transaction) -> None:
    assert rows.files.add(a_file(), None).expires_at is None


def test_what_is_not_there_is_none(rows: Transaction) -> None:
    assert rows.files.find("nothing") is None
    assert not rows.files.mark_deleted("nothing")
    assert not rows.files.drop("nothing")
    assert not rows.files.expire("nothing")
    assert rows.files.page(ALL) == []
    assert rows.files.count(ALL) == 0


@pytest.mark.parametrize(
    ("wish", "names"),
    [
        ({"owner": "bob"}, {"bob's"}),
        ({"category": "image"}, {"picture"}),
        ({"content_type": "image/png"}, {"picture"}),
        ({"tag": "red"}, {"picture", "tagged"}),
        ({"tag": "re"}, set()),
        ({"folder": "a/b"}, {"in a folder"}),
        ({"reference": "r-1"}, {"referred"}),
        ({"text": "PICT"}, {"picture", "described"}),
        ({"text": "100%"}, {"100%"}),
        ({"text": "_"}, set()),
        ({"deleted": True}, {"deleted"}),
        ({"owner": "alice", "tag": "red", "category": "image"}, {"picture"}),
    ],
)
def test_a_query_finds_what_it_names_and_nothing_of_another_tenant(
    rows: Transaction, wish: dict[str, Any], names: set[str]
) -> None:
    for said in (
        {"filename": "bob's", "owner": "bob"},
        {"filename": "picture", "category": "image", "content_type": "image/png", "tags": ["red"]},
        {"filename": "tagged", "tags": ["blue", "red"]},
        {"filename": "in a folder", "folder": "a/b"},
        {"filename": "below it", "folder": "a/b/c"},
        {"filename": "referred", "reference": "r-1"},
        {"filename": "described", "description": "a picture"},
        {"filename": "100%"},
        {"filename": "1000"},
    ):
        rows.files.add(a_file(**said), None)
    deleted = rows.files.add(a_file(filename="deleted"), None)
    rows.files.mark_deleted(deleted.id)
    rows.files.add(a_file(filename="over", tags=["red"]), -HOUR)
    rows.files.add(
        a_file(
            filename="picture",
            tenant="other",
            owner="bob",
            category="image",
            content_type="image/png",
            tags=["red"],
            folder="a/b",
            reference="r-1",
        ),
        None,
    )

    query = replace(ALL, **wish)

    assert {file.filename for file in rows.files.page(query)} == names
    assert rows.files.count(query) == len(names)


def test_times_bound_a_query_on_both_sides(rows: Transaction) -> None:
    made = [files_apart(rows) for _ in range(3)]

    query = replace(ALL, created_after=made[0].created_at, created_before=made[2].created_at)

    assert rows.files.page(query) == [made[1]]


@pytest.mark.parametrize("sort", ["created_at", "filename", "size"])
@pytest.mark.parametrize("descending", [True, False])
def test_pages_are_complete_and_without_repeats_while_files_arrive(
    records: SqlRecords, sort: str, descending: bool
) -> None:
    with records.begin() as rows:
        there = [
            rows.files.add(a_file(filename=name, size=size), None)
            for name, size in zip("bbaaZzäéß", (1, 1, 1, 5, 5, 2, 2**40, 0, 1), strict=True)
        ]
    query = replace(ALL, sort=sort, descending=descending, limit=2)

    seen: list[File] = []
    for round_ in range(20):
        with records.begin() as rows:
            page = rows.files.page(query)
            if round_ < len(there):
                rows.files.add(a_file(filename="m", size=2), None)
        seen += page
        if page:
            query = replace(query, after=(getattr(page[-1], sort), page[-1].id))

    ids = [file.id for file in seen]
    assert len(ids) == len(set(ids))
    assert {file.id for file in there} <= set(ids)
    if sort != "filename":  # text is in the database's own order
        expected = sorted(seen, key=lambda file: (getattr(file, sort), file.id), reverse=descending)
        assert seen == expected


def test_keys_come_in_the_order_of_their_bytes_whatever_the_database_sorts_by(
    rows: Transaction,
) -> None:
    keys = ["a/b", "a-b", "A/b", "a_b", "ab", "a.b", "B", "aB"]
    for key in keys:
        rows.files.add(a_file(key=key), None)

    page = rows.files.page(replace(ALL, sort="key", descending=False))

    assert [file.key for file in page] == sorted(keys)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", ["%/x", "a%b", "a/b", "a/b/c", "a/bc", "ab", "a_b", "é/x", "\U0010ffff/x"]),
        ("a/", ["a/b", "a/b/c", "a/bc"]),
        ("a/b", ["a/b", "a/b/c", "a/bc"]),
        ("a/b/", ["a/b/c"]),
        ("a%", ["a%b"]),
        ("%", ["%/x"]),
        ("a_", ["a_b"]),
        ("A", []),
        ("é", ["é/x"]),
        ("\U0010ffff", ["\U0010ffff/x"]),
        ("a/b/c/d", []),
    ],
)
def test_a_prefix_is_of_the_key_and_means_itself(
    rows: Transaction, prefix: str, expected: list[str]
) -> None:
    for key in ("a/b", "a/b/c", "a/bc", "ab", "a_b", "a%b", "%/x", "é/x", "\U0010ffff/x"):
        rows.files.add(a_file(key=key), None)

    page = rows.files.page(replace(ALL, prefix=prefix, sort="key", descending=False))

    assert [file.key for file in page] == sorted(expected)


def test_a_list_of_keys_goes_on_after_any_key(rows: Transaction) -> None:
    for key in ("a/1", "a/2", "a/3", "b/1"):
        rows.files.add(a_file(key=key), None)
    asked = replace(ALL, prefix="a/", sort="key", descending=False)

    pages = [
        [file.key for file in rows.files.page(replace(asked, key_after=after))]
        for after in ("", "a/1", "a/2x", "a/3", "zzz")
    ]

    assert pages == [["a/1", "a/2", "a/3"], ["a/2", "a/3"], ["a/3"], [], []]


def test_a_file_is_found_by_its_whole_key(rows: Transaction) -> None:
    file = rows.files.add(a_file(key="a/b"), None)

    assert rows.files.keyed("a/b") == file
    assert rows.files.keyed("a/B") is None
    assert rows.files.keyed("a/") is None


def test_of_a_profile_those_of_age_are_found_and_the_deleted_are_not(rows: Transaction) -> None:
    there = [rows.files.add(a_file(profile="gateway"), None) for _ in range(3)]
    rows.files.add(a_file(profile="default"), None)
    rows.files.mark_deleted(there[1].id)

    found = rows.files.aged("gateway", timedelta(), 10)

    assert {file.id for file in found} == {there[0].id, there[2].id}
    assert len(rows.files.aged("gateway", timedelta(), 1)) == 1
    assert rows.files.aged("gateway", HOUR, 10) == []


def test_an_offset_skips_files(rows: Transaction) -> None:
    made = [files_apart(rows) for _ in range(5)]

    page = rows.files.page(replace(ALL, limit=2, offset=1))

    assert page == [made[3], made[2]]


def test_a_file_is_deleted_once(rows: Transaction) -> None:
    file = rows.files.add(a_file(), None)

    assert rows.files.mark_deleted(file.id)
    assert not rows.files.mark_deleted(file.id)

    found = rows.files.find(file.id)
    assert found is not None
    assert found.deleted_at is not None


def test_a_dropped_file_takes_its_thumbnails_and_tags_along(rows: Transaction) -> None:
    file = rows.files.add(a_file(thumbnails=(SMALL,), tags=["a"]), None)

    assert rows.files.drop(file.id)
    assert not rows.files.drop(file.id)

    assert rows.files.referred([file.key, SMALL.key]) == set()
    rows.files.add(replace(file, thumbnails=(SMALL,)), None)


def test_only_what_is_over_and_not_deleted_expires(rows: Transaction) -> None:
    over, deleted = (rows.files.add(a_file(), -HOUR) for _ in range(2))
    oldest = rows.files.add(a_file(), -2 * HOUR)
    alive, endless = rows.files.add(a_file(), HOUR), rows.files.add(a_file(), None)
    rows.files.mark_deleted(deleted.id)

    assert [file.id for file in rows.files.expired(10)] == [oldest.id, over.id]
    assert [file.id for file in rows.files.expired(1)] == [oldest.id]
    assert rows.files.expire(over.id)
    assert not any(rows.files.expire(file.id) for file in (over, deleted, alive, endless))


def test_deleted_files_are_listed_by_how_long_ago(rows: Transaction) -> None:
    file, _ = rows.files.add(a_file(), None), rows.files.add(a_file(), None)
    rows.files.mark_deleted(file.id)

    assert [each.id for each in rows.files.deleted(NOW, 10)] == [file.id]
    assert rows.files.deleted(HOUR, 10) == []


def test_keys_of_files_and_thumbnails_are_referred_to(rows: Transaction) -> None:
    file = rows.files.add(a_file(thumbnails=(SMALL,)), None)

    keys = [file.key, SMALL.key, "nothing"]

    assert rows.files.referred(keys) == {file.key, SMALL.key}
    assert rows.files.referred([]) == set()


def test_a_key_is_intended_by_one_upload(rows: Transaction) -> None:
    assert rows.objects.intend("key", "one")
    assert rows.objects.intend("key", "one")
    assert not rows.objects.intend("key", "two")

    assert states(rows, "key") == {"key": ("one", ObjectState.INTENDED, None)}


def test_an_intent_that_was_condemned_is_one_again(rows: Transaction) -> None:
    rows.objects.intend("key", "one")
    rows.objects.deleting(["key"], "one")

    assert rows.objects.intend("key", "one")

    assert states(rows, "key")["key"][1] is ObjectState.INTENDED


def test_an_object_goes_from_intent_to_link_to_deletion(rows: Transaction) -> None:
    for key in ("a", "b"):
        rows.objects.intend(key, "one")
    rows.objects.started("a", "multipart")

    assert states(rows, "a", "b") == {
        "a": ("one", ObjectState.INTENDED, "multipart"),
        "b": ("one", ObjectState.INTENDED, None),
    }
    rows.objects.link(["a", "b"])
    assert states(rows, "a")["a"] == ("one", ObjectState.LINKED, None)
    rows.objects.deleting(["a"], "one")
    assert states(rows, "a")["a"][1] is ObjectState.DELETING
    rows.objects.drop(["a", "nothing"], "one")
    assert states(rows, "a", "b").keys() == {"b"}


def test_objects_are_found_by_their_upload(rows: Transaction) -> None:
    for key, upload_id in (("a", "one"), ("b", "one"), ("c", "two")):
        rows.objects.intend(key, upload_id)

    assert {record.key for record in rows.objects.of_upload("one")} == {"a", "b"}
    assert rows.objects.of_upload("nobody") == []


@pytest.mark.parametrize(
    ("state", "has_chunks", "alive"),
    [
        (UploadState.RECEIVING, False, True),
        (UploadState.SEALED, True, True),
        (UploadState.PROCESSING, True, True),
        (UploadState.FAILED, True, True),
        (UploadState.FAILED, False, False),
        (UploadState.READY, False, False),
        (UploadState.REJECTED, False, False),
        (UploadState.CANCELLED, False, False),
        (UploadState.EXPIRED, False, False),
    ],
)
def test_an_intent_is_stale_once_nobody_may_work_on_its_upload(
    rows: Transaction, state: UploadState, has_chunks: bool, alive: bool
) -> None:
    upload = rows.uploads.add(an_upload(state=state), HOUR)
    if has_chunks:
        rows.chunks.add([a_chunk(upload.id)])
    rows.objects.intend("key", upload.id)

    stale = [record.key for record in rows.objects.stale(NOW, 10)]

    assert stale == ([] if alive else ["key"])
    assert rows.objects.needed("key", upload.id) is alive
    assert rows.objects.condemn("key", upload.id) is not alive
    assert rows.objects.stale(HOUR, 10) == rows.objects.stale(HOUR, 1)
    assert (states(rows, "key")["key"][1] is ObjectState.DELETING) is not alive


def test_what_is_linked_is_never_stale_and_what_is_deleting_at_once_if_nobody_else_can_have_its_key(
    rows: Transaction,
) -> None:
    for key in ("gone.txt", "linked", "young", "bare.txt"):
        rows.objects.intend(key, "gone")
    rows.objects.deleting(["gone.txt", "bare.txt"], "gone")
    rows.objects.link(["linked"])

    assert [record.key for record in rows.objects.stale(HOUR, 10)] == ["gone.txt"]
    stale = {record.key for record in rows.objects.stale(NOW, 10)}
    assert stale == {"gone.txt", "bare.txt", "young"}
    assert len(rows.objects.stale(NOW, 1)) == 1


def test_what_is_deleting_is_tried_again_and_held_once_it_is_gone(rows: Transaction) -> None:
    for key in ("a.txt", "b.txt"):
        rows.objects.intend(key, "one")
    rows.objects.deleting(["a.txt"], "one")

    assert [record.key for record in rows.objects.unfinished(NOW, 10)] == ["a.txt"]
    assert rows.objects.unfinished(HOUR, 10) == []
    asked = [("a.txt", "one"), ("a.txt", "two"), ("b.txt", "one"), ("nothing", "one")]
    assert [rows.objects.retake(*each) for each in asked] == [True, False, False, False]
    rows.objects.emptied("a.txt", "two")
    assert states(rows, "a.txt")["a.txt"][1] is ObjectState.DELETING
    rows.objects.emptied("a.txt", "one")
    assert states(rows, "a.txt")["a.txt"][1] is ObjectState.INTENDED
    assert not rows.objects.intend("a.txt", "two")
    assert "a.txt" in [record.key for record in rows.objects.stale(NOW, 10)]
    rows.objects.deleting(["a.txt"], "one")
    file = rows.files.add(a_file(key="a.txt"), None)
    assert not rows.objects.retake(file.key, "one")


def test_what_another_upload_has_by_now_is_neither_marked_nor_freed(rows: Transaction) -> None:
    rows.objects.intend("key", "two")

    rows.objects.deleting(["key"], "one")
    rows.objects.drop(["key"], "one")

    assert states(rows, "key") == {"key": ("two", ObjectState.INTENDED, None)}


def test_what_a_file_refers_to_is_never_condemned(rows: Transaction) -> None:
    file = rows.files.add(a_file(thumbnails=(SMALL,)), None)

    for key in (file.key, SMALL.key):
        assert rows.objects.needed(key, "anybody")
        assert not rows.objects.condemn(key, "anybody")

    assert states(rows, file.key, SMALL.key) == {}


def test_an_object_without_a_row_is_condemned_with_one(rows: Transaction) -> None:
    assert rows.objects.condemn("key", "gone")
    assert rows.objects.condemn("key", "gone")
    assert not rows.objects.condemn("key", "another")

    assert states(rows, "key") == {"key": ("gone", ObjectState.DELETING, None)}


def files_apart(rows: Transaction) -> File:
    """A file whose time no other has."""
    since = rows.now()
    while rows.now() <= since:
        pass
    return rows.files.add(a_file(), None)


def states(rows: Transaction, *keys: str) -> dict[str, tuple[str, ObjectState, str | None]]:
    known: Sequence[str] = keys
    return {
        key: (record.upload_id, record.state, record.multipart_id)
        for key, record in rows.objects.known(known).items()
    }
