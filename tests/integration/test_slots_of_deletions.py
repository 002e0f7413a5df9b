"""Who deletes for good or closes a file waits for the store, and must not have all threads of a web."""

import json
import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from shared.adapters.objects_disk import DiskObjects
from shared.model.layout import Layout
from shared.model.stored import StoredObject
from tests.support.front import Front, a_front

BARE = Layout("{name}")
SECONDS = 20


class Hanging(DiskObjects):
    """A store that gives things away, and does not answer who hides or removes one until told to."""

    gives_away = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "objects", base_url="http://sluice", secret="s" * 32)
        self.hangs = False
        self.asked = threading.Event()
        self.answers = threading.Event()

    def find(self, key: str) -> StoredObject | None:
        self._wait()
        return super().find(key)

    def set_public(self, key: str, *, is_public: bool) -> None:
        del key, is_public
        self._wait()

    def _wait(self) -> None:
        if self.hangs:
            self.asked.set()
            assert self.answers.wait(SECONDS)


@pytest.fixture
def store(tmp_path: Path) -> Hanging:
    return Hanging(tmp_path)


@pytest.fixture
def front(tmp_path: Path, store: Hanging, sqlite_url: str) -> Iterator[Front]:
    """A web of two threads, of which one may wait for long."""
    with a_front(tmp_path, sqlite_url, objects=store, web_threads=2, storage_backend="s3") as made:
        yield made


class Gathered(BytesIO):
    """A body that the server has whole before a thread has it."""

    is_gathered = True


def said(front: Front, method: str, path: str, **body: Any) -> TestResponse:
    text = json.dumps(body).encode()
    head = {"Content-Length": str(len(text)), "Content-Type": "application/json"}
    return front.ask(method, path, input_stream=Gathered(text), headers=head)


Ask = Callable[[Front, str], TestResponse]
WAITING: dict[str, Ask] = {
    "hard": lambda front, file: front.ask("DELETE", f"/api/v1/files/{file}?hard_delete=true"),
    "soft": lambda front, file: front.ask("DELETE", f"/api/v1/files/{file}"),
    "many": lambda front, file: said(front, "POST", "/api/v1/files/delete", ids=[file]),
    "closed": lambda front, file: said(front, "PATCH", f"/api/v1/files/{file}", is_public=False),
    "numbered": lambda front, _: front.ask("DELETE", "/api/files/2"),
    "gateway": lambda front, _: front.ask("DELETE", "/api/v1/upload/b.txt"),
    "chunked": lambda front, file: said(front, "DELETE", "/upload/file", upload_session_id=file),
}


@pytest.mark.parametrize("way", WAITING)
def test_while_one_waits_for_the_store_the_next_is_told_to_come_again(
    front: Front, store: Hanging, way: str
) -> None:
    first, second = (
        front.published(b"hello", filename=name, layout=BARE, is_public=True)
        for name in ("a.txt", "b.txt")
    )
    store.hangs = True
    done: list[Any] = []
    path = f"/api/v1/files/{first.id}?hard_delete=true"
    waiting = threading.Thread(target=lambda: done.append(front.ask("DELETE", path)))
    waiting.start()
    assert store.asked.wait(SECONDS)

    try:
        refused = WAITING[way](front, second.id)
        shown = front.get(f"/api/v1/files/{second.id}")
    finally:
        store.answers.set()
        waiting.join()

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert "Too much is under way" in refused.text
    assert (shown.status_code, shown.get_json()["is_public"]) == (200, True)
    assert done[0].status_code == 204


def test_where_nobody_asks_the_store_nobody_needs_a_slot(front: Front, store: Hanging) -> None:
    first, second = (
        front.published(b"hello", filename=name, layout=BARE) for name in ("a.txt", "b.txt")
    )
    store.gives_away = False
    store.hangs = True
    path = f"/api/v1/files/{first.id}?hard_delete=true"
    waiting = threading.Thread(target=lambda: front.ask("DELETE", path))
    waiting.start()
    assert store.asked.wait(SECONDS)

    try:
        answers = [
            WAITING["closed"](front, second.id),
            WAITING["soft"](front, second.id),
            front.ask("POST", f"/api/v1/files/{second.id}/restore"),
        ]
    finally:
        store.answers.set()
        waiting.join()

    assert [each.status_code for each in answers] == [200, 204, 200]
