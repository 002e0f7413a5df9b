"""Stores that are asked late, or that note what they are asked to delete."""

import threading
from collections.abc import Callable
from typing import Any, Final, cast

from shared.model.stored import StoredObject
from shared.ports import ObjectStore

_SECONDS: Final = 20


class Frozen:
    """A store whose first request that takes something away is only sent after `thaw`."""

    def __init__(self, inner: ObjectStore) -> None:
        self._inner = inner
        self._asked = 0
        self.frozen = threading.Event()
        self.thaw = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def put(self, *said: Any, over: str | None = None, **more: Any) -> str:
        if over is None:
            return self._inner.put(*said, **more)
        self._freeze()
        return self._inner.put(*said, over=over, **more)

    def delete(self, keys: list[str]) -> None:
        if keys:
            self._freeze()
        self._inner.delete(keys)

    def delete_seen(self, seen: StoredObject) -> bool:
        self._freeze()
        return self._inner.delete_seen(seen)

    def _freeze(self) -> None:
        self._asked += 1
        if self._asked == 1:
            self.frozen.set()
            assert self.thaw.wait(_SECONDS)

    def meanwhile(self, late: Callable[[], object], work: Callable[[], object]) -> None:
        """Begin what will be late, do the work once it is frozen, and let it go on."""
        thread = threading.Thread(target=late)
        thread.start()
        try:
            assert self.frozen.wait(_SECONDS)
            work()
        finally:
            self.thaw.set()
            thread.join()


class Counting:
    """A store that notes what it is asked to delete."""

    def __init__(self, inner: ObjectStore, asked: list[object]) -> None:
        self._inner = inner
        self._asked = asked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def delete(self, keys: list[str]) -> None:
        self._asked += keys
        self._inner.delete(keys)

    def delete_seen(self, seen: StoredObject) -> bool:
        self._asked.append(seen)
        return self._inner.delete_seen(seen)


def as_store(stand_in: object) -> ObjectStore:
    return cast("ObjectStore", stand_in)
