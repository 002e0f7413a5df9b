"""What is written over an object on disk, and ends in the middle of it: the old one or the new."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.objects_disk import DiskObjects
from shared.errors import KeyTaken, NotFound, Unavailable
from tests.contract.object_conditions import put_over
from tests.support.objects import KEY, content, put, seen

OLD, NEW = b"the old", b"the new"  # of one length
CALLS = ("link", "replace", "rename", "fsync", "unlink")
STEPS = range(1, 20)


class Died(BaseException):
    """The process ended here."""


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("ending", [Died(), OSError(28, "No space left on device")])
def test_whoever_ends_while_writing_over_leaves_the_old_object_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: BaseException, is_done: bool
) -> None:
    left: list[bytes] = []
    for step in STEPS:
        store = on_disk(tmp_path / str(step))
        before = put(store, KEY, OLD, upload_id="one")
        with monkeypatch.context() as patch:
            calls = end_at(patch, step, ending, is_done=is_done)
            with suppress(Died, Unavailable):
                put_over(store, NEW, before)
            if len(calls) < step:
                break

        store = on_disk(tmp_path / str(step))  # begun again
        found, body = seen(store), content(store)
        left.append(body)
        assert (body, found.upload_id) in [(OLD, "one"), (NEW, "two")]
        assert (found.etag == before) == (body == OLD)
        assert b"".join(store.read(KEY, 0, 7, etag=found.etag)) == body
        assert [each.key for each in store.listing()] == [KEY]

        again = put_over(store, b"again", found.etag)
        assert (content(store), seen(store).etag) == (b"again", again)

    assert set(left) == {OLD, NEW}
    assert len(left) < len(STEPS)


def test_who_reads_while_it_is_written_over_has_bytes_and_facts_of_one_object(
    tmp_path: Path,
) -> None:
    store = on_disk(tmp_path)
    etags = {put(store, KEY, OLD): OLD}
    is_over = threading.Event()
    wrong: list[Any] = []

    def look() -> None:
        while not is_over.is_set():
            found = store.find(KEY)
            if found is None:
                wrong.append("missing")
                continue
            try:
                body = b"".join(store.read(KEY, 0, 7, etag=found.etag))
            except KeyTaken:
                continue  # it is another by now
            except NotFound:
                wrong.append("not found")
                continue
            seen_there.append((found.etag, body))

    seen_there: list[tuple[str, bytes]] = []
    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(60):
        body = b"%07d" % number
        etags[put_over(store, body, seen(store).etag)] = body
    is_over.set()
    for reader in readers:
        reader.join()

    assert wrong == []
    assert all(etags[etag] == body for etag, body in seen_there)


def end_at(
    patch: pytest.MonkeyPatch, step: int, ending: BaseException, *, is_done: bool
) -> list[str]:
    """End the process' part at one of its calls that change the disk, before or after it."""
    calls: list[str] = []

    def wrapped(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*said: Any, **more: Any) -> object:
            calls.append(name)
            if len(calls) < step or (len(calls) > step and isinstance(ending, OSError)):
                return real(*said, **more)
            if len(calls) == step and is_done:
                real(*said, **more)
            raise ending

        return call

    for name in CALLS:
        patch.setattr(os, name, wrapped(name, getattr(os, name)))
    return calls


def on_disk(folder: Path) -> DiskObjects:
    return DiskObjects(folder / "store", base_url="http://sluice", secret="s" * 32)
