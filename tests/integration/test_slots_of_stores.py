"""Where staging is a store that says nothing, who waits for it must not have all threads of a web."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.test import TestResponse

from shared.adapters.staging_disk import DiskChunkWriter, DiskStaging
from shared.model.stored import StoredObject
from shared.model.upload import NewUpload
from tests.support.front import Front, a_front
from tests.support.straight import StraightObjects
from tests.support.waiting import eventually
from tests.support.web import a_web
from tests.support.workshop import ALICE

SECONDS = 20
AT_ONCE = 0.2  # seconds
TUS = {"Tus-Resumable": "1.0.0"}


class Silent(DiskStaging):
    """Staging somewhere else, that does not answer until told to."""

    is_remote = True

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.hangs = False
        self.asked, self.answers = threading.Event(), threading.Event()

    def writer(
        self, upload_id: str, number: int, offset: int, length: int | None
    ) -> DiskChunkWriter:
        self._wait()
        return super().writer(upload_id, number, offset, length)

    def clear(self, *upload_ids: str) -> None:
        if upload_ids:
            self._wait()
        super().clear(*upload_ids)

    def _wait(self) -> None:
        if self.hangs:
            self.asked.set()
            assert self.answers.wait(SECONDS)


@pytest.fixture
def staging(tmp_path: Path) -> Silent:
    return Silent(tmp_path / "staging")


@pytest.fixture
def front(tmp_path: Path, staging: Silent, sqlite_url: str) -> Iterator[Front]:
    """A web of two threads, of which one may wait for long."""
    store = StraightObjects(tmp_path / "objects", base_url="http://sluice", secret="s" * 32)
    with a_front(
        tmp_path, sqlite_url, objects=store, staging=staging, web_threads=2, storage_backend="s3"
    ) as made:
        yield made


class Gathered(BytesIO):
    """A body that the server has whole before a thread has it."""

    is_gathered = True


def sent(
    front: Front, method: str, path: str, body: bytes, kind: str, **headers: str
) -> TestResponse:
    head = {"Content-Length": str(len(body)), "Content-Type": kind}
    head |= {name.replace("_", "-"): text for name, text in headers.items()}
    return front.ask(method, path, input_stream=Gathered(body), headers=head)


def said(front: Front, method: str, path: str, **body: Any) -> TestResponse:
    return sent(front, method, path, json.dumps(body).encode(), "application/json")


def form(front: Front, path: str, field: str, **fields: str) -> TestResponse:
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in fields.items()
    ]
    parts.append(
        f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="a.mp3"\r\n\r\n'
        "ID3 hello\r\n--b--\r\n"
    )
    return sent(front, "POST", path, "".join(parts).encode(), "multipart/form-data; boundary=b")


class Places:
    """What there is to go on with, made while staging still answers."""

    def __init__(self, front: Front) -> None:
        uploads = front.factory.services.uploads
        self.open, self.other = (uploads.open(ALICE, NewUpload("notes.txt")).id for _ in range(2))
        self.tus = self._stream(front, "12")
        begun = said(front, "POST", "/s3/multipart", filename="notes.txt").get_json()
        self.parted, self.key = begun["uploadId"], begun["key"]
        self.session = self._session(front)

    @staticmethod
    def _stream(front: Front, length: str) -> str:
        headers = TUS | {"Upload-Length": length, "Upload-Metadata": "filename bm90ZXMudHh0"}
        found: str = front.ask("POST", "/tus/", headers=headers).headers["Location"]
        return found[found.index("/tus/") :]

    @staticmethod
    def _session(front: Front) -> str:
        named = {"main_service_file_id": 5, "original_file_name": "a.mp3"}
        answer = said(front, "POST", "/upload/init", **named).get_json()
        return str(answer["data"]["upload_session_id"])


Ask = Callable[[Front, Places], TestResponse]
_BODY = "application/offset+octet-stream"
WAITING: dict[str, Ask] = {
    "chunk": lambda front, at: sent(
        front, "PUT", f"/api/v1/uploads/{at.other}/chunks/0", b"hello", "text/plain"
    ),
    "form": lambda front, _: form(front, "/api/v1/files/upload", "file"),
    "asset": lambda front, _: form(front, "/api/v1/storage/upload", "file", customerId="0"),
    "numbered": lambda front, _: form(front, "/api/files/upload", "file"),
    "gateway": lambda front, _: form(front, "/api/v1/upload/direct", "file"),
    "session": lambda front, at: form(
        front, "/upload/chunk", "chunk", upload_session_id=at.session, chunk_index="0"
    ),
    "stream": lambda front, at: sent(
        front, "PATCH", at.tus, b"hello", _BODY, Upload_Offset="0", Tus_Resumable="1.0.0"
    ),
    "stream begins": lambda front, _: sent(
        front, "POST", "/tus/", b"hello", _BODY, Upload_Length="9", Tus_Resumable="1.0.0",
        Upload_Metadata="filename bm90ZXMudHh0",
    ),
    "cancel": lambda front, at: front.ask("DELETE", f"/api/v1/uploads/{at.other}"),
    "session ends": lambda front, at: said(
        front, "DELETE", "/upload/file", upload_session_id=at.session
    ),
    "session begins anew": lambda front, _: said(
        front, "POST", "/upload/init", main_service_file_id=5, original_file_name="a.mp3"
    ),
    "stream ends": lambda front, at: front.ask("DELETE", at.tus, headers=TUS),
    "parts end": lambda front, at: front.ask(
        "DELETE", f"/s3/multipart/{at.parted}?key={at.key}"
    ),
}  # fmt: skip


@contextmanager
def one_waits(front: Front, staging: Silent, at: Places) -> Iterator[list[TestResponse]]:
    """Have the only thread that may wait do so until the block ends."""
    done: list[TestResponse] = []
    path = f"/api/v1/uploads/{at.open}/chunks/0"
    staging.hangs = True
    waiting = threading.Thread(
        target=lambda: done.append(sent(front, "PUT", path, b"hello", "text/plain"))
    )
    waiting.start()
    assert staging.asked.wait(SECONDS)
    staging.asked.clear()
    try:
        yield done
    finally:
        staging.answers.set()
        waiting.join()


@pytest.mark.parametrize("way", WAITING)
def test_while_one_waits_for_staging_the_next_is_told_to_come_again(
    front: Front, staging: Silent, way: str
) -> None:
    at = Places(front)

    with one_waits(front, staging, at) as done:
        refused = WAITING[way](front, at)
        began = time.monotonic()
        health = front.get("/healthz")
        took = time.monotonic() - began
        was_asked = staging.asked.is_set()

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert "Too much is under way" in refused.text
    assert not was_asked
    assert (health.status_code, took < AT_ONCE) == (200, True)
    assert done[0].status_code == 200


def test_what_was_refused_for_the_lack_of_a_thread_goes_through_later(
    front: Front, staging: Silent
) -> None:
    at = Places(front)
    with one_waits(front, staging, at):
        refused = [way(front, at).status_code for way in WAITING.values()]

    again = WAITING["chunk"](front, at), WAITING["stream"](front, at), WAITING["cancel"](front, at)

    assert set(refused) == {503}
    assert [each.status_code for each in again] == [200, 204, 204]


class Mute(StraightObjects):
    """A store that does not answer who looks for an object, or removes one, until told to."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "mute", base_url="http://sluice", secret="s" * 32)
        self.hangs = False
        self.asked, self.answers = threading.Event(), threading.Event()

    def find(self, key: str) -> StoredObject | None:
        self._wait()
        return super().find(key)

    def delete(self, keys: Sequence[str]) -> None:
        self._wait()
        super().delete(keys)

    def _wait(self) -> None:
        if self.hangs:
            self.asked.set()
            assert self.answers.wait(SECONDS)


