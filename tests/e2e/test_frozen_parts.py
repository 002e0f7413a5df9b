"""Redis, the database and the store, frozen one after the other under the running service."""

from collections.abc import Callable, Iterator
from functools import partial
from time import monotonic

import pytest

from tests.support import servers
from tests.support.api import Api, answered
from tests.support.frost import frozen, postgresql_at
from tests.support.quick import a_quick_stack
from tests.support.races import at_once
from tests.support.stack import Stack
from tests.support.waiting import eventually

MANY = 40
# The host is a busy one: these tell a wait from none, not how long it is.
ONCE_SECONDS = 8.0  # what a request may lose to a part that has just frozen
AGAIN_SECONDS = 2.0  # and while it stays so


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with servers.postgresql() as url:
        yield url


@pytest.fixture(scope="module")
def stack(database: str) -> Iterator[Stack]:
    with a_quick_stack(DATABASE_URL=database) as running:
        yield running


@pytest.fixture
def alice(stack: Stack) -> Iterator[Api]:
    with Api(stack.base_url, stack.token("alice", ttl="1h")) as api:
        yield api


def test_a_frozen_redis_holds_no_request_for_long(stack: Stack, alice: Api) -> None:
    uploads = [filled(alice) for _ in range(MANY + 5)]

    with stack.paused("valkey"):
        first = at_once(partial(completed, stack, alice, each) for each in uploads[5:])
        later = [completed(stack, alice, each) for each in uploads[:5]]
        polled = [took(partial(alice.get, f"/api/v1/jobs/{job}")) for job, _ in later]
        checks = answered(alice.get("/readyz"), 503)["checks"]

    assert max(seconds for _, seconds in first) < ONCE_SECONDS
    assert max(seconds for _, seconds in later) < AGAIN_SECONDS
    assert max(polled) < AGAIN_SECONDS
    assert not checks["redis"]["ok"]
    for job, _ in first[:3] + later:
        assert alice.ended(job, 60)["state"] == "succeeded"


def test_a_frozen_database_is_a_refusal_in_time(stack: Stack, alice: Api, database: str) -> None:
    upload = filled(alice)

    with frozen(postgresql_at(database)):
        first = at_once([lambda: refused_after(stack, alice, upload)] * MANY)
        later = [refused_after(stack, alice, upload) for _ in range(10)]

    assert max(first) < ONCE_SECONDS
    assert sorted(later)[5] < AGAIN_SECONDS  # each process finds out for itself
    assert max(later) < ONCE_SECONDS
    eventually(lambda: alice.get("/api/v1/files").status_code == 200, 10)
    job = alice.complete(upload)["id"]
    assert alice.ended(job, 60)["state"] == "succeeded"


def test_asking_for_a_frozen_store_holds_neither_threads_nor_descriptors(
    stack: Stack, alice: Api
) -> None:
    eventually(lambda: alice.get("/readyz").status_code == 200, 10)
    before = held(stack)

    with stack.paused("s3"):
        eventually(lambda: alice.get("/readyz").status_code == 503, 10)  # each process by itself
        eventually(lambda: alice.get("/readyz").status_code == 503, 10)
        asked = [took(lambda: answered(alice.get("/readyz"), 503)) for _ in range(60)]
        during = held(stack)

    assert max(asked) < 2 + AGAIN_SECONDS
    assert sum(asked) < 2 * (2 + AGAIN_SECONDS) + 60 * 0.1
    assert during - before < 30
    eventually(lambda: alice.get("/readyz").status_code == 200, 30)


def filled(api: Api) -> str:
    upload = api.open_upload(size=5)["id"]
    answered(api.put_chunk(upload, 0, b"hello"), 200)
    return str(upload)


def completed(stack: Stack, alice: Api, upload: str) -> tuple[str, float]:
    """Complete on a connection of its own; return the job and the seconds that took."""
    began = monotonic()
    with Api(stack.base_url, alice.token) as api:
        job = api.complete(upload)["id"]
    return str(job), monotonic() - began


def refused_after(stack: Stack, alice: Api, upload: str) -> float:
    began = monotonic()
    with Api(stack.base_url, alice.token) as api:
        response = api.get(f"/api/v1/uploads/{upload}")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert response.json()["type"] == "records_unavailable"
    return monotonic() - began


def took(work: Callable[[], object]) -> float:
    began = monotonic()
    work()
    return monotonic() - began


def held(stack: Stack) -> int:
    """Return the threads and descriptors of the web's processes."""
    web = stack.process("web")
    return sum(each.num_threads() + each.num_fds() for each in [web, *web.children()])
