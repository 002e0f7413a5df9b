"""What every object store must do with what was seen of an object; see `object_store`."""

from collections.abc import Callable
from functools import partial
from io import BytesIO

import pytest

from shared.asking import asked
from shared.errors import KeyTaken, LeaseLost
from shared.ports import ObjectStore
from tests.support.objects import KEY, begin, content, etag_of, put, put_in_parts, seen
from tests.support.races import at_once

Over = Callable[[ObjectStore, bytes, str], str]


def put_over(store: ObjectStore, body: bytes, etag: str) -> str:
    return store.put(KEY, body, content_type="text/plain", upload_id="two", over=etag)


def complete_over(store: ObjectStore, body: bytes, etag: str) -> str:
    multipart_id = store.begin_multipart(KEY, content_type="text/plain", upload_id="two")
    part = store.put_part(KEY, multipart_id, 1, 0, BytesIO(body))
    try:
        return store.complete_multipart(KEY, multipart_id, [part], over=etag)
    finally:
        store.abort_multipart(KEY, multipart_id)


class Conditions:
    """What was seen is deleted or written over, and nothing that came after it."""

    @pytest.mark.parametrize("write", [put, put_in_parts])
    def test_what_was_seen_is_deleted(
        self, store: ObjectStore, write: Callable[[ObjectStore, str, bytes], str]
    ) -> None:
        write(store, KEY, b"hello")

        assert store.delete_seen(seen(store))

        assert store.find(KEY) is None
        assert list(store.listing()) == []

    def test_what_came_after_it_stays(self, store: ObjectStore) -> None:
        put(store, KEY, b"first", upload_id="one")
        first = seen(store)
        store.delete([KEY])
        put(store, KEY, b"second", upload_id="two")
        second = seen(store)

        assert not store.delete_seen(first)

        assert (seen(store), content(store)) == (second, b"second")

    def test_what_is_gone_already_is_not_ours_to_delete(self, store: ObjectStore) -> None:
        put(store, KEY, b"first")
        first = seen(store)
        store.delete([KEY])

        assert not store.delete_seen(first)

        assert store.find(KEY) is None

    def test_of_late_deletions_at_once_none_takes_what_came_after(self, store: ObjectStore) -> None:
        for number in range(10):
            key = f"{number}.txt"
            put(store, key, b"first", upload_id="one")
            first = seen(store, key)

            def write(key: str = key) -> bool:
                while True:
                    try:
                        put(store, key, b"second", upload_id="two")
                    except KeyTaken:
                        continue
                    return True

            delete = partial(store.delete_seen, first)
            works: list[Callable[[], bool]] = [write, delete, delete, delete, delete]

            assert sum(at_once(works)) == 2
            assert content(store, key) == b"second"

    @pytest.mark.parametrize("write", [put_over, complete_over])
    def test_what_was_seen_is_written_over(self, store: ObjectStore, write: Over) -> None:
        before = put(store, KEY, b"damaged", upload_id="one")

        etag = write(store, b"right", before)

        found = seen(store)
        assert (content(store), found.etag, found.upload_id) == (b"right", etag, "two")
        assert list(store.open_multiparts()) == []

    @pytest.mark.parametrize("write", [put_over, complete_over])
    def test_what_came_after_it_is_not(self, store: ObjectStore, write: Over) -> None:
        before = put(store, KEY, b"damaged")
        store.delete([KEY])
        with pytest.raises(KeyTaken):
            write(store, b"late", before)
        put(store, KEY, b"right")

        with pytest.raises(KeyTaken):
            write(store, b"late", before)

        assert content(store) == b"right"

    @pytest.mark.parametrize("write", [put_over, complete_over])
    def test_who_is_asked_before_it_is_written_over_can_forbid_it(
        self, store: ObjectStore, write: Over
    ) -> None:
        before = put(store, KEY, b"damaged")

        def forbid() -> None:
            raise LeaseLost("Somebody else holds this job.")

        with pytest.raises(LeaseLost), asked(forbid):
            write(store, b"late", before)

        assert content(store) == b"damaged"
        write(store, b"right", before)
        assert content(store) == b"right"

    def test_a_refused_multipart_can_be_completed_over_what_is_there(
        self, store: ObjectStore
    ) -> None:
        before = put(store, KEY, b"damaged")
        multipart_id = begin(store)
        part = store.put_part(KEY, multipart_id, 1, 0, BytesIO(b"right"))
        with pytest.raises(KeyTaken):
            store.complete_multipart(KEY, multipart_id, [part])

        store.complete_multipart(KEY, multipart_id, [part], over=before)

        assert content(store) == b"right"
        assert store.holds(KEY, "u", [part]) == etag_of(store, KEY)