def ready_stream(front: Front) -> str:
    """Publish a file that came over tus; return its address."""
    headers = TUS | {"Upload-Length": "5", "Upload-Metadata": "filename bm90ZXMudHh0"}
    headers["Content-Type"] = _BODY
    answer = front.ask("POST", "/tus/", headers=headers, data=b"hello")
    with front.factory.records.read() as rows:
        job = rows.jobs.find(answer.headers["Upload-Job"].rpartition("/")[2])
    assert job is not None
    front.factory.run(job)
    return answer.headers["Location"].removeprefix("http://localhost")


def keyed_upload(front: Front) -> str:
    answer = said(front, "POST", "/api/v1/upload/presigned", filename="a.pdf")
    return f"/api/v1/upload/download/{answer.get_json()['file_id']}"


@pytest.mark.parametrize("way", ["tus file", "gateway file"])
def test_while_one_waits_for_an_object_the_next_is_told_to_come_again(
    tmp_path: Path, way: str, sqlite_url: str
) -> None:
    store = Mute(tmp_path)
    with a_front(tmp_path, sqlite_url, objects=store, web_threads=2, storage_backend="s3") as front:
        file = front.published(b"hello")
        method, path = (
            ("DELETE", ready_stream(front)) if way == "tus file" else ("GET", keyed_upload(front))
        )
        store.hangs = True
        waiting = threading.Thread(
            target=lambda: front.ask("DELETE", f"/api/v1/files/{file.id}?hard_delete=true")
        )
        waiting.start()
        assert store.asked.wait(SECONDS)
        store.asked.clear()

        try:
            refused = front.ask(method, path, headers=TUS)
            was_asked = store.asked.is_set()
        finally:
            store.answers.set()
            waiting.join()
        later = front.ask(method, path, headers=TUS)

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert not was_asked
    assert later.status_code == (204 if way == "tus file" else 404)


def test_a_bucket_that_says_nothing_leaves_threads_for_health(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0), backlog=200) as hole,
        a_web(
            tmp_path,
            STORAGE_BACKEND="s3",
            STAGING_BACKEND="s3",
            S3_ENDPOINT_URL=f"http://127.0.0.1:{hole.getsockname()[1]}",
            S3_ACCESS_KEY_ID="a",
            S3_SECRET_ACCESS_KEY="b",
            S3_BUCKET_NAME="uploads",
            S3_REGION="us-east-1",
            WEB_THREADS="8",
            WEB_WORKERS="1",
            RATE_LIMITS="off",
        ) as web,
        web.api() as alice,
    ):
        path = f"/api/v1/uploads/{alice.open_upload('a.txt')['id']}/chunks"
        answers: list[int] = []

        def put(number: int) -> None:
            answers.append(alice.put(f"{path}/{number}", data=b"a" * 1000).status_code)

        threads = [threading.Thread(target=put, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        assert eventually(lambda: len(answers) > 0)  # six wait for the bucket, and nobody else may
        took = []
        for _ in range(20):
            began = time.monotonic()
            requests.get(f"{web.base_url}/healthz", timeout=60).raise_for_status()
            took.append(time.monotonic() - began)
        waiting = sum(thread.is_alive() for thread in threads)
        hole.close()
        for thread in threads:
            thread.join()

    assert answers == [503] * 12
    assert waiting >= 6
    assert sorted(took)[len(took) // 2] < AT_ONCE
    assert max(took) < 2  # on a busy host
