"""The supervisor of `./run`, one that starts again what dies however often it does.

Without the parts that `DRILL_WITHOUT` names, each of which starts as slowly as a worker; and with a
second worker beside the first unless that is among them.
"""

import os
import sys
from typing import Final

from tools import plan, supervisor
from tools.crew import Patience
from tools.embedded import Embedded
from tools.part import Stage

WITHOUT: Final = "DRILL_WITHOUT"
SECOND: Final = "worker-2"


def stages(embedded: Embedded) -> tuple[Stage, ...]:
    beside = plan._worker(embedded, SECOND, "other", "ingest")
    away = os.environ[WITHOUT].split(",")  # noqa: TID251  # a setting of the drill
    *before, service = plan.stages(embedded)
    return (*before, tuple(part for part in (*service, beside) if part.name not in away))


if __name__ == "__main__":
    supervisor.stages = stages  # type: ignore[attr-defined]  # a name it imports
    sys.exit(supervisor.main(Patience(pauses_seconds=(0.1,) * 100_000)))
