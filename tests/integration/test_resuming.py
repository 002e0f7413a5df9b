"""Streams and their joins when many come at once: on both databases one row decides."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import update

from shared.adapters.tables import quotas
from shared.errors import (
    AppError,
    Conflict,
    NotFound,
    OffsetMismatch,
    QuotaExceeded,
    TooLarge,
    Unavailable,
)
from shared.model.caller import Caller, Scope
from shared.model.job import Job
from shared.model.lifecycle import JobState
from shared.model.resumable import Capability
from shared.model.upload import NewUpload, Transfer
from shared.services.joining import Parts
from shared.services.resumption import Resumption
from tests.support.factory import UPLOADS, Factory, a_factory
from tests.support.races import at_once, waiting_for_locks
from tests.support.waiting import eventually
from tests.support.workshop import ALICE, Bytes

ADMIN = Caller("root", scopes=frozenset({Scope.ADMIN}))


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
    return factory.services.resuming.open(ALICE, new, None).capability


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
    return factory.services.resuming.join(ALICE, NewUpload("notes.txt"), None, named).capability


def status(factory: Factory, capability: Capability) -> Resumption:
    return factory.services.resuming.status(ALICE, capability)


def is_known(factory: Factory, capability: Capability) -> bool:
    try:
        return factory.services.resuming.enter(capability).id == capability.upload_id
    except NotFound:
        return False


def job_of(factory: Factory, capability: Capability) -> Job:
    job = status(factory, capability).job
    assert job is not None
    return job


def all_waiting(
    looking: psycopg.Connection, works: Sequence[Callable[[], object]]
) -> list[threading.Thread]:
    """Start works one after the other, each once the one before waits for a row."""

    threads: list[threading.Thread] = []
    for work in works:
        threads.append(threading.Thread(target=work))
        threads[-1].start()
        assert eventually(lambda: waiting_for_locks(looking) >= len(threads))
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


@pytest.mark.parametrize("size", [10, 30])
def test_a_length_that_comes_elsewhere_than_at_the_offset_is_not_kept(
    factory: Factory, size: int
) -> None:
    service, capability = factory.services.resuming, opened(factory, None)
    sent(factory, capability, b"hello")
    old = service.enter(capability)
    sent(factory, capability, b" world", 5)

    with pytest.raises(OffsetMismatch) as refused:
        service.append(ALICE, old, 5, Bytes(b""), size=size)

    assert refused.value.facts["offset"] == 11
    found = status(factory, capability)
    assert (found.size, found.offset) == (None, 11)


def test_a_length_that_there_is_no_room_for_is_not_kept(factory: Factory) -> None:
    capability = opened(factory, None)
    sent(factory, capability, b"hello")
    with factory.records._engine.begin() as connection:
        connection.execute(update(quotas).values(limit_bytes=10))

    for body in (b" world", b""):
        with pytest.raises(QuotaExceeded):
            sent(factory, capability, body, 5, size=11)

    found = status(factory, capability)
    assert (found.size, found.offset) == (None, 5)
    assert (factory.quota(), len(factory.staged())) == ((0, 5), 1)
    sent(factory, capability, b" all.", 5, size=10)
    assert factory.run(job_of(factory, capability)).state is JobState.SUCCEEDED
    assert factory.quota() == (10, 0)


def test_of_joins_of_the_same_parts_at_once_all_get_one_upload(factory: Factory) -> None:
    parts = part(factory, b"hello "), part(factory, b"world")

    made = at_once([partial(joined, factory, *parts)] * 4)

    assert len({each.upload_id for each in made}) == 1
    (last,) = [each for each in made if is_known(factory, each)]
    assert factory.run(job_of(factory, last)).state is JobState.SUCCEEDED
    assert factory.quota() == (11, 0)


def test_last_bytes_of_all_parts_at_once_queue_one_job(factory: Factory) -> None:
    for _ in range(5):
        parts = [part(factory, b"part", whole=False) for _ in range(3)]
        final = joined(factory, *parts)

        at_once([partial(sent, factory, each, b"part") for each in parts])

        assert job_of(factory, final).total == 12


@pytest.mark.parametrize(("first", "second"), [("join", "last byte"), ("last byte", "join")])
def test_a_last_byte_and_a_join_that_waits_for_it_never_miss_each_other(
    postgres_rows: str, tmp_path: Path, first: str, second: str
) -> None:
    with (
        a_factory(tmp_path, postgres_rows) as factory,
        psycopg.connect(postgres_rows) as holding,
        psycopg.connect(postgres_rows, autocommit=True) as looking,
    ):
        whole, other = part(factory, b"hello "), part(factory, b"world", whole=False)
        finals: list[Capability] = []
        works: dict[str, Callable[[], object]] = {
            "join": lambda: finals.append(joined(factory, whole, other)),
            "last byte": lambda: sent(factory, other, b"world"),
        }
        # Both wait for one row, and come to all the others after it.
        holding.execute("SELECT 1 FROM uploads WHERE id = %s FOR UPDATE", [other.upload_id])
        threads = all_waiting(looking, [works[first], works[second]])
        holding.commit()
        for thread in threads:
            thread.join()

        assert job_of(factory, finals[0]).total == 11


def test_a_join_and_who_ends_its_parts_never_wait_for_each_other(factory: Factory) -> None:
    cancel = factory.services.uploads.cancel
    deadlocks = []

    def quietly(work: Callable[[], object]) -> None:
        try:
            work()
        except Unavailable as error:
            deadlocks.append(error)
        except AppError:
            pass  # somebody else was faster

    for _ in range(10):
        parts = part(factory, b"hello "), part(factory, b"world")
        works: list[Callable[[], object]] = [partial(joined, factory, *parts)]
        works += [partial(cancel, ALICE, each.upload_id) for each in parts]
        at_once([partial(quietly, work) for work in works])

    assert not deadlocks


def test_who_says_a_length_and_who_ends_what_waits_for_it_never_wait_for_each_other(
    postgres_rows: str, tmp_path: Path
) -> None:
    with (
        a_factory(tmp_path, postgres_rows) as factory,
        psycopg.connect(postgres_rows) as holding,
        psycopg.connect(postgres_rows, autocommit=True) as looking,
    ):
        only = opened(factory, None, Transfer.PART)
        sent(factory, only, b"hello")
        final = joined(factory, only)
        holding.execute("SELECT 1 FROM quotas FOR UPDATE")
        works = [
            lambda: sent(factory, only, b"!", 5, size=6),
            lambda: factory.services.uploads.cancel(ALICE, final.upload_id),
        ]

        threads = all_waiting(looking, works)
        began = time.monotonic()
        holding.commit()
        for thread in threads:
            thread.join()

        assert factory.quota() == (0, 0)
        assert time.monotonic() - began < 1  # PostgreSQL finds a deadlock after a second


@pytest.mark.parametrize("address", ["", "\0", "x" * 36 + "-\0", "\0" * 36 + "-x"])
def test_an_address_that_is_none_opens_nothing(factory: Factory, address: str) -> None:
    with pytest.raises(NotFound):
        factory.services.resuming.enter(Capability.parsed(address))


def test_who_ends_a_failed_upload_frees_what_was_kept_for_a_retry(factory: Factory) -> None:
    capability = opened(factory, 5)
    sent(factory, capability, b"hello")
    claim = factory.claim(job_of(factory, capability))
    factory.claims.give_up(claim, {"code": "x", "detail": "y"})
    assert (factory.quota(), len(factory.staged())) == ((0, 5), 1)

    service = factory.services.resuming
    service.end(ALICE, service.enter(capability))

    assert (factory.quota(), factory.staged()) == ((0, 0), [])
    with pytest.raises(NotFound):
        service.enter(capability)
    with pytest.raises(Conflict):
        factory.services.jobs.retry(ADMIN, claim.job.id)


def test_parts_that_are_too_large_together_for_what_they_are_to_be_are_refused(
    factory: Factory,
) -> None:
    parts = [opened(factory, 80 * 1024**2, Transfer.PART) for _ in range(2)]
    named = Parts([each.upload_id for each in parts], "final;")
    before = factory.snapshot()

    with pytest.raises(TooLarge):
        factory.services.resuming.join(ALICE, NewUpload("photo.png"), None, named)

    assert factory.snapshot() == before


def test_a_body_that_turns_out_too_long_does_not_end_its_upload(factory: Factory) -> None:
    chunk = UPLOADS.chunk_size
    capability, long = opened(factory, 2 * chunk), Stalled(b"a" * 3 * chunk)
    long.go.set()
    service = factory.services.resuming

    with pytest.raises(TooLarge):
        service.append(ALICE, service.enter(capability), 0, long)

    found = status(factory, capability)
    assert (found.offset, found.job, len(factory.staged())) == (chunk, None, 1)
    rest = Stalled(b"a" * chunk)
    rest.go.set()
    service.append(ALICE, service.enter(capability), chunk, rest)
    assert factory.run(job_of(factory, capability)).state is JobState.SUCCEEDED
