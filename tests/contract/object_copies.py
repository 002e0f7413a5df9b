"""What every object store must do when it copies; see `object_store`."""

from functools import partial
from typing import Final

import pytest

from shared.errors import KeyTaken, NotFound
from shared.ports import ObjectStore
from tests.support.objects import FIVE, KEY, content, etag_of, put, put_in_parts, seen
from tests.support.races import at_once

COPY: Final = "elsewhere/ü copy+1%.txt"


def copy(store: ObjectStore, key: str = COPY, *, source: str = KEY, upload_id: str = "two") -> str:
    there = seen(store, source)
    return store.copy(
        source,
        key,
        etag=there.etag,
        size=there.size,
        content_type="image/png",
        upload_id=upload_id,
    )


class Copies:
    """What is copied inside the store, whole, once, and only from what was seen.

    A store under test copies up to 5 MiB at once.
    """

    @pytest.mark.parametrize("size", [0, 1, FIVE, FIVE + 1, 2 * FIVE + 3])
    def test_a_copy_has_the_bytes_and_a_type_and_an_upload_of_its_own(
        self, store: ObjectStore, size: int
    ) -> None:
        body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
        put(store, KEY, body, upload_id="one")

        etag = copy(store)

        found = seen(store, COPY)
        assert (found.size, found.etag, found.content_type) == (size, etag, "image/png")
        assert found.metadata == {"upload-id": "two"}
        assert content(store, COPY) == body
        assert (content(store), seen(store).upload_id) == (body, "one")
        assert list(store.open_multiparts()) == []

    def test_what_was_made_of_parts_is_copied(self, store: ObjectStore) -> None:
        put_in_parts(store, KEY, b"hello")

        copy(store)

        assert content(store, COPY) == b"hello"

    def test_a_copy_outlives_its_source(self, store: ObjectStore) -> None:
        put(store, KEY, b"hello")
        copy(store)

        store.delete([KEY])

        assert content(store, COPY) == b"hello"

    @pytest.mark.parametrize("size", [0, 5, FIVE + 1])
    def test_a_copy_takes_no_key_that_is_taken(self, store: ObjectStore, size: int) -> None:
        put(store, KEY, b"x" * size)
        put(store, COPY, b"first", upload_id="one")
        before = seen(store, COPY)

        with pytest.raises(KeyTaken):
            copy(store)

        assert (seen(store, COPY), content(store, COPY)) == (before, b"first")
        assert list(store.open_multiparts()) == []

    @pytest.mark.parametrize("size", [0, 5, FIVE + 1])
    def test_a_source_that_is_another_by_now_is_not_copied(
        self, store: ObjectStore, size: int
    ) -> None:
        put(store, KEY, b"x" * size)

        with pytest.raises(NotFound) as refusal:
            store.copy(
                KEY, COPY, etag="0" * 32, size=size, content_type="text/plain", upload_id="two"
            )

        assert refusal.value.code == "object_not_found"
        assert store.find(COPY) is None
        assert list(store.open_multiparts()) == []

    @pytest.mark.parametrize("size", [0, 5, FIVE + 1])
    def test_a_source_that_is_gone_is_not_copied(self, store: ObjectStore, size: int) -> None:
        with pytest.raises(NotFound):
            store.copy(
                "nothing", COPY, etag="0" * 32, size=size, content_type="a/b", upload_id="two"
            )

        assert store.find(COPY) is None
        assert list(store.open_multiparts()) == []

    def test_of_sixteen_copies_at_once_one_wins(self, store: ObjectStore) -> None:
        for number in range(16):
            put(store, f"{number}", b"%02d" % number)

        def write(number: int) -> int | None:
            try:
                copy(store, source=f"{number}", upload_id=str(number))
            except KeyTaken:
                return None
            return number

        won = [n for n in at_once(partial(write, n) for n in range(16)) if n is not None]

        assert [content(store, COPY)] == [b"%02d" % number for number in won]
        assert [seen(store, COPY).upload_id] == [str(number) for number in won]
        assert etag_of(store, COPY) == etag_of(store, str(won[0]))
