"""What every object store must do. Subclass `ObjectStoreContract` and provide `store`."""

import pytest

from shared.errors import NotFound
from shared.ports import ObjectStore
from tests.contract.object_conditions import Conditions
from tests.contract.object_copies import Copies
from tests.contract.object_writes import Writes
from tests.support.objects import KEY, MIB, content, put


class Reads:
    """What was written is found, read, listed and deleted."""

    @pytest.mark.parametrize(
        ("start", "stop", "body"),
        [(0, 10, b"0123456789"), (0, 1, b"0"), (9, 10, b"9"), (3, 7, b"3456"), (5, 99, b"56789")],
    )
    def test_ranges_are_read(self, store: ObjectStore, start: int, stop: int, body: bytes) -> None:
        put(store, KEY, b"0123456789")

        assert b"".join(store.read(KEY, start, stop)) == body

    def test_a_large_object_is_read_in_blocks(self, store: ObjectStore) -> None:
        body = bytes(range(256)) * 4096
        put(store, KEY, body)

        blocks = list(store.read(KEY, 1, MIB - 1))

        assert b"".join(blocks) == body[1:-1]
        assert max(map(len, blocks)) <= MIB // 4

    def test_a_missing_object_is_refused_before_the_first_byte(self, store: ObjectStore) -> None:
        with pytest.raises(NotFound) as refusal:
            store.read("nothing", 0, 10)

        assert refusal.value.code == "object_not_found"
        assert store.find("nothing") is None

    def test_deleting_twice_is_not_an_error(self, store: ObjectStore) -> None:
        put(store, KEY, b"x")
        put(store, "stays", b"x")

        for _ in range(2):
            store.delete([KEY, "nothing"])
        store.delete([])

        assert [each.key for each in store.listing()] == ["stays"]
        assert store.find(KEY) is None

    def test_a_deleted_key_can_be_written_again(self, store: ObjectStore) -> None:
        put(store, KEY, b"first", upload_id="one")
        store.delete([KEY])

        put(store, KEY, b"second", upload_id="two")

        found = store.find(KEY)
        assert found is not None
        assert (content(store), found.metadata) == (b"second", {"upload-id": "two"})

    def test_the_listing_tells_of_every_object(self, store: ObjectStore) -> None:
        etags = {key: put(store, key, key.encode()) for key in ("a", "b/c", "b/d/e", "z.txt")}

        found = list(store.listing())

        assert {(each.key, each.size, each.etag) for each in found} == {
            (key, len(key), etag) for key, etag in etags.items()
        }

    def test_a_store_that_answers_is_silent_when_it_is_checked(self, store: ObjectStore) -> None:
        store.check()

    def test_the_url_of_an_object_ends_in_its_key(self, store: ObjectStore) -> None:
        assert store.url(KEY).endswith(KEY)


class ObjectStoreContract(Writes, Copies, Conditions, Reads):
    """Provide `store`, and you are done."""
