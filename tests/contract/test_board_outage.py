"""A Redis that is frozen, full or somebody's replica: the board costs little and never lies."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic

import psutil
import pytest
from redis import Redis

from shared.adapters.board_redis import RedisBoard, redis_client
from shared.errors import Unavailable
from shared.model.job import JobStatus
from shared.model.lifecycle import JobState
from tests.support import servers
from tests.support.builders import a_file, a_job
from tests.support.frost import frozen, valkey_at
from tests.support.races import at_once
from tests.support.waiting import eventually

SEEN_AT = datetime(2026, 11, 21, 4, 5, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server of its own: the others are not to be hurt."""
    with servers.valkey_server() as made:
        yield made


@pytest.fixture
def server(url: str) -> psutil.Process:
    return valkey_at(url)


@pytest.fixture
def client(url: str) -> Iterator[Redis]:
    with closing(redis_client(url)) as made:
        yield made


class TestFrozen:
    def test_many_at_once_wait_one_time_out_and_the_next_not_at_all(
        self, board: RedisBoard, server: psutil.Process
    ) -> None:
        shown = a_status()
        board.put(shown)

        with frozen(server):
            first = at_once([lambda: put_and_find(board, shown)] * 40)
            later = [put_and_find(board, shown) for _ in range(100)]

        assert max(first) < 2.5
        assert max(later) < 0.1

    def test_no_verb_waits_while_it_stays_frozen(
        self, board: RedisBoard, server: psutil.Process
    ) -> None:
        with frozen(server):
            board.find(["a"])
            began = monotonic()

            board.forget(["a"])
            board.beat("ingest@a")
            assert board.workers() == []
            assert monotonic() - began < 0.1

    def test_it_is_used_again_soon_after_it_wakes(
        self, board: RedisBoard, server: psutil.Process
    ) -> None:
        shown = a_status()
        board.put(shown)

        with frozen(server):
            assert board.find([shown.job.id]) == {}

        eventually(lambda: board.find([shown.job.id]), 5)

    def test_what_was_to_be_forgotten_meanwhile_is_not_shown_again(
        self, board: RedisBoard, server: psutil.Process
    ) -> None:
        gone, gone_later, kept = a_status(), a_status(), a_status()
        for status in (gone, gone_later, kept):
            board.put(status)

        with frozen(server):
            board.forget([gone.job.id])
            board.forget([gone_later.job.id])

        asked = [gone.job.id, gone_later.job.id, kept.job.id]
        assert list(eventually(lambda: board.find(asked), 5)) == [kept.job.id]

    def test_what_changed_meanwhile_is_not_shown_as_it_was(
        self, board: RedisBoard, server: psutil.Process
    ) -> None:
        failed, kept = a_status(JobState.FAILED), a_status()
        board.put(failed)
        board.put(kept)
        again = replace(failed, job=replace(failed.job, state=JobState.QUEUED, version=2))

        with frozen(server):
            board.find([failed.job.id])
            board.put(again)

        asked = [failed.job.id, kept.job.id]
        assert list(eventually(lambda: board.find(asked), 5)) == [kept.job.id]


class TestFull:
    @pytest.fixture(autouse=True)
    def full(self, board: RedisBoard, client: Redis) -> Iterator[JobStatus]:
        shown = a_status()
        board.put(shown)
        client.config_set("maxmemory", "1")
        yield shown
        client.config_set("maxmemory", "0")

    def test_the_check_says_so(self, board: RedisBoard, client: Redis) -> None:
        assert client.ping()
        with pytest.raises(Unavailable):
            board.check()

    def test_what_is_forgotten_is_gone(self, board: RedisBoard, full: JobStatus) -> None:
        board.forget([full.job.id])

        assert board.find([full.job.id]) == {}

    def test_what_it_can_t_be_told_it_does_not_show(
        self, board: RedisBoard, full: JobStatus
    ) -> None:
        assert list(board.find([full.job.id])) == [full.job.id]

        board.put(replace(full, job=replace(full.job, version=full.job.version + 1)))

        assert board.find([full.job.id]) == {}


def test_the_check_says_that_it_is_a_replica(board: RedisBoard, client: Redis) -> None:
    client.replicaof("127.0.0.1", str(servers.free_port()))
    try:
        with pytest.raises(Unavailable):
            board.check()
    finally:
        client.replicaof("NO", "ONE")


def test_the_check_leaves_nothing_for_good(board: RedisBoard, client: Redis, prefix: str) -> None:
    board.check()

    assert all(int(client.ttl(key)) > 0 for key in client.scan_iter(f"{prefix}*"))


def test_a_status_that_can_t_be_written_is_not_shown_and_nobody_s_fault(board: RedisBoard) -> None:
    status = replace(a_status(), file=a_file(filename="half a character \ud83d"))

    board.put(status)

    assert board.find([status.job.id]) == {}


def a_status(state: JobState = JobState.RUNNING) -> JobStatus:
    job = a_job(state=state, due_at=SEEN_AT, created_at=SEEN_AT, updated_at=SEEN_AT)
    return JobStatus(job, None, SEEN_AT)


def put_and_find(board: RedisBoard, status: JobStatus) -> float:
    began = monotonic()
    board.put(status)
    board.find([status.job.id])
    return monotonic() - began
