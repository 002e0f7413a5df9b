"""What the board must do on a real Valkey: never go back, never lie, never raise."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from shared.adapters.board_redis import RedisBoard, redis_client
from shared.adapters.clock_system import SystemClock
from shared.errors import Unavailable
from shared.model.file import Thumbnail
from shared.model.job import JobStatus
from shared.model.lifecycle import JobState
from shared.ports_board import ListedBoard
from tests.support.builders import a_file, a_job
from tests.support.cable import Cable, a_cable
from tests.support.races import at_once
from tests.support.waiting import eventually

TWO_DAYS = 2 * 24 * 3600
SEEN_AT = datetime(2026, 11, 21, 4, 5, 6, 789000, tzinfo=UTC)


@pytest.fixture
def client(valkey_url: str) -> Iterator[Redis]:
    with closing(redis_client(valkey_url)) as made:
        yield made


def test_a_status_comes_back_as_it_was_put(board: RedisBoard) -> None:
    small = Thumbnail("small", "k", 150, 100, "image/webp", 900)
    file = a_file(
        filename="grün ☃.txt", tags=["a"], attributes={"x": [1, None]}, thumbnails=[small]
    )
    running, done = status(step="publish", done=5), status(JobState.SUCCEEDED)
    done = replace(done, file=file)
    refused = status(JobState.REJECTED, error={"code": "x", "expected": None})

    for each in (running, done, refused):
        board.put(each)

    shown = found(board, [running.job.id, "nothing", done.job.id, refused.job.id])
    assert shown == {each.job.id: each for each in (running, done, refused)}


def test_a_newer_version_replaces_an_older_one_and_never_the_other_way(board: RedisBoard) -> None:
    versions = [status(version=version) for version in (3, 10, 9, 1)]
    job = versions[0].job
    for each in versions:
        board.put(replace(each, job=replace(each.job, id=job.id)))

    assert found(board, [job.id])[job.id].job.version == 10


def test_the_same_version_is_freshened(board: RedisBoard) -> None:
    first = status()
    board.put(first)

    board.put(replace(first, seen_at=SEEN_AT + timedelta(seconds=5)))

    assert found(board, [first.job.id])[first.job.id].seen_at == SEEN_AT + timedelta(seconds=5)


def test_of_many_writers_at_once_the_newest_version_stays(board: RedisBoard) -> None:
    job = a_job()
    board.put(JobStatus(job, None, SEEN_AT))

    def put(version: int) -> None:
        board.put(JobStatus(replace(job, version=version), None, SEEN_AT))

    at_once(partial(put, version) for version in range(1, 33))

    assert found(board, [job.id])[job.id].job.version == 32


def test_a_status_is_kept_for_two_days_from_its_last_change(
    board: RedisBoard, client: Redis, prefix: str
) -> None:
    shown = status()
    board.put(shown)
    key = f"{prefix}job:{shown.job.id}"
    client.expire(key, 10)

    board.put(shown)

    assert TWO_DAYS - 5 <= int(client.ttl(key)) <= TWO_DAYS
    assert all(int(client.ttl(each)) > 0 for each in client.scan_iter(f"{prefix}*"))


def test_a_body_nobody_understands_is_no_status(
    board: RedisBoard, client: Redis, prefix: str
) -> None:
    good = status()
    board.put(good)
    garbled: dict[str, bytes] = {
        "not JSON": b"\xff\xfe{",
        "another shape": b'{"job": {"id": "x"}}',
        "nothing": b"",
        "a state of another release": b'{"job": null}',
    }
    for name, body in garbled.items():
        client.hset(f"{prefix}job:{name}", mapping={"version": "1", "body": body})
    client.set(f"{prefix}job:no hash", "x")

    assert found(board, [*garbled, "no hash", good.job.id]) == {good.job.id: good}


def test_a_body_nobody_understands_is_replaced(
    board: RedisBoard, client: Redis, prefix: str
) -> None:
    shown = status()
    client.hset(f"{prefix}job:{shown.job.id}", mapping={"version": "soon", "body": "x"})

    board.put(shown)

    assert found(board, [shown.job.id]) == {shown.job.id: shown}


def test_what_is_forgotten_is_gone(board: RedisBoard) -> None:
    one, two = status(), status()
    board.put(one)
    board.put(two)

    for _ in range(2):
        board.forget([one.job.id, "nothing"])
    board.forget([])

    assert found(board, [one.job.id, two.job.id]) == {two.job.id: two}
    assert found(board, []) == {}


def test_what_was_read_before_it_was_forgotten_is_not_shown_again(
    board: RedisBoard, client: Redis, prefix: str
) -> None:
    done = status(JobState.SUCCEEDED)
    board.put(done)
    board.forget([done.job.id])

    board.put(done)

    assert found(board, [done.job.id]) == {}
    assert 0 < int(client.ttl(f"{prefix}job:{done.job.id}")) <= 60
    client.delete(f"{prefix}job:{done.job.id}")
    board.put(done)
    assert found(board, [done.job.id]) == {done.job.id: done}


def test_the_board_says_how_long_ago_it_was_told_whatever_time_the_status_has(
    board: RedisBoard, client: Redis, prefix: str
) -> None:
    shown = status()
    board.put(shown)
    fresh = board.find([shown.job.id])[shown.job.id].age
    client.expire(f"{prefix}job:{shown.job.id}", TWO_DAYS - 7)

    aged = board.find([shown.job.id])[shown.job.id]

    assert timedelta() <= fresh < timedelta(seconds=5)
    assert timedelta(seconds=7) <= aged.age < timedelta(seconds=12)
    assert aged.present.seen_at == SEEN_AT + aged.age
    board.put(shown)
    assert board.find([shown.job.id])[shown.job.id].age < timedelta(seconds=5)


def test_losing_everything_is_an_empty_board(board: RedisBoard, client: Redis, prefix: str) -> None:
    shown = status()
    board.put(shown)
    client.delete(*client.scan_iter(f"{prefix}*"))

    assert found(board, [shown.job.id]) == {}
    board.put(replace(shown, job=replace(shown.job, version=0)))
    assert found(board, [shown.job.id])[shown.job.id].job.version == 0


def test_workers_are_those_that_beat_lately(board: RedisBoard, client: Redis, prefix: str) -> None:
    for worker in ("ingest@b", "ingest@a", "ingest@a"):
        board.beat(worker)
    client.set(f"{prefix}worker:\xff".encode("latin-1"), "1")

    assert board.workers()[:2] == ["ingest@a", "ingest@b"]
    assert 25 <= int(client.ttl(f"{prefix}worker:ingest@a")) <= 30


def test_boards_with_another_prefix_do_not_meet(board: RedisBoard, client: Redis) -> None:
    other, shown = RedisBoard(client, prefix=f"{uuid4().hex}:"), status()
    board.put(shown)
    board.beat("ingest@a")

    assert found(other, [shown.job.id]) == {}
    assert other.workers() == []


def test_a_board_lists_the_jobs_that_it_shows(board: RedisBoard, client: Redis) -> None:
    shown, other = status(), RedisBoard(client, prefix=f"{uuid4().hex}:")
    board.put(shown)
    board.beat("ingest@a")

    assert isinstance(board, ListedBoard)
    assert list(board.job_ids()) == [shown.job.id]
    assert list(other.job_ids()) == []


def test_the_check_of_a_board_that_answers_is_silent(board: RedisBoard) -> None:
    board.check()


class TestOutage:
    @pytest.fixture
    def cable(self, valkey_url: str) -> Iterator[Cable]:
        with a_cable(valkey_url) as made:
            yield made

    @pytest.fixture
    def far(self, cable: Cable, prefix: str) -> Iterator[RedisBoard]:
        with closing(redis_client(cable.url)) as made:
            yield RedisBoard(made, prefix=prefix)

    def test_a_board_that_is_down_is_an_empty_one_and_says_so_when_checked(
        self, far: RedisBoard, cable: Cable
    ) -> None:
        shown = status()
        far.put(shown)
        cable.cut()

        assert found(far, [shown.job.id]) == {}
        far.put(shown)
        far.beat("ingest@a")
        far.forget([shown.job.id])
        assert far.workers() == []
        assert list(far.job_ids()) == []
        with pytest.raises(Unavailable) as refusal:
            far.check()
        assert (refusal.value.code, refusal.value.retryable) == ("board_unavailable", True)

    def test_a_board_that_comes_back_is_used_again(self, far: RedisBoard, cable: Cable) -> None:
        shown = status()
        far.put(shown)
        cable.cut()
        assert found(far, [shown.job.id]) == {}
        cable.mend()

        assert eventually(lambda: found(far, [shown.job.id]), 5) == {shown.job.id: shown}
        far.check()

    def test_a_board_that_hangs_costs_a_hundred_statuses_one_time_out(self, prefix: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
            with closing(redis_client(url)) as made:
                board, began = RedisBoard(made, prefix=prefix), SystemClock().now()

                assert found(board, ["a"]) == {}
                for _ in range(100):
                    board.put(status())

                assert SystemClock().now() - began < timedelta(seconds=3)


def found(board: RedisBoard, job_ids: Sequence[str]) -> dict[str, JobStatus]:
    return {job_id: shown.status for job_id, shown in board.find(job_ids).items()}


def status(state: JobState = JobState.RUNNING, **said: Any) -> JobStatus:
    times: dict[str, Any] = {"due_at": SEEN_AT, "created_at": SEEN_AT, "updated_at": SEEN_AT}
    return JobStatus(a_job(state=state, **times, **said), None, SEEN_AT)
