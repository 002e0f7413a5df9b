"""`replace` in the canonical API: a field or a query parameter, of both ways to send a file."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.objects_disk import DiskObjects
from shared.model.layout import Layout
from shared.ports import ObjectStore
from shared.services.assets import CHAT, layout_at
from tests.support.factory import UPLOADS
from tests.support.front import Front, a_front
from tests.support.late import as_store

BARE = Layout("{name}")
PLACES: tuple[tuple[dict[str, str], dict[str, str]], ...] = (
    ({"replace": "true"}, {}),
    ({}, {"replace": "true"}),
)


@pytest.fixture
def front(tmp_path: Path, database_url: str) -> Iterator[Front]:
    with a_front(tmp_path, database_url, uploads=replace(UPLOADS, layout=BARE)) as made:
        yield made


class Interrupted:
    """A store in front of which something happens just before it is read."""

    def __init__(self, inner: ObjectStore) -> None:
        self._inner = inner
        self.meanwhile: list[Callable[[], object]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def read(self, *said: Any, **more: Any) -> Iterator[bytes]:
        if self.meanwhile:
            self.meanwhile.pop()()
        return self._inner.read(*said, **more)


def test_who_reads_a_lasting_address_while_its_file_is_replaced_has_one_of_them(
    tmp_path: Path, database_url: str
) -> None:
    disk = DiskObjects(tmp_path / "objects", base_url="http://sluice", secret="s" * 32)
    store = Interrupted(disk)
    said: dict[str, Any] = {
        "layout": layout_at(CHAT, forced=True),
        "profile": "storage",
        "is_public": True,
    }
    with a_front(tmp_path, database_url, objects=as_store(store)) as front:
        old = front.published(b"the first", **said)
        heir = front.factory.received(b"the second", **said, replace=True)
        path = f"/public/{old.key}"
        first = front.get(path)
        store.meanwhile.append(lambda: front.factory.run(heir))

        second = front.get(path)

        assert (first.status_code, first.data) == (200, b"the first")
        assert (second.status_code, second.data) == (200, b"the second")
        assert second.headers["ETag"] not in {None, first.headers["ETag"]}
        assert front.get(f"/public/{old.id}/notes.txt").status_code == 404


@pytest.mark.parametrize(("fields", "query"), PLACES, ids=["field", "query"])
def test_an_upload_in_one_request_replaces_where_it_says_so(
    front: Front, fields: Mapping[str, str], query: Mapping[str, str]
) -> None:
    old = front.published()

    def send(fields: Mapping[str, str], query: Mapping[str, str]) -> Any:
        data = {"file": (BytesIO(b"the second"), old.filename), **fields}
        headers = {"Prefer": "respond-async"}
        path = "/api/v1/files/upload"
        return front.ask("POST", path, data=data, query_string=query, headers=headers)

    refused, taken = send({}, {}), send(fields, query)

    assert (refused.status_code, refused.get_json()["type"]) == (409, "name_taken")
    assert taken.status_code == 202
    assert replaced_by(front, taken.get_json()["upload_id"]) == old.id


@pytest.mark.parametrize(("fields", "query"), PLACES, ids=["field", "query"])
def test_an_upload_in_chunks_replaces_where_it_says_so(
    front: Front, fields: Mapping[str, str], query: Mapping[str, str]
) -> None:
    old = front.published()

    def open_one(fields: Mapping[str, Any], query: Mapping[str, str]) -> Any:
        new = {"filename": old.filename, **fields}
        path = "/api/v1/uploads"
        return front.ask("POST", path, json=new, query_string=query)

    refused, opened = open_one({}, {}), open_one(dict.fromkeys(fields, True), query)

    assert (refused.status_code, refused.get_json()["type"]) == (409, "name_taken")
    assert opened.status_code == 201
    assert replaced_by(front, opened.get_json()["id"]) == old.id


def test_a_file_that_is_being_replaced_is_told_with_when_to_ask_again(front: Front) -> None:
    old = front.published()
    heir = front.factory.received(b"the second", old.filename, layout=BARE, replace=True)
    with front.factory.records.begin() as rows:
        assert rows.objects.succeed(old.key, old.id, heir.upload_id, {})

    removal = front.ask("DELETE", f"/api/v1/files/{old.id}?hard_delete=true")
    new = {"filename": old.filename, "replace": True}
    another = front.ask("POST", "/api/v1/uploads", json=new)
    many = front.ask("POST", "/api/v1/files/delete", json={"ids": [old.id], "hard_delete": True})

    for answer in (removal, another):
        said = answer.get_json()
        assert (answer.status_code, answer.headers["Retry-After"]) == (409, "60")
        assert (said["type"], said["upload_id"]) == ("conflict", heir.upload_id)
    assert many.get_json()["items"][0]["error"]["code"] == "conflict"


def test_what_is_neither_true_nor_false_is_refused(front: Front) -> None:
    said = {"filename": "a.txt", "replace": "soon"}

    answer = front.ask("POST", "/api/v1/uploads", json=said)

    assert answer.status_code == 422


def replaced_by(front: Front, upload_id: str) -> str | None:
    with front.factory.records.read() as rows:
        upload = rows.uploads.find(upload_id)
    assert upload is not None
    return upload.replaces
