"""A web that is told to stop answers whoever still sends or waits, and is out within 25 s."""

import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
import requests

from tests.e2e.wire import Answer, Wire, a_wire
from tests.support.api import Api, answered
from tests.support.web import Web, a_web

OUT_SECONDS: Final = 25.0
AT_ONCE: Final = 3.0  # seconds
SIZE: Final = 6 * 1024**2
BLOCK: Final = 4000  # bytes that a client sends in every tenth of a second: SIZE takes minutes
SOON: Final = 1.0
CRC: Final = "crc32 AAAAAA=="
PDF: Final = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\ntrailer <<>>\n%%EOF\n"
TUS: Final = ("Tus-Resumable: 1.0.0", "Content-Type: application/offset+octet-stream")
FORM: Final = "Content-Type: multipart/form-data; boundary=b"
WEEK: Final = f"Content-Length: {SIZE}"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with a_web(tmp_path, WEB_WORKERS="1", RATE_LIMITS="off") as made:
        yield made


@pytest.fixture
def alice(web: Web) -> Iterator[Api]:
    with web.api(tenant="7") as alice:
        yield alice


def stream(alice: Api) -> str:
    """Open an upload over tus; return its path."""
    said = {"Tus-Resumable": "1.0.0", "Upload-Length": str(SIZE)}
    answer = alice.post("/tus/", headers=said | {"Upload-Metadata": "filename bm90ZXMudHh0"})
    return str(answer.headers["Location"][len(alice.base_url) :])


def session(alice: Api) -> str:
    said = {"main_service_file_id": 5, "original_file_name": "a.mp3"}
    begun = answered(alice.post("/upload/init", json=said), 200)
    return str(begun["data"]["upload_session_id"])


def part(name: str, text: str) -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()


def file_part(field: str, filename: str, content: bytes) -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="{filename}"\r\n\r\n'
    return head.encode() + content


def begun(alice: Api, wire: Wire, way: str) -> None:
    """Begin a request of minutes."""
    if way in {"stream", "stream with a digest"}:
        more = () if way == "stream" else (f"Upload-Checksum: {CRC}",)
        path = stream(alice)
        wire.head("PATCH", path, alice.token, "Upload-Offset: 0", WEEK, *TUS, *more)
    elif way == "chunk":
        opened = alice.open_upload("long.txt", size=SIZE, chunk_size=SIZE)
        wire.head("PUT", f"/api/v1/uploads/{opened['id']}/chunks/0", alice.token, WEEK)
    elif way == "json":
        wire.head("POST", "/api/v1/uploads", alice.token, "Content-Length: 1000000")
    elif way == "session":
        fields = part("upload_session_id", session(alice)) + part("chunk_index", "0")
        wire.head("POST", "/upload/chunk", alice.token, FORM, WEEK)
        wire.send(fields + file_part("chunk", "a.mp3", b"ID3"))
    else:
        wire.head("POST", way, alice.token, FORM, WEEK)
        wire.send(file_part("file", "a.pdf", PDF))


def dripped(wire: Wire, over: threading.Event) -> Answer:
    """Send on and on, until there is an answer."""
    answered = threading.Event()

    def drip() -> None:
        while not (over.wait(0.1) or answered.is_set()):
            try:
                wire.send(b"a" * BLOCK)
            except OSError:  # the server has closed: the answer is here
                return

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        return wire.answer()
    finally:
        answered.set()
        dripping.join()


FORMS: Final = ("/api/v1/files/upload", "/api/files/upload", "/api/v1/storage/upload")
REFUSED: Final = ("stream with a digest", "chunk", "session", "json", *FORMS)


def stopped(web: Web) -> Future[float]:
    """Tell the web to stop; return after how many seconds it was gone."""
    pool = ThreadPoolExecutor(1)

    def gone() -> float:
        began = time.monotonic()
        web.process.send_signal(signal.SIGTERM)
        web.process.wait(60)
        return time.monotonic() - began

    return pool.submit(gone)


