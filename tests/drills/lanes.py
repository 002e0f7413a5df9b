"""Tries many cells in a few processes at once, and tells what came of them. A cell is replayed so:

python -m tests.drills.lanes text/put-1:writer.keep#1/after/power/once --seed 7
"""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from signal import SIGKILL
from typing import Final

from tests.drills.failpoints import Outcome, a_lane
from tests.drills.faults import Cell, cell_named
from tests.drills.ground import a_folder
from tests.drills.kinds import KINDS
from tests.drills.sabotages import SABOTAGES

LANES: Final = 2
Choice = Callable[[list[Cell]], Sequence[Cell]]


@dataclass
class Report:
    """`missed` are cells whose point was not reached: there nothing was tried."""

    cells: int = 0
    seconds: float = 0.0
    missed: list[str] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        each = self.cells / self.seconds if self.seconds else 0
        return (
            f"{self.cells} cells and recoveries in {self.seconds:.0f} s ({each:.0f} a second), "
            f"{len(self.missed)} missed, {len(self.breaches)} breaches"
        )


def a_sample(count: int, seed: int) -> Choice:
    """Return a choice of `count` cells drawn from the seed, every point among them if it can be."""

    def chosen(cells: list[Cell]) -> Sequence[Cell]:
        drawn = sorted(cells, key=str)  # not as threads happened to pass their points
        random.Random(seed).shuffle(drawn)  # noqa: S311  # replayed from it
        seen: set[tuple[str, str, str]] = set()
        first: list[Cell] = []
        rest: list[Cell] = []
        for cell in drawn:
            place = (cell.kind, cell.point, cell.side)
            (rest if place in seen else first).append(cell)
            seen.add(place)
        return (first + rest)[:count]

    return chosen


def those(pattern: str) -> Choice:
    """Return a choice of the cells whose names match, `*` being anything."""
    return lambda cells: [cell for cell in cells if fnmatchcase(str(cell), pattern)]


def try_all(
    choose: Choice, seed: int, *, sabotage: str | None = None, kinds: Sequence[str] = tuple(KINDS)
) -> Report:
    """Try the chosen cells of these kinds, each in a process of its own."""
    report, began = Report(), time.monotonic()
    with a_folder() as folder, _lanes(folder, choose, seed, sabotage, kinds) as lanes:
        for pid in lanes:
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            lanes[pid] = True
            if status != 0:
                report.breaches.append(f"a lane of the drill ended with {status}")
        for said in sorted(folder.glob("*.jsonl")):
            for line in said.read_text().splitlines():
                outcome = Outcome(**json.loads(line))
                report.cells += 1
                report.missed += [] if outcome.struck else [outcome.cell]
                report.breaches += [
                    f"{outcome.cell} --seed {seed}: {each}" for each in outcome.breaches
                ]
    report.seconds = time.monotonic() - began
    return report


@contextmanager
def _lanes(
    folder: Path, choose: Choice, seed: int, sabotage: str | None, kinds: Sequence[str]
) -> Iterator[dict[int, bool]]:
    """Start the lanes; yields which of them have ended. Those that have not are ended."""
    lanes: dict[int, bool] = {}
    try:
        for number in range(LANES):
            pid = os.fork()
            if pid == 0:
                _drive(folder, number, choose, seed, sabotage, kinds)
            lanes[pid] = False
        yield lanes
    finally:
        for pid, has_ended in lanes.items():
            if not has_ended:
                with suppress(ProcessLookupError):
                    os.kill(pid, SIGKILL)
                os.waitpid(pid, 0)


def _drive(
    folder: Path,
    number: int,
    choose: Choice,
    seed: int,
    sabotage: str | None,
    kinds: Sequence[str],
) -> None:
    """Be a lane: every so many-th of the cells is its own. Never returns."""
    status = 1
    try:
        if sabotage is not None:
            SABOTAGES[sabotage]()
        with a_lane(folder / str(number), seed) as lane:
            cells = [cell for kind in kinds for cell in lane.cells(KINDS[kind])]
            with (folder / f"{number}.jsonl").open("w") as said:
                for cell in choose(cells)[number::LANES]:
                    said.write(json.dumps(asdict(lane.try_out(cell))) + "\n")
        status = 0
    except BaseException as error:  # noqa: BLE001  # a fork of pytest must not go on as pytest
        print(f"lane {number}: {error!r}", file=sys.stderr)
    finally:
        os._exit(status)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cell", help="its name, as a breach tells it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sabotage", choices=sorted(SABOTAGES))
    said = parser.parse_args()
    cell = cell_named(said.cell)
    report = try_all(lambda _: [cell], said.seed, sabotage=said.sabotage, kinds=[cell.kind])
    print(report, *report.missed, *report.breaches, sep="\n")
    return 1 if report.breaches or report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
