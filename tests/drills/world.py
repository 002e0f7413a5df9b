"""The real services on one ground, which may die at any call and lose what is only in memory."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import text

from shared.errors import AppError, NotFound
from shared.model.caller import Caller, Scope
from tests.drills.asking import CALLER
from tests.drills.faults import BEFORE, DOWN, Cell, Faults
from tests.drills.ground import Ground, disks
from tests.drills.ports import Hurry, Receiver, Redis, let_time_pass, on_ports
from tests.drills.proxies import Watched, WatchedRecords
from tests.drills.verdicts import PortJudge
from tests.support.factory import Factory
from worker.processing import Processing

_SWEEPS: Final = ("staging-orphans", "object-orphans", "multiparts", "expired-uploads")
ADMIN: Final = Caller("root", scopes=frozenset({Scope.ADMIN}))
_NO_STORE: Final = Cell("", "-:objects.put#1", BEFORE, "away", DOWN)


class Died(BaseException):  # no error: nobody gets to handle it
    """The process ended here."""


class Dying(Faults):
    """Ends the process at one of the next calls; `None` never."""

    def __init__(self) -> None:
        super().__init__()
        self.left: int | None = None

    def strike(self, point: str, side: str) -> str | None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Died
        return super().strike(point, side)


@dataclass
class World:
    """The real services on one ground, with faults that the machine arms."""

    ground: Ground
    redis: Redis = field(default_factory=Redis)
    faults: Dying = field(default_factory=Dying)
    clock: Hurry = field(default_factory=Hurry)

    def __post_init__(self) -> None:
        self.ground.clean()
        made = self.ground.factory
        ports = disks(self.ground.folder) | {
            "board": self.redis.board,
            "dispatcher": self.redis.bell,
            "notifier": Receiver(),
        }
        watched: dict[str, object] = {
            name: Watched(name, port, self.faults) for name, port in ports.items()
        }
        watched["records"] = WatchedRecords(made.records, self.faults)
        self.factory: Factory = on_ports(made, {**watched, "clock": self.clock})
        self.calm: Factory = on_ports(made, {**ports, "clock": self.clock})

    def work(self, job_id: str) -> None:
        Processing(self.factory.services, "first", self.clock.is_patience_over).process(job_id)

    def until_death(self, calls: int, work: Callable[[], object]) -> bool:
        """Do `work`, but die at the call after so many; False when it ended before."""
        self.faults.left = calls
        try:
            work()
        except Died:
            return True
        except AppError:
            return False
        finally:
            self.faults.left = None
        return False

    @contextmanager
    def without_store(self) -> Iterator[None]:
        self.faults.cell, self.faults.struck = _NO_STORE, True
        try:
            yield
        finally:
            self.faults.cell, self.faults.struck = None, False

    def sweep(self) -> None:
        let_time_pass(self.calm)
        for name in _SWEEPS:
            result = self.factory.services.sweeps.run(name)
            assert not result.get("failed"), result

    def settled(self) -> list[str]:
        """Let all come to its end in calm; return what is not as it should be then.

        What failed is tried again: until then it keeps its bytes and objects.
        """
        for row in self.rows("SELECT id FROM jobs WHERE state = 'failed'"):
            self.calm.services.jobs.retry(ADMIN, row["id"])
        for _ in range(2):
            let_time_pass(self.calm)
            self.calm.reconciler().round()
            while (job_id := self.rung()) is not None:
                self.work(job_id)
        self.sweep()
        self.sweep()
        return PortJudge.of(self.calm).check([]).breaches

    # What can be seen from outside.

    def rung(self) -> str | None:
        waiting = self.redis.bell.processed
        return waiting.pop(0) if waiting else None

    def job(self, job_id: str) -> Mapping[str, Any]:
        (row,) = self.rows("SELECT * FROM jobs WHERE id = :id", id=job_id)
        return row

    def job_id(self, upload_id: str) -> str:
        (row,) = self.rows("SELECT id FROM jobs WHERE upload_id = :id", id=upload_id)
        return str(row["id"])

    def chunks(self, upload_id: str) -> dict[int, bytes]:
        """Return what can be read back of the chunks that have rows."""
        with self.calm.records.read() as rows:
            found = rows.chunks.of(upload_id)
        kept: dict[int, bytes] = {}
        for chunk in found:
            body = b"".join(self.calm.staging.read(chunk, 100_000))
            kept[chunk.number] = kept.get(chunk.number, b"") + body
        return kept

    def content(self, file_id: str) -> bytes | None:
        """Return what a client downloads; None when there is no such file."""
        files = self.calm.services.files
        try:
            file = files.find(CALLER, file_id)
        except NotFound:
            return None
        return b"".join(files.read(file.key, 0, file.size))

    def rows(self, question: str, **said: Any) -> list[Mapping[str, Any]]:
        return PortJudge.of(self.calm).rows(question, **said)

    def execute(self, statement: str, **said: Any) -> None:
        with self.calm.records._engine.begin() as connection:
            connection.execute(text(statement), said)


def answered(ask: Callable[[], object]) -> str:
    """Return what a client sees: "ok", or the code of a refusal. Anything else is a bug."""
    try:
        ask()
    except AppError as refusal:
        return refusal.code
    return "ok"