def test_who_sends_for_longer_than_the_web_is_there_is_answered(web: Web, alice: Api) -> None:
    over, wires = threading.Event(), [a_wire(web.base_url) for _ in range(1 + len(REFUSED))]
    with ThreadPoolExecutor(len(wires)) as pool:
        lines = [wire.__enter__() for wire in wires]
        for way, line in zip(("stream", *REFUSED), lines, strict=True):
            begun(alice, line, way)
        answers = [pool.submit(dripped, line, over) for line in lines]
        over.wait(SOON)
        took = stopped(web).result()
        over.set()
        kept, *refused = [each.result() for each in answers]
    for wire in wires:
        wire.__exit__(None, None, None)

    assert kept.status == 204
    assert int(kept.headers["upload-offset"]) == received(web) > 10 * BLOCK
    for way, answer in zip(REFUSED, refused, strict=True):
        assert answer.status == 503, (way, answer)
        assert answer.headers["retry-after"] == "5"
        assert answer.headers["connection"] == "close"
        assert "being stopped" in answer.body.decode(), way
    assert [named(answer) for answer in refused] == [
        *("problem", "problem", "message", "problem"),
        *("problem", "words", "envelope"),
    ]
    assert took <= OUT_SECONDS


def named(answer: Answer) -> str:
    """Say which dialect's refusal this is."""
    names = {"meta": "envelope", "type": "problem", "message": "message", "error": "words"}
    return next(name for field, name in names.items() if field in answer.json())


def received(web: Web) -> int:
    """Return the bytes that are kept, of which there are as many rows as files."""
    with closing(sqlite3.connect(web.folder / "sluice.db")) as database:
        names, bytes_ = database.execute("SELECT count(*), sum(length) FROM chunks").fetchone()
        (said,) = database.execute("SELECT sum(received) FROM uploads").fetchone()
    staged = [each for each in (web.folder / "staging").rglob("00000000.*") if each.is_file()]
    assert (names, bytes_) == (len(staged), said)
    return int(said)


def file_sent(path: str, **said: str) -> Callable[[Api], requests.Response]:
    labels = {"category": "chat", "action": "upload", "customerId": "7"} | said
    return lambda alice: alice.post(path, files={"file": ("a.pdf", PDF)}, data=labels, timeout=70)


def test_who_waits_for_a_job_is_answered_before_the_web_goes(web: Web, alice: Api) -> None:
    job = answered(alice.submit(b"hello", Prefer="respond-async"), 202)
    asks: dict[str, Callable[[Api], requests.Response]] = {
        "file": lambda api: api.submit(b"hello", "b.txt"),
        "poll": lambda api: api.get(f"/api/v1/jobs/{job['id']}?wait=30"),
        "events": lambda api: api.get(f"/api/v1/jobs/{job['id']}/events"),
        "numbered": file_sent("/api/files/upload"),
        "storage": file_sent("/api/v1/storage/upload"),
    }

    def timed(ask: Callable[[Api], requests.Response]) -> tuple[requests.Response, float]:
        with web.api(tenant="7") as api:
            answer = ask(api)
        return answer, time.monotonic()

    with ThreadPoolExecutor(len(asks)) as pool:
        waiting = {name: pool.submit(timed, ask) for name, ask in asks.items()}
        threading.Event().wait(SOON)
        assert not any(each.done() for each in waiting.values())
        began = time.monotonic()
        took = stopped(web).result()
        ended = {name: each.result() for name, each in waiting.items()}
    after = {name: at - began for name, (_, at) in ended.items()}
    told = {name: answer for name, (answer, _) in ended.items()}

    assert {name: answer.status_code for name, answer in told.items()} == {
        "file": 202,
        "poll": 200,
        "events": 200,
        "numbered": 504,
        "storage": 504,
    }
    assert "/api/v1/jobs/" in told["file"].headers["Location"]
    assert told["poll"].json()["state"] == "queued"
    assert told["events"].text.count("event: queued") == 1
    assert told["numbered"].json()["code"] == "not_in_time"
    assert told["storage"].json()["meta"]["error"] == "not_in_time"
    assert max(after[name] for name in ("file", "poll", "events")) <= AT_ONCE
    assert took <= OUT_SECONDS
