"""Where many do the same at once: services that stall at every port, as the seed wants it."""

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text

from shared.adapters.tables import metadata
from shared.errors import AppError
from shared.model.grant import Holder
from shared.model.job import Job
from shared.model.upload import NewUpload, Upload
from tests.drills.asking import CALLER
from tests.drills.faults import Faults
from tests.drills.ports import Board, Receiver, let_time_pass, on_ports, ports_of, take_for_dead
from tests.drills.proxies import Watched, WatchedRecords
from tests.drills.verdicts import PortJudge
from tests.support.factory import Factory, a_factory
from tests.support.races import at_once
from tests.support.straight import StraightObjects, a_straight_store
from tests.support.workshop import Bytes
from worker.processing import Processing

LONGEST_SECONDS: Final = 5.0  # a deadlock is waited for longer, and so is SQLite's lock
_ROLL: Final = 1000  # so that a stream is committed in several chunks
_STALLED: Final = 0.2  # of all calls
_STALL_SECONDS: Final = 0.003
_SWEEPS: Final = ("direct-leftovers", "staging-orphans", "object-orphans", "multiparts")


class Stalls(Faults):
    """Faults that only take time."""

    def __init__(self, said: random.Random) -> None:
        super().__init__()
        self._said = said
        self._never = threading.Event()

    def strike(self, point: str, side: str) -> str | None:
        del point, side
        drawn = self._said.random()
        if drawn < _STALLED:
            self._never.wait(drawn / _STALLED * _STALL_SECONDS)
        return None


@dataclass
class Arena:
    """`factory` stalls, `calm` does not; `said` draws everything else."""

    factory: Factory
    calm: Factory
    receiver: Receiver
    said: random.Random
    longest: float = 0.0

    # What is raced for.

    def content(self, size: int = 3000) -> bytes:
        return self.said.randbytes(size).hex().encode()[:size]

    def opened(self, content: bytes, **said: Any) -> Upload:
        new = NewUpload("notes.txt", **{"size": len(content), "chunk_size": len(content), **said})
        return self.calm.services.uploads.open(CALLER, new)

    def filled(self, content: bytes) -> Upload:
        upload = self.opened(content)
        self.calm.services.chunks.put(CALLER, upload.id, 0, Bytes(content), None)
        return upload

    def sealed(self, content: bytes | None = None) -> Job:
        return self.calm.services.uploads.complete(
            CALLER, self.filled(content or self.content()).id
        )

    def sent(self, holder: Holder, content: bytes) -> Upload:
        """Let all bytes of an upload of an unsaid size lie in the store."""
        opened, targets = self.calm.services.unsized.open_put(holder, NewUpload("notes.txt"))
        store = self.calm.objects
        assert isinstance(store, StraightObjects)
        store.take(targets.targets[0].url, content)
        return opened.upload

    # What is done at once.

    def race(self, works: Iterable[Callable[[], Any]], *refusals: type[AppError]) -> list[Any]:
        """Do all works at once; return what they returned, or which of the `refusals` they met.

        Anything else that one raises is raised here, and so is a wait that only a deadlock makes.
        """

        def tamed(work: Callable[[], Any]) -> Callable[[], Any]:
            def run() -> Any:
                try:
                    return work()
                except refusals as refusal:
                    return refusal

            return run

        began = time.monotonic()
        outcomes = at_once([tamed(work) for work in works])
        took = time.monotonic() - began
        self.longest = max(self.longest, took)
        assert took < LONGEST_SECONDS, f"they waited for each other: {took:.1f} s"
        return outcomes

    def worked(self, job: Job, worker: str = "first") -> None:
        Processing(self.factory.services, worker, lambda: False).process(job.id)

    # How it is judged.

    def settled(self) -> list[str]:
        """Let workers end what is left, sweep twice, and hold the rest against the invariants."""
        calm = self.calm
        for row in calm.query("SELECT id FROM jobs WHERE state IN ('queued', 'running')"):
            with calm.records.read() as rows:
                job = rows.jobs.find(row["id"])
            assert job is not None
            let_time_pass(calm)
            take_for_dead(calm)
            calm.run(job)
        self._deliver()
        for name in _SWEEPS * 2:
            calm.services.sweeps.run(name)
        judge = PortJudge.of(calm)
        unheard = [
            f"I7: {row['type']} is {row['state']}"
            for row in judge.rows("SELECT type, state FROM deliveries")
            if row["state"] != "delivered"
        ]
        return judge.check([]).breaches + unheard

    def empty(self) -> None:
        """Put everything away, so that a hundredth round is no slower than the first."""
        for upload_id in {each.upload_id for each in self.calm.staging.listing()}:
            self.calm.staging.clear(upload_id)
        self.calm.objects.delete(sorted(self.calm.keys()))
        for table in reversed(metadata.sorted_tables):
            self.execute(f"DELETE FROM {table.name}")  # noqa: S608  # our tables
        self.calm.listen(owner=None)

    def _deliver(self) -> None:
        calm = self.calm
        with calm.records.read() as rows:
            due = rows.webhooks.due(1000)
        for delivery_id in due:
            calm.services.deliveries.deliver(delivery_id)

    def execute(self, statement: str, **said: Any) -> None:
        with self.calm.records._engine.begin() as connection:
            connection.execute(text(statement), said)


@contextmanager
def an_arena(folder: Path, database_url: str, seed: int) -> Iterator[Arena]:
    said = random.Random(seed)  # noqa: S311  # replayed from it
    with a_factory(folder, database_url, objects=a_straight_store(folder)) as made:
        receiver, stalls = Receiver(), Stalls(random.Random(seed))  # noqa: S311  # replayed from it
        ports = ports_of(made) | {"board": Board(), "notifier": receiver}
        calm = on_ports(made, ports)
        stalling = {name: Watched(name, port, stalls) for name, port in ports.items()}
        del stalling["clock"]
        racing = on_ports(made, {**stalling, "records": WatchedRecords(made.records, stalls)})
        chunks = replace(racing.services.chunks, roll=_ROLL)
        racing = replace(racing, services=replace(racing.services, chunks=chunks))
        calm.listen(owner=None)
        yield Arena(racing, calm, receiver, said)
