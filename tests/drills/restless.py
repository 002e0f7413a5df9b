"""The supervisor of `./run`, one that starts again what dies however often it does.

Without Flower: no drill looks at it, and it starts as slowly as a worker.
"""

import sys

from tools import plan, supervisor
from tools.crew import Patience
from tools.embedded import Embedded
from tools.part import Stage


def stages(embedded: Embedded) -> tuple[Stage, ...]:
    return tuple(
        tuple(part for part in stage if part.name != "flower") for stage in plan.stages(embedded)
    )


if __name__ == "__main__":
    supervisor.stages = stages  # type: ignore[attr-defined]  # a name it imports
    sys.exit(supervisor.main(Patience(pauses_seconds=(0.1,) * 100_000)))
