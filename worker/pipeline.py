"""The steps that make a file of a sealed upload, in order."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from worker.draft import Draft, Workbench
from worker.steps.assemble import assemble
from worker.steps.inspect import inspect
from worker.steps.publish import publish
from worker.steps.record import record
from worker.steps.thumbnail import thumbnail

log = logging.getLogger(__name__)

Step = Callable[[Draft, Workbench], Draft]
STEPS: Final[Sequence[Step]] = (inspect, assemble, thumbnail, publish, record)


def run(draft: Draft, bench: Workbench) -> Draft:
    """Pass the draft through every step; what a failed run had begun in the store is undone."""
    job = draft.claim.job
    done = 0
    with bench.undo:
        for step in STEPS:
            bench.watch.check()
            bench.claims.begin_step(draft.claim, step.__name__, done)
            began = time.monotonic()
            draft = step(draft, bench)
            done = job.total if draft.sha256 is not None else 0
            took_ms = round((time.monotonic() - began) * 1000)
            log.info("step_finished", extra={"step": step.__name__, "took_ms": took_ms})
    return draft
