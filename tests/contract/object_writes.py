"""What every object store must do when it is written to; see `object_store`."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from io import BytesIO

import pytest

from shared.adapters.clock_system import SystemClock
from shared.errors import KeyTaken, Unavailable
from shared.ports import ObjectStore
from tests.support.objects import FIVE, KEY, begin, content, put, put_in_parts
from tests.support.races import at_once


class Writes:
    """What is written once, whole or in parts, and by one of many."""

    def test_what_was_put_is_read(self, store: ObjectStore) -> None:
        put(store, KEY, b"hello world")

        assert content(store) == b"hello world"

    def test_an_object_without_bytes_is_put_and_read(self, store: ObjectStore) -> None:
        put(store, KEY, b"")

        found = store.find(KEY)
        assert found is not None
        assert found.size == 0
        assert b"".join(store.read(KEY, 0, 0)) == b""

    def test_the_store_says_what_it_was_told(self, store: ObjectStore) -> None:
        etag = store.put(KEY, b"hello", content_type="image/png", upload_id="the-upload")

        found = store.find(KEY)

        assert found is not None
        assert (found.key, found.size, found.etag) == (KEY, 5, etag)
        assert (found.content_type, found.metadata) == ("image/png", {"upload-id": "the-upload"})
        assert abs(found.modified_at - SystemClock().now()) < timedelta(minutes=1)

    def test_parts_in_any_order_become_the_object(self, store: ObjectStore) -> None:
        bodies = [b"a" * FIVE, b"b" * FIVE, b"tail"]
        multipart_id = begin(store)
        buffers = [BytesIO(body) for body in bodies]
        parts = [store.put_part(KEY, multipart_id, n + 1, n * FIVE, buffers[n]) for n in (2, 0, 1)]
        parts.sort(key=lambda part: part.number)

        etag = store.complete_multipart(KEY, multipart_id, parts)

        found = store.find(KEY)
        assert found is not None
        assert (found.size, found.etag) == (2 * FIVE + 4, etag)
        assert found.metadata == {"upload-id": "u"}
        assert b"".join(store.read(KEY, FIVE - 2, FIVE + 2)) == b"aabb"
        assert b"".join(store.read(KEY, 2 * FIVE, 2 * FIVE + 4)) == b"tail"
        assert [part.length for part in parts] == [FIVE, FIVE, 4]

    def test_a_part_that_is_sent_again_replaces_the_first(self, store: ObjectStore) -> None:
        multipart_id = begin(store)
        store.put_part(KEY, multipart_id, 1, 0, BytesIO(b"first"))
        body = BytesIO(b"again")
        part = store.put_part(KEY, multipart_id, 1, 0, body)

        store.complete_multipart(KEY, multipart_id, [part])

        assert content(store) == b"again"
        assert body.getvalue() == b"again"

    def test_a_taken_key_keeps_what_it_has(self, store: ObjectStore) -> None:
        put(store, KEY, b"first", upload_id="one")
        before = store.find(KEY)

        for write in (put, put_in_parts):
            with pytest.raises(KeyTaken):
                write(store, KEY, b"other", upload_id="two")

        assert content(store) == b"first"
        assert store.find(KEY) == before

    def test_a_refused_multipart_can_still_be_aborted(self, store: ObjectStore) -> None:
        put(store, KEY, b"first")
        multipart_id = begin(store)
        part = store.put_part(KEY, multipart_id, 1, 0, BytesIO(b"other"))
        with pytest.raises(KeyTaken):
            store.complete_multipart(KEY, multipart_id, [part])

        store.abort_multipart(KEY, multipart_id)

        assert list(store.open_multiparts()) == []

    def test_a_completed_multipart_is_not_open_and_not_completed_twice(
        self, store: ObjectStore
    ) -> None:
        multipart_id = begin(store)
        part = store.put_part(KEY, multipart_id, 1, 0, BytesIO(b"hello"))
        store.complete_multipart(KEY, multipart_id, [part])

        with pytest.raises(KeyTaken):
            store.complete_multipart(KEY, multipart_id, [part])

        assert list(store.open_multiparts()) == []
        assert content(store) == b"hello"

    def test_of_sixteen_puts_at_once_one_wins(self, store: ObjectStore) -> None:
        def write(number: int) -> bytes | None:
            body = b"%02d" % number * 100
            try:
                put(store, KEY, body, upload_id=str(number))
            except KeyTaken:
                return None
            return body

        won = [body for body in at_once(partial(write, n) for n in range(16)) if body]

        found = store.find(KEY)
        assert found is not None
        assert [content(store)] == won
        assert found.metadata == {"upload-id": str(int(won[0][:2]))}
        assert found.etag == store.holds(KEY, str(int(won[0][:2])), won[0])

    def test_of_sixteen_completions_at_once_one_wins(self, store: ObjectStore) -> None:
        bodies = [b"%02d" % number * 100 for number in range(16)]
        begun = [begin(store) for _ in bodies]
        parts = [
            store.put_part(KEY, multipart_id, 1, 0, BytesIO(body))
            for multipart_id, body in zip(begun, bodies, strict=True)
        ]

        def complete(number: int) -> bytes | None:
            try:
                store.complete_multipart(KEY, begun[number], [parts[number]])
            except KeyTaken:
                store.abort_multipart(KEY, begun[number])
                return None
            return bodies[number]

        won = [body for body in at_once(partial(complete, n) for n in range(16)) if body]

        assert [content(store)] == won
        assert list(store.open_multiparts()) == []

    def test_multiparts_are_open_until_completed_or_aborted(self, store: ObjectStore) -> None:
        one, two = begin(store, "one"), begin(store, "two")
        store.put_part("one", one, 1, 0, BytesIO(b"x"))

        found = list(store.open_multiparts())

        assert {(each.key, each.multipart_id) for each in found} == {("one", one), ("two", two)}
        now = SystemClock().now()
        assert all(abs(each.started_at - now) < timedelta(minutes=1) for each in found)
        for _ in range(2):
            store.abort_multipart("one", one)
            store.abort_multipart("two", two)
        assert list(store.open_multiparts()) == []
        assert list(store.listing()) == []

    def test_a_multipart_that_was_aborted_has_to_begin_again(self, store: ObjectStore) -> None:
        multipart_id = begin(store)
        part = store.put_part(KEY, multipart_id, 1, 0, BytesIO(b"x"))
        store.abort_multipart(KEY, multipart_id)

        attempts: Sequence[Callable[[], object]] = (
            lambda: store.put_part(KEY, multipart_id, 1, 0, BytesIO(b"x")),
            lambda: store.complete_multipart(KEY, multipart_id, [part]),
        )
        for attempt in attempts:
            with pytest.raises(Unavailable):
                attempt()

        assert store.find(KEY) is None
