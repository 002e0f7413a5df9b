"""Objects on disk, and the links that we sign for them ourselves."""

import fcntl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from shared.adapters.objects_disk import DiskObjects
from shared.asking import asked
from shared.errors import AppError, Conflict, KeyTaken, NotFound, Unavailable
from tests.contract.object_conditions import put_over
from tests.contract.object_store import ObjectStoreContract
from tests.support.objects import KEY, content, put
from tests.support.waiting import eventually


class TestObjectsOnDisk(ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> DiskObjects:
        return on_disk(tmp_path)

    def test_our_links_open_what_was_signed_until_they_end(self, store: DiskObjects) -> None:
        url = store.presign(
            KEY, timedelta(seconds=60), disposition="attachment", content_type="text/plain"
        )
        token = url.rpartition("/")[2]

        assert url.startswith("http://sluice/objects/")
        assert store.opened(token) == (KEY, "attachment", "text/plain")

        for wrong in (token[:-1], f"{token}x", "", "a.b.c", token.swapcase()):
            with pytest.raises(NotFound):
                store.opened(wrong)

    def test_our_links_end(self, store: DiskObjects) -> None:
        url = store.presign(KEY, timedelta(), disposition="inline", content_type="text/plain")

        assert eventually(lambda: refused(lambda: store.opened(url.rpartition("/")[2])), 5)

    def test_somebody_elses_secret_opens_nothing(self, store: DiskObjects, tmp_path: Path) -> None:
        other = DiskObjects(tmp_path / "other", base_url="http://sluice", secret="t" * 32)
        url = other.presign(
            KEY, timedelta(seconds=60), disposition="inline", content_type="text/plain"
        )

        with pytest.raises(NotFound):
            store.opened(url.rpartition("/")[2])

    def test_a_refused_put_leaves_nothing_behind(self, store: DiskObjects, tmp_path: Path) -> None:
        put(store, KEY, b"first")

        with pytest.raises(KeyTaken):
            put(store, KEY, b"second")

        assert list((tmp_path / "store" / "parts").iterdir()) == []

    @pytest.mark.parametrize("key", ["a/b/c", "a"])
    def test_a_key_below_or_above_another_is_a_conflict_for_good(
        self, store: DiskObjects, key: str
    ) -> None:
        put(store, "a/b", b"first")

        with pytest.raises(Conflict) as refusal:
            put(store, key, b"second")

        assert not isinstance(refusal.value, KeyTaken)  # which would say: look whose it is
        assert [each.key for each in store.listing()] == ["a/b"]

    def test_a_folder_that_cannot_be_written_is_unavailable(
        self, store: DiskObjects, tmp_path: Path
    ) -> None:
        (tmp_path / "store" / "parts").rmdir()

        with pytest.raises(Unavailable):
            put(store, KEY, b"x")

    def test_who_is_frozen_with_the_lock_keeps_nobody_else_waiting_for_ever(
        self, tmp_path: Path
    ) -> None:
        store = on_disk(tmp_path, lock_seconds=0.2)
        put(store, KEY, b"hello")
        seen = store.find(KEY)
        assert seen is not None

        with locked_by_another(tmp_path):
            for attempt in (
                partial(put, store, "a/new", b"x"),
                partial(store.delete, [KEY]),
                partial(store.delete_seen, seen),
            ):
                with pytest.raises(Unavailable, match="locked"):
                    attempt()
            read = content(store)
        put(store, "a/new", b"x")
        store.delete([KEY])

        assert read == b"hello"
        assert [each.key for each in store.listing()] == ["a/new"]

    def test_who_was_frozen_while_it_waited_for_the_lock_is_asked_once_it_has_it(
        self, tmp_path: Path
    ) -> None:
        store = on_disk(tmp_path)
        before = put(store, KEY, b"hello")
        found: list[bool] = []

        with asked(lambda: found.append(is_locked(tmp_path))):
            put_over(store, b"hullo", before)

        assert found == [True]

    def test_the_lock_is_waited_for_as_long_as_it_may_take(
        self, store: DiskObjects, tmp_path: Path
    ) -> None:
        with locked_by_another(tmp_path):
            putting = threading.Thread(target=put, args=(store, KEY, b"hello"))
            putting.start()
            putting.join(0.3)
            waited = putting.is_alive()
        putting.join(5)

        assert waited
        assert content(store) == b"hello"


def on_disk(folder: Path, *, lock_seconds: float = 10) -> DiskObjects:
    root = folder / "store"
    return DiskObjects(root, base_url="http://sluice", secret="s" * 32, lock_seconds=lock_seconds)


@contextmanager
def locked_by_another(folder: Path) -> Iterator[None]:
    with (folder / "store" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_locked(folder: Path) -> bool:
    with suppress(BlockingIOError), (folder / "store" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    return True


def refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except AppError:
        return True
    return False
