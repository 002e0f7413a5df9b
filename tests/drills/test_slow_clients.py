"""Clients that hang, drip, fall silent or do not read (D10), hundreds at once, while others work."""

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import requests

from tests.drills.ledger import Entry
from tests.drills.load import digest
from tests.drills.rig import Rig, a_rig
from tests.drills.timeline import in_words, judged, percentile
from tests.support.api import Api
from tests.support.hostile import Habit, a_horde, habits
from tests.support.tus import Tus, hanging, metadata
from tests.support.waiting import eventually
from tests.support.web import connections, descriptors, resident

pytestmark = [pytest.mark.measures, pytest.mark.timeout(3600)]
DEADLINES: Final = {"WEB_HEAD_SECONDS": "2", "WEB_GRACE_SECONDS": "2"}
CUT_SECONDS: Final = 15.0  # two of grace, six for the 100,000 bytes they speak of; and to be late
EACH: Final = 34  # of nine kinds: 306
MIB: Final = 1024**2
LARGE: Final = 48 * MIB  # more than the kernel takes for a reader that does not read
HALF: Final = 64 * 1024  # of a stream
SOON: Final = 0.2  # seconds
GOOD: Final = {200, 201, 202}

Kinds = Sequence[tuple[Habit, int]]


def test_slow_clients_hold_nobody_up_and_lose_nothing(
    tmp_path: Path, seed: int, *, is_long: bool
) -> None:
    rounds, uploads, streams = (25, 20, 8) if is_long else (1, 12, 4)
    asked: list[float] = []
    with a_rig(tmp_path, seed, **DEADLINES) as rig:
        rig.clients.upload_all(uploads, at_once=4)
        calm, web = [took for _, took in rig.clients.took], rig.stack.process("web")
        before, memory = descriptors(web), resident(web)
        with hostile(rig) as kinds:
            for turn in range(1, rounds + 1):
                with crowded(rig, kinds, streams):
                    asked += health(rig)
                    rig.clients.upload_all(uploads, at_once=4, first=turn * uploads)
        grown, opened = resident(web) - memory, descriptors(web) - before
        rig.settle()
        verdict = judged(rig)
    busy = [took for _, took in rig.clients.took[len(calm) :]]

    print(f"{verdict}\nhealth: {in_words(asked)}; {rig.clients.statuses}")
    print(f"requests: {in_words(busy)}, before that {in_words(calm)}; {grown // MIB} MiB more")
    assert verdict.breaches == []
    assert verdict.counts["uploads"] == (rounds + 1) * uploads + rounds * streams
    assert rig.clients.statuses.keys() <= GOOD
    assert percentile(asked, 0.99) < SOON
    assert percentile(busy, 0.99) < max(2 * percentile(calm, 0.99), 1.0)
    assert grown < 100 * MIB
    assert opened < EACH  # a thread that had work keeps its database open


@pytest.mark.teeth
@pytest.mark.parametrize(
    ("sabotage", "seen"),
    [
        ("bodies-wait-for-ever", "some are not cut"),
        ("readers-wait-for-ever", "some are still held"),
    ],
)
def test_without_a_deadline_the_drill_goes_red(
    tmp_path: Path, seed: int, sabotage: str, seen: str
) -> None:
    with (
        a_rig(tmp_path, seed, sabotage=sabotage, **DEADLINES) as rig,
        hostile(rig) as kinds,
        pytest.raises(AssertionError, match=seen),
        crowded(rig, kinds, streams=0),
    ):
        pass


@contextmanager
def crowded(rig: Rig, kinds: Kinds, streams: int) -> Iterator[None]:
    """Let streams fall silent and the horde in; after the block all are cut, and the streams go on."""
    web = rig.stack.process("web")
    with ExitStack() as lines:
        quiet = [lines.enter_context(a_silence(rig)) for _ in range(streams)]
        horde = lines.enter_context(a_horde(rig.stack.base_url, kinds))
        eventually(lambda: connections(web) >= 6 * EACH)  # all have been let in
        yield
        eventually(lambda: horde.left() == 0, CUT_SECONDS, says="some are not cut")
        # Those that do not read would not notice: the service holds none of them.
        eventually(lambda: connections(web) <= 1, CUT_SECONDS, says="some are still held")
        for each in quiet:
            each.goes_on(rig)
    eventually(lambda: connections(web) <= 1, CUT_SECONDS, says="some hold a connection")


@contextmanager
def hostile(rig: Rig) -> Iterator[Kinds]:
    """Yield all ways to hang, with a chunk to send and a file to read; what they opened goes then."""
    with Api(rig.stack.base_url, rig.clients.token) as api:
        content = rig.said.randbytes(24).hex().encode() * (LARGE // 48)
        opened = api.open_upload(size=10 * MIB, chunk_size=100_000)
        public = api.chunked(content, chunk_size=8 * MIB, is_public=True)["file"]
        chunk = f"/api/v1/uploads/{opened['id']}/chunks/0"
        ways = habits(rig.clients.token, chunk, f"/public/{public['id']}/notes.txt")
        yield [(habit, EACH) for habit in ways.values()]
        api.delete(f"/api/v1/uploads/{opened['id']}")


@dataclass(frozen=True)
class Silence:
    """A stream of which half was sent, by a client that says nothing more."""

    line: socket.socket
    url: str
    content: bytes
    entry: Entry

    def goes_on(self, rig: Rig) -> None:
        """Send the rest once it was cut: all that had come before is kept."""
        self.line.recv(4096)  # the answer, or the end
        with Api(rig.stack.base_url) as api:
            assert Tus(api).offset(self.url) == HALF, self.entry.name
            Tus(api).sent(self.url, self.content[HALF:], HALF)
        self.entry.sealed = True


@contextmanager
def a_silence(rig: Rig) -> Iterator[Silence]:
    content = rig.said.randbytes(HALF).hex().encode()
    entry = rig.ledger.begin(f"stream-{rig.said.random()}.txt", digest(content), len(content))
    with Api(rig.stack.base_url, rig.clients.token) as api:
        url = Tus(api).create(len(content), Upload_Metadata=metadata(filename=entry.name))
    entry.upload_id = url.rpartition("/")[2][:36]
    with hanging(url, len(content)) as line:
        line.sendall(content[:HALF])
        yield Silence(line, url, content, entry)


def health(rig: Rig) -> list[float]:
    """Ask often, once all that was sent at first is answered; return how long each took."""

    def asked() -> float:
        began = time.monotonic()
        assert requests.get(f"{rig.stack.base_url}/healthz", timeout=10).status_code == 200
        return time.monotonic() - began

    eventually(lambda: asked() < SOON, 5)
    return [asked() for _ in range(500)]
