"""Numbers that no column holds, wherever clients say one, on the database whose integers have ends."""

import base64
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask.json import dumps

from shared.model.upload import NewUpload, Transfer
from tests.support.front import Front, a_front
from tests.support.straight import StraightObjects
from tests.support.workshop import ALICE

NUMBERS = (-1, 2**31 - 1, 2**31, 2**63 - 1, 2**63)
TUS = {"Tus-Resumable": "1.0.0"}
NAMED = {"Upload-Metadata": f"filename {base64.b64encode(b'notes.txt').decode()}"}


@pytest.fixture
def front(tmp_path: Path, postgres_rows: str) -> Iterator[Front]:
    store = StraightObjects(tmp_path / "objects", base_url="http://sluice", secret="s" * 32)
    with a_front(tmp_path, postgres_rows, objects=store, storage_backend="s3") as made:
        yield made


class Places:
    """An upload of each kind, so that what is said of one gets as far as it can."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.chunked, self.sized, self.direct = (
            front.factory.services.uploads.open(ALICE, new).id
            for new in (
                NewUpload("notes.txt"),
                NewUpload("notes.txt", size=3000, chunk_size=1000),
                NewUpload("notes.txt", size=30, transfer=Transfer.DIRECT),
            )
        )
        said = {"main_service_file_id": 5, "original_file_name": "a.mp3"}
        begun = front.ask("POST", "/upload/init", json=said)
        self.session = begun.get_json()["data"]["upload_session_id"]
        opened = front.ask("POST", "/s3/multipart", json={"filename": "notes.txt"}).get_json()
        self.parted, self.key = opened["uploadId"], opened["key"]
        job = front.factory.received(b"hello world")
        front.factory.run(job)
        self.file, self.job = job.upload_id, job.id

    def stream(self, **said: str) -> str:
        answer = self.front.ask("POST", "/tus/", headers=TUS | NAMED | said)
        return answer.headers["Location"].removeprefix("http://localhost")

    def resumable(self) -> str:
        return self.stream(**{"Upload-Defer-Length": "1"})


Ask = tuple[str, str, dict[str, Any]]


def in_queries(at: Places, number: int) -> Iterator[Ask]:
    for path in (
        f"/api/v1/uploads/{at.direct}/targets?numbers={{}}",
        "/api/v1/files?limit={}",
        "/api/v1/files?offset={}",
        "/api/v1/files?cursor={}",
        "/api/v1/jobs?ids={}",
        f"/api/v1/jobs/{at.job}?wait={{}}",
        f"/api/v1/files/{at.file}/presigned-url?expiry={{}}",
        "/api/v1/webhooks?limit={}",
        "/api/v1/webhooks?cursor={}",
        "/api/files?limit={}",
        "/api/files?offset={}",
        "/api/v1/upload/list?limit={}",
        "/api/v1/upload/download/no-such-file/url?expires_in={}",
        f"/s3/multipart/{at.parted}/batch?key={at.key}&partNumbers={{}}",
        "/s3/params?filename=notes.txt&metadata[expires_in]={}",
    ):
        yield "GET", path.format(number), {}
    for sort in ("size", "created_at"):
        position = base64.urlsafe_b64encode(dumps([f"-{sort}", number, at.file]).encode())
        query = f"sort=-{sort}&cursor={position.decode().rstrip('=')}"
        yield "GET", f"/api/v1/files?{query}", {}


def in_paths(at: Places, number: int) -> Iterator[Ask]:
    for upload in (at.chunked, at.sized, at.direct):
        yield "PUT", f"/api/v1/uploads/{upload}/chunks/{number}", {"data": b"abc"}
    yield "GET", f"/api/files/{number}", {}
    yield "DELETE", f"/api/files/{number}", {}
    yield "GET", f"/s3/multipart/{at.parted}/{number}?key={at.key}", {}
    for path in ("files", "uploads", "jobs"):
        yield "GET", f"/api/v1/{path}/{number}", {}


def in_bodies(at: Places, number: int) -> Iterator[Ask]:
    for path, said in (
        ("/api/v1/uploads", {"filename": "a.txt", "size": number}),
        ("/api/v1/uploads", {"filename": "a.txt", "size": 5, "chunk_size": number}),
        ("/api/v1/uploads", {"filename": "a.txt", "expires_in": number}),
        ("/api/v1/uploads", {"filename": "a.txt", "metadata": {"number": number}}),
        ("/api/v1/upload-grants", {"expires_in": number}),
        (f"/api/v1/uploads/{at.chunked}/complete", {"total_chunks": number}),
        (f"/api/v1/uploads/{at.direct}/complete", {"total_chunks": number}),
        ("/api/files/presigned-url", {"file_id": number}),
        ("/api/files/presigned-url", {"file_id": 1, "expiration_hours": number}),
        ("/api/v1/upload/presigned", {"filename": "a.pdf", "expires_in": number}),
        ("/upload/init", {"main_service_file_id": number, "original_file_name": "a.mp3"}),
        (
            "/upload/complete",
            {"upload_session_id": at.session, "total_chunks": number, "main_service_file_id": 5},
        ),
        (
            f"/s3/multipart/{at.parted}/complete?key={at.key}",
            {"parts": [{"PartNumber": number, "ETag": "0" * 32}]},
        ),
    ):
        yield "POST", path, {"json": said}


def in_forms(at: Places, number: int) -> Iterator[Ask]:
    chunk = {"upload_session_id": at.session, "chunk_index": str(number)}
    for fields in ({**chunk, "chunk": a_file()}, {"chunk": a_file(), **chunk}):
        yield "POST", "/upload/chunk", {"data": fields}
    fields = {"expires_in": str(number), "file": a_file()}
    later = {"Prefer": "respond-async"}
    yield "POST", "/api/v1/files/upload", {"data": fields, "headers": later}
    yield "POST", "/api/v1/storage/upload", {"data": {"customerId": str(number), "file": a_file()}}


def in_headers(at: Places, number: int) -> Iterator[Ask]:
    yield "POST", "/tus/", {"headers": TUS | NAMED | {"Upload-Length": str(number)}}
    body = {"Content-Type": "application/offset+octet-stream"}
    at_it = at.resumable()
    for said in (
        {"Upload-Offset": str(number)},
        {"Upload-Offset": "0", "Upload-Length": str(number)},
    ):
        yield "PATCH", at_it, {"headers": TUS | body | said, "data": b"abc"}
    yield (
        "GET",
        f"/api/v1/files/{at.file}/download",
        {"headers": {"Range": f"bytes={number}-{number}"}},
    )
    seen = {"If-None-Match": f'"{number}-x"', "Last-Event-ID": str(number)}
    for path in ("", "/events"):
        yield "GET", f"/api/v1/jobs/{at.job}{path}", {"headers": seen}


def a_file() -> tuple[BytesIO, str]:
    return BytesIO(b"ID3 hello"), "a.mp3"


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("where", [in_queries, in_paths, in_bodies, in_forms, in_headers])
def test_a_number_that_no_column_holds_is_refused_or_does_no_harm(
    front: Front, where: Callable[[Places, int], Iterator[Ask]], number: int
) -> None:
    at = Places(front)

    answers = [
        (f"{method} {path}", front.ask(method, path, **said).status_code)
        for method, path, said in where(at, number)
    ]

    assert not [answer for answer in answers if answer[1] >= 500]  # whose fault it is


@pytest.mark.parametrize("number", [10_000, 2**31 - 1, 2**31, 10**15 - 1])
def test_a_chunk_further_than_the_last_is_refused_in_the_shape_of_its_dialect(
    front: Front, number: int
) -> None:
    at = Places(front)
    fields = {"upload_session_id": at.session, "chunk_index": str(number), "chunk": a_file()}

    answer = front.ask("POST", "/upload/chunk", data=fields)

    assert answer.status_code == 409
    assert (answer.get_json()["status"], answer.get_json()["code"]) == ("error", "chunk_misplaced")
    assert front.factory.query("SELECT number FROM chunks") == []
    assert front.factory.staged() == []
