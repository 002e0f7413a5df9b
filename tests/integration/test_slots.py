"""Slots, and the sockets that are watched for them."""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO

import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue

from shared.errors import AppError
from tests.support.waiting import eventually
from web import errors, limits
from web.limits import SMALL_ANSWER, Lease, Slots, holds_slot
from web.server.line import MOST_UNSENT, Line

FAR_MORE = 16 * 1024**2  # bytes: more than the kernel takes


@pytest.fixture
def ends() -> Iterator[tuple[Line, socket.socket]]:
    ours, theirs = socket.socketpair()
    line = Line(ours, grace=1.0)
    yield line, theirs
    line.close()
    theirs.close()


@pytest.fixture
def slots() -> Slots:
    return Slots(4)


@pytest.fixture
def client(slots: Slots) -> FlaskClient:
    app = Flask(__name__)
    views: dict[str, Callable[[], ResponseReturnValue]] = {
        "read": lambda: request.get_data(),  # noqa: PLW0108  # there is no request yet
        "skip": lambda: "",
        "large": lambda: b"x" * (SMALL_ANSWER + 1),
        "small": lambda: b"x" * SMALL_ANSWER,
        "wait": lambda: str(holds_slot()),
        "stream": lambda: Response(iter(["a", str(holds_slot())])),
    }
    for name, view in views.items():
        app.add_url_rule(f"/{name}", name, view, methods=["GET", "POST"])
    app.register_error_handler(AppError, errors.present)
    limits.lend(app, slots)
    return app.test_client()


def test_three_quarters_of_the_threads_may_wait(slots: Slots) -> None:
    held = [Lease(slots, None).hold() for _ in range(4)]

    assert held == [True, True, True, False]


def test_a_request_takes_one_slot_and_gives_it_back_once(slots: Slots) -> None:
    lease = Lease(slots, None)

    assert (lease.hold(), lease.hold()) == (True, True)
    lease.end()
    lease.end()

    assert [Lease(slots, None).hold() for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize("path", ["/large", "/read", "/wait", "/stream"])
def test_no_slot_is_lost_in_a_request(client: FlaskClient, path: str) -> None:
    for _ in range(10):
        answer = client.post(path, data=b"x", buffered=True)

        assert answer.status_code == 200
        assert b"False" not in answer.data


def test_without_a_slot_bodies_and_large_answers_are_refused(
    client: FlaskClient, slots: Slots
) -> None:
    for _ in range(3):
        Lease(slots, None).hold()

    read, large = client.post("/read", input_stream=BytesIO(b"x")), client.get("/large")

    for answer in (read, large):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert client.post("/skip", data=b"x").status_code == 200
    assert client.get("/small").status_code == 200
    assert client.head("/large").status_code == 200
    assert client.get("/wait").data == b"False"


def test_whoever_stalls_makes_room(slots: Slots, ends: tuple[Line, socket.socket]) -> None:
    line, _ = ends
    ended = threading.Event()
    stalled = Lease(slots, line)
    stalled.hold()
    for _ in range(2):
        Lease(slots, None).hold()

    def read() -> None:
        line.wait(select.POLLIN, time.monotonic() + 20)
        stalled.end()
        ended.set()

    reader = threading.Thread(target=read)
    reader.start()
    eventually(lambda: line.stalled_seconds() > 0)
    newcomer = Lease(slots, None).hold()
    reader.join()

    assert newcomer
    assert ended.is_set()
    assert line.is_deaf
    assert not line.is_cut


def test_a_little_that_is_not_taken_waits_without_a_thread(
    ends: tuple[Line, socket.socket],
) -> None:
    line, theirs = ends
    fill(line)

    line.sendall(b"y" * (MOST_UNSENT - len(line.unsent)))
    waiting = len(line.unsent)
    theirs.recv(FAR_MORE)

    assert waiting == MOST_UNSENT
    assert eventually(lambda: is_flushed(line))


def test_a_reader_that_does_not_read_is_cut(ends: tuple[Line, socket.socket]) -> None:
    line, _ = ends

    with pytest.raises(TimeoutError):
        line.sendall(bytes(FAR_MORE))

    assert line.is_cut


def test_a_reader_gets_everything_in_order(ends: tuple[Line, socket.socket]) -> None:
    line, theirs = ends
    said = bytes(range(256)) * 4096
    read = bytearray()

    def listen() -> None:
        while len(read) < len(said):
            read.extend(theirs.recv(10_000))

    listening = threading.Thread(target=listen)
    listening.start()
    for at in range(0, len(said), 50_000):
        line.sendall(said[at : at + 50_000])
    eventually(lambda: is_flushed(line))
    listening.join()

    assert bytes(read) == said


def test_patience_ends_and_comes_back(ends: tuple[Line, socket.socket]) -> None:
    line, _ = ends

    impatient = stalled_while_waiting(line, 0.5)
    line.moved(64 * 1024)
    patient = stalled_while_waiting(line, 0.5)

    assert impatient
    assert not patient
    assert line.stalled_seconds() == 0


def stalled_while_waiting(line: Line, seconds: float) -> bool:
    """Say whether the line was stalled at any time of a wait in vain."""
    waiting = threading.Thread(target=line.wait, args=(select.POLLIN, time.monotonic() + seconds))
    waiting.start()
    seen = [line.stalled_seconds() for _ in iter(waiting.is_alive, False)]
    waiting.join()
    return any(seen)


def is_flushed(line: Line) -> bool:
    line.flush()
    return not line.unsent


def fill(line: Line) -> None:
    """Send until the kernel takes no more."""
    while not line.unsent:
        line.sendall(bytes(10_000))
