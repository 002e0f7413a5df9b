"""Every fault at every point: a story is told up to its fault, then recovered and judged.

Where the process dies it is one of its own. A clean set of services goes on from what is on disk,
and everything is held against the invariants.
"""

import gc
import json
import logging
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from shared.adapters import durable, staging_disk
from shared.model import direct
from tests.drills import verdicts
from tests.drills.faults import KILLED, Cell, Faults, cells_of
from tests.drills.ground import Ground, a_ground
from tests.drills.kinds import KINDS, PART_BYTES, Kind
from tests.drills.ports import Redis, let_time_pass
from tests.drills.power import Os
from tests.drills.stories import Scene, Stopped, a_scene, elsewhere
from worker import images, pieces

_LONGEST_SECONDS: Final = 30
_SWEEPS: Final = 2


@dataclass
class Outcome:
    """What became of a cell: whether its point was reached, and what is wrong after it."""

    cell: str
    struck: bool = True
    breaches: list[str] = field(default_factory=list)


class Lane:
    """One place where cells are tried, one after the other, each from the same clean beginning."""

    def __init__(self, ground: Ground, decoder: "Decoder", seed: int) -> None:
        self._ground, self._decoder, self._seed = ground, decoder, seed
        self._folder, self._factory = ground.folder, ground.factory

    def try_out(self, cell: Cell) -> Outcome:
        """Tell the cell's story up to its fault, recover, and judge."""
        kind = KINDS[cell.kind]
        self._ground.clean()
        dies = cell.action in {"exit", "power"}
        status = (_in_child if dies else _here)(lambda: self._tell(kind, cell))
        scene = a_scene(kind, self._factory, self._seed, Redis())
        self._decoder.faults = Faults()
        self._ground.leave()
        outcome = Outcome(str(cell), bool(scene.told.lines("struck")))
        wanted = KILLED if dies and outcome.struck else 0
        if status != wanted:
            outcome.breaches.append(f"the process ended with {status}, not {wanted}")
        signal.alarm(_LONGEST_SECONDS)
        for found in (verdicts.staged, verdicts.robbed, recover, verdicts.ended):
            outcome.breaches += found(scene)
        signal.alarm(0)
        return outcome

    def cells(self, kind: Kind) -> list[Cell]:
        """Tell the story in calm, and return what can go wrong at the points that it passes."""
        self._ground.clean()
        seen = self._folder / "seen"

        def tell() -> None:
            self._decoder.faults = faults = Faults()
            a_scene(kind, self._factory, self._seed, Redis(), faults).tell()
            seen.write_text(json.dumps(faults.sides))

        self._tell_calmly(kind)  # what is compiled here is known to all children
        self._ground.clean()
        assert _in_child(tell) == 0
        sides = dict.fromkeys((point, side) for point, side in json.loads(seen.read_text()))
        return list(cells_of(kind.name, sides))

    def _tell_calmly(self, kind: Kind) -> None:
        a_scene(kind, self._factory, self._seed, Redis()).tell()

    def _tell(self, kind: Kind, cell: Cell) -> None:
        redis, faults = Redis(), Faults(cell)
        self._decoder.faults = faults
        scene = a_scene(kind, self._factory, self._seed, redis, faults)
        calm = a_scene(kind, self._factory, self._seed, redis)
        disk = Os(self._folder / "staging")
        said = random.Random(f"{self._seed}/{cell}")  # noqa: S311  # replayed from it

        def power() -> None:
            disk.cut(said)
            os._exit(KILLED)

        faults.deeds |= elsewhere(scene, calm)
        faults.deeds |= {"struck": lambda: scene.told.write("struck"), "power": power}
        if cell.action == "power":
            for module in (staging_disk, durable):
                module.os = disk  # type: ignore[attr-defined]  # what it calls `os`
        scene.tell()


def recover(scene: Scene) -> Iterator[str]:
    """Let a clean set of processes go on, once; yield what does not come to its end."""
    for operation in scene.kind.operations:
        verb = operation.partition("-")[0]
        if operation in {"sweep", "ring"}:
            continue
        if verb in {"adopt", "weigh"}:
            let_time_pass(scene.factory)
            (scene.adopt if verb == "adopt" else scene.weigh)()
        elif verb in {"work", "ring"}:
            yield from _reconciled(scene)
        elif operation not in scene.told.answers():
            try:
                scene.client.ask(operation)
            except Exception as error:  # noqa: BLE001  # whatever it is, a client sees it
                yield f"I5: the repeated {operation} is refused: {error!r}"
                return
    for _ in range(_SWEEPS):
        let_time_pass(scene.factory)
        if not scene.sweep():
            break


def _reconciled(scene: Scene) -> Iterator[str]:
    let_time_pass(scene.factory)
    for _ in range(2):  # once for jobs, once for the deliveries that they owe
        scene.factory.reconciler().round()
        scene.work()
        scene.ring()
    for row in scene.factory.query("SELECT state, error FROM jobs WHERE finished_at IS NULL"):
        yield f"I5: one recovery left the job {dict(row)}"


@contextmanager
def a_lane(folder: Path, seed: int) -> Iterator[Lane]:
    """Make a lane in this process, for good: parts are small here, and pictures known by heart."""
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # what hangs dies
    pieces.SMALL_BYTES = direct.SMALLEST_PART = PART_BYTES  # type: ignore[misc]  # constants to all others
    images.decode = decoder = Decoder(images.decode)  # type: ignore[assignment]  # it is called the same
    with a_ground(folder) as ground:
        yield Lane(ground, decoder, seed)


class Decoder:
    """Decodes a picture once and remembers what came of it."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self._known: dict[bytes, Any] = {}
        self.faults = Faults()

    def __call__(self, blocks: Iterator[bytes], **said: Any) -> Any:
        content = b"".join(blocks)
        if content not in self._known:
            self._known[content] = self._real(iter((content,)), **said)
        return self.faults.call("decoder.decode", self._known.get, content)


def _in_child(work: Callable[[], object]) -> int:
    """Do `work` in a process of its own; return its exit status."""
    gc.freeze()  # nothing is copied for the collector's sake
    pid = os.fork()
    if pid != 0:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    status = 1
    try:
        status = _here(work)
    finally:
        os._exit(status)


def _here(work: Callable[[], object]) -> int:
    """Do `work` in this process, whose services are not used again."""
    signal.alarm(_LONGEST_SECONDS)
    with suppress(Stopped):
        work()
    signal.alarm(0)
    return 0
