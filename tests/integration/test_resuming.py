"""Streams and their joins when many come at once: on both databases one row decides."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg
import pytest

from shared.errors import OffsetMismatch
from shared.model.job import Job
from shared.model.lifecycle import JobState
from shared.model.resumable import Capability
from shared.model.upload import NewUpload, Transfer
from shared.services.joining import Parts
from shared.services.resumption import Resumption
from tests.support.factory import Factory, a_factory
from tests.support.waiting import eventually
from tests.support.workshop import ALICE, Bytes


@pytest.fixture
def factory(database_url: str, tmp_path: Path) -> Iterator[Factory]:
    with a_factory(tmp_path / "data", database_url) as made:
        yield made


class Stalled(Bytes):
    """A body of unknown length that comes only when it is let go."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.length = None
        self.begun, self.go = threading.Event(), threading.Event()

    def read(self, size: int, /) -> bytes:
        self.begun.set()
        assert self.go.wait(20)
        return super().read(size)


def opened(factory: Factory, size: int | None, transfer: Transfer = Transfer.STREAM) -> Capability:
    new = NewUpload("notes.txt", size=size, transfer=transfer)
    return factory.services.resuming.open(ALICE, new, None)


def part(factory: Factory, content: bytes, *, whole: bool = True) -> Capability:
    capability = opened(factory, len(content), Transfer.PART)
    if whole:
        sent(factory, capability, content)
    return capability


def sent(
    factory: Factory,
    capability: Capability,
    content: bytes,
    offset: int = 0,
    *,
    size: int | None = None,
) -> None:
    service = factory.services.resuming
    service.append(ALICE, service.enter(capability), offset, Bytes(content), size=size)


def joined(factory: Factory, *parts: Capability) -> Capability:
    named = Parts([each.upload_id for each in parts], "final;")
    return factory.services.resuming.join(ALICE, NewUpload("notes.txt"), None, named)


def status(factory: Factory, capability: Capability) -> Resumption:
    return factory.services.resuming.status(ALICE, capability.upload_id)


def job_of(factory: Factory, capability: Capability) -> Job:
    job = status(factory, capability).job
    assert job is not None
    return job


def all_waiting(
    looking: psycopg.Connection, works: Sequence[Callable[[], object]]
) -> list[threading.Thread]:
    """Start works one after the other, each once the one before waits for a row."""

    def waiting() -> int:
        found = looking.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
        return 0 if found is None else int(found[0])

    threads: list[threading.Thread] = []
    for work in works:
        threads.append(threading.Thread(target=work))
        threads[-1].start()
        assert eventually(lambda: waiting() >= len(threads))
    return threads


@pytest.mark.parametrize("content", [b"hello", b"hello world"])
def test_an_old_request_adds_nothing_to_an_upload_that_has_got_a_length(
    factory: Factory, content: bytes
) -> None:
    service = factory.services.resuming
    capability, old = opened(factory, None), Stalled(content)
    refusals: list[OffsetMismatch] = []

    def go_on() -> None:
        with pytest.raises(OffsetMismatch) as refused:
            service.append(ALICE, service.enter(capability), 0, old)
        refusals.append(refused.value)

    thread = threading.Thread(target=go_on)
    thread.start()
    assert old.begun.wait(20)
    sent(factory, capability, b"", size=5)
    old.go.set()
    thread.join()

    assert len(refusals) == 1
    assert status(factory, capability).offset == 0
    assert factory.quota() == (0, 5)
    sent(factory, capability, b"HELLO")
    assert factory.run(job_of(factory, capability)).state is JobState.SUCCEEDED
    assert factory.quota() == (5, 0)
