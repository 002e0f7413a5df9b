"""One upload's story on services in this process, told op by op, so that any of them may fail.

A client repeats what was not answered; what workers stumble over the reconciler finds. What was told
is on disk and outlives the process that the story is told in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from tests.drills.asking import Client
from tests.drills.faults import ONCE, Faults
from tests.drills.ground import disks
from tests.drills.kinds import Kind
from tests.drills.ports import (
    Hurry,
    Redis,
    let_expire,
    let_time_pass,
    limit_room,
    on_ports,
    take_for_dead,
)
from tests.drills.proxies import Watched, WatchedRecords
from tests.drills.told import Told
from tests.support.factory import Factory
from worker.processing import Processing

_WORKERS: Final = frozenset({"work", "ring", "sweep", "adopt", "weigh"})
_SWEEPS: Final = ("staging-orphans", "replacements", "deletions", "object-orphans", "multiparts")
_LEFTOVERS: Final = "direct-leftovers"
_EXPIRED: Final = "expired-uploads"
_TRIES: Final = 3


class Stopped(Exception):  # no error: the client waits for better times
    """An operation was not answered, however often it was repeated."""


@dataclass
class Scene:
    """Where a story is: `client` and workers stand on the services of `factory`."""

    kind: Kind
    factory: Factory
    client: Client
    redis: Redis
    faults: Faults = field(default_factory=Faults)
    clock: Hurry = field(default_factory=Hurry)
    operation: str = ""
    job_id: str = ""
    delivery_id: str = ""

    @property
    def told(self) -> Told:
        return self.client.told

    def tell(self) -> None:
        """Go through the story. Raises `Stopped` where the client gives up for now."""
        for operation in self.kind.operations:
            self.do(operation)

    def do(self, operation: str) -> None:
        """Do one operation; a client's is repeated until it is answered, for a while."""
        self.operation = operation
        self.faults.begin(operation)
        verb = operation.partition("-")[0]
        if verb in _WORKERS:
            self._work(verb)
            return
        is_lasting = self.faults.cell is not None and self.faults.cell.mode != ONCE
        for _ in range(1 if is_lasting else _TRIES):
            try:
                self.faults.call(f"client.{verb}", partial(self.client.ask, operation))
            except Exception as error:  # noqa: BLE001  # whatever it was, the client repeats it
                self.told.write("refused", operation=operation, error=repr(error))
                self.faults.begin(operation)
            else:
                return
        raise Stopped(operation)

    def _work(self, verb: str) -> None:
        try:
            self.faults.call(f"worker.{verb}", _WORKS[verb], self)
        except Exception as error:  # noqa: BLE001  # the boundary of a task
            self.told.write("stumbled", operation=verb, error=repr(error))

    # What workers do.

    def work(self) -> None:
        while self.redis.bell.processed:
            self.job_id = self.redis.bell.processed.pop(0)
            self.process(self.job_id)

    def process(self, job_id: str, worker: str = "first") -> None:
        Processing(self.factory.services, worker, self.clock.is_patience_over).process(job_id)

    def ring(self) -> None:
        while self.redis.bell.delivered:
            self.delivery_id = self.redis.bell.delivered.pop(0)
            self.factory.services.deliveries.deliver(self.delivery_id)

    def adopt(self) -> None:
        """Look for what lies in the store and was never said to be complete."""
        self.factory.services.adoption.round()

    def weigh(self) -> None:
        """Look at what grows, when there is no room for it any more."""
        limit_room(self.factory, to=1)
        self.factory.services.adoption.round()

    def sweep(self) -> bool:
        """Run the sweeps; say whether one of them waits to see something a second time.

        What came by a grant and its client never heard of has expired by then.
        """
        names = (_LEFTOVERS, *_SWEEPS) if self.kind.is_direct else _SWEEPS
        if self.kind.is_granted:
            let_expire(self.factory, but=self.client.upload_id)
            names = (_EXPIRED, *names)
        results = [self.factory.services.sweeps.run(name) for name in names]
        return any(result.get("waiting") for result in results)


def elsewhere(scene: Scene, calm: Scene) -> dict[str, Callable[[], object]]:
    """Return the deeds that need somebody else: `calm`, on services without faults.

    `zombie`: all leases have run out, and another did the same to its end, when the first goes on.
    `robbed`: another has claimed the job; the first goes on, and may change nothing any more.
    """

    def job() -> str:
        waiting = scene.redis.bell.processed
        return scene.job_id or (waiting[0] if waiting else "")

    def zombie() -> None:
        waiting = scene.redis.bell.delivered
        let_time_pass(scene.factory)
        take_for_dead(scene.factory)
        calm.told.write("passed")
        if scene.operation.startswith("work"):
            calm.process(job(), "second")
        elif scene.operation.startswith("ring"):
            delivery_id = scene.delivery_id or (waiting[0] if waiting else "")
            calm.factory.services.deliveries.deliver(delivery_id)
        else:
            calm.do(scene.operation)

    def robbed() -> None:
        take_for_dead(scene.factory)
        claim = calm.factory.claims.claim(job(), "thief")
        if claim is not None:
            calm.told.write("robbed", job_id=claim.job.id, version=claim.job.version)

    return {"zombie": zombie, "robbed": robbed}


def a_scene(
    kind: Kind, factory: Factory, seed: int, redis: Redis, faults: Faults | None = None
) -> Scene:
    """Return a scene in the factory's folder, every port of it watched if there are faults."""
    told, clock = Told(factory.folder / "told.jsonl"), Hurry()
    ports = disks(factory.folder) | {
        "records": factory.records,
        "board": redis.board,
        "dispatcher": redis.bell,
        "notifier": told,
    }
    if faults is not None:
        ports = {name: Watched(name, port, faults) for name, port in ports.items()}
        ports["records"] = WatchedRecords(factory.records, faults)
    made = on_ports(factory, {**ports, "clock": clock})
    client = Client(kind, kind.content(seed), made.services, told)
    return Scene(kind, made, client, redis, faults or Faults(), clock)


_WORKS: Final[Mapping[str, Callable[[Scene], object]]] = {
    "work": Scene.work,
    "ring": Scene.ring,
    "sweep": Scene.sweep,
    "adopt": Scene.adopt,
    "weigh": Scene.weigh,
}
