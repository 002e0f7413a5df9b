"""360 clients that mean no good, before the web alone: how long others wait is measured by itself."""

import math
import time
from collections.abc import Iterator
from typing import Final

import pytest
import requests

from tests.support.api import answered
from tests.support.hostile import a_horde, habits
from tests.support.waiting import eventually
from tests.support.web import Web, a_web, connections, descriptors, resident

pytestmark = pytest.mark.measures
EACH: Final = 40  # hostile clients of each kind
MIB: Final = 1024**2
LARGE: Final = 48 * MIB  # more than the kernel takes for a reader that does not read


@pytest.fixture
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    deadlines = {"WEB_HEAD_SECONDS": "2", "WEB_GRACE_SECONDS": "2"}
    with a_web(tmp_path_factory.mktemp("web"), LOG_LEVEL="WARNING", **deadlines) as web:
        yield web


def test_hostile_clients_slow_nobody_down_and_are_all_cut(web: Web) -> None:
    public = web.public_file(b"0123456789abcde\n" * (LARGE // 16))
    with web.api() as alice:
        upload = alice.open_upload(size=10 * MIB, chunk_size=100_000)
    chunk = f"/api/v1/uploads/{upload['id']}/chunks/0"
    kinds = habits(alice.token or "", chunk, public)
    calm = [took for _ in range(4) for took in puts(web)][20:]
    before, memory = descriptors(web.process), resident(web.process)

    with a_horde(web.base_url, [(habit, EACH) for habit in kinds.values()]) as horde:
        eventually(lambda: connections(web.process) >= 6 * EACH)  # all have been let in
        healthy, busy = health(web), [took for _ in range(3) for took in puts(web)]
        eventually(lambda: horde.left() == 0, 40, says="some are not cut")
        eventually(lambda: connections(web.process) <= 1, 20, says="some hold a connection")

    assert p99(healthy) < 0.2
    assert p99(busy) < max(2 * p99(calm), 0.5)
    assert resident(web.process) - memory < 50 * MIB
    # A thread that had work keeps its database open.
    assert descriptors(web.process) - before < EACH


def puts(web: Web) -> list[float]:
    """Store chunks as a client does that means well; return how long each took."""
    with web.api("bob") as bob:
        opened = bob.open_upload(size=16 * MIB, chunk_size=MIB // 4)
        content = b"0123456789abcde\n" * (MIB // 64)

        def put(number: int) -> float:
            began = time.monotonic()
            answered(bob.put_chunk(opened["id"], number, content), 200)
            return time.monotonic() - began

        return [put(number) for number in range(20)]


def health(web: Web) -> list[float]:
    def asked(_: int) -> float:
        began = time.monotonic()
        assert requests.get(f"{web.base_url}/healthz", timeout=10).status_code == 200
        return time.monotonic() - began

    return [asked(number) for number in range(200)]


def p99(times: list[float]) -> float:
    return sorted(times)[math.ceil(len(times) * 0.99) - 1]
