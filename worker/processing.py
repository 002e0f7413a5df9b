"""One job from the claim to its end: who is at fault decides how it ends.

The file: `rejected`. A part that does not answer: the attempt is given back and the job waits. We:
the attempt is used up, and the job `failed` after the last. Somebody else has it: nothing.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from typing import Final

from shared import logs
from shared.errors import (
    AppError,
    FileEmpty,
    Interrupted,
    LeaseLost,
    Rejected,
    TooLarge,
    Unavailable,
    Unsupported,
)
from shared.model.job import problem
from shared.model.thumbnail import parse
from shared.ports_joining import Joiner
from shared.services.claims import Claim
from shared.wiring import Services
from worker import pipeline
from worker.draft import Draft, Undo, Workbench
from worker.images import Limits
from worker.source import Source
from worker.watch import Stopping, Watch

log = logging.getLogger(__name__)

# Of who waits for the database to hear how a job ended; the last repeats.
_PAUSES_SECONDS: Final = (1.0, 1.0, 1.0, 2.0, 5.0)
# What a worker that is to stop waits for the store, and for the database.
_UNDO_SECONDS: Final = 2.0
_LEAVE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Processing:
    services: Services
    worker: str
    is_stopping: Callable[[], bool]

    def process(self, job_id: str) -> None:
        """Run the job if it is to be had, and settle how it ended."""
        claims = self.services.claims
        claim = claims.claim(job_id, self.worker)
        if claim is None:
            log.info("job_not_to_be_had", extra={"job_id": job_id})
            return
        logs.bind(job_id=job_id, upload_id=claim.upload.id)
        try:
            with Watch(claims, claim, self.is_stopping) as watch:
                self._run(claim, watch)
        except LeaseLost:
            log.info("job_lost")
        finally:
            logs.unbind()

    def _run(self, claim: Claim, watch: Watch) -> None:
        undo = Undo()
        try:
            pipeline.run(Draft(claim), self._bench(watch, undo))
        except LeaseLost:
            raise
        except Stopping:
            try:
                self._settle(partial(self.services.claims.hand_back, claim))
                log.info("job_handed_back")
            finally:
                undo.hurry(_UNDO_SECONDS)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is told apart and logged
            self._settle(partial(self._end, claim, error))
        else:
            log.info("job_succeeded")

    def _end(self, claim: Claim, error: Exception) -> None:
        claims = self.services.claims
        if isinstance(error, (Rejected, Unsupported, TooLarge, FileEmpty)):
            claims.reject(claim, error)
            log.info("job_rejected", extra={"code": error.code})
        elif isinstance(error, Interrupted):
            claims.try_again(claim, problem(error))
            log.warning("job_interrupted", extra={"code": error.code}, exc_info=error)
        elif isinstance(error, AppError) and error.retryable:
            claims.sit_out(claim, error)
            log.warning("job_put_off", extra={"code": error.code}, exc_info=error)
        elif isinstance(error, AppError):
            claims.give_up(claim, problem(error))
            log.error("job_failed", extra={"code": error.code}, exc_info=error)
        else:
            detail = "The job met an unexpected fault; the log of the worker has it."
            claims.try_again(claim, {"code": "internal_error", "detail": detail})
            facts = {"attempt": claim.job.attempts}
            log.error("job_attempt_failed", extra=facts, exc_info=error)

    def _settle(self, say: Callable[[], None]) -> None:
        """Say how it ended as soon as the database hears it, or its outage would cost an attempt.

        However long that is: the watch holds the lease again when it is back, or another has the
        job and we hear that. A worker that is to stop leaves it after a while.
        """
        clock, leaves_at = self.services.clock, math.inf
        for pause in chain(_PAUSES_SECONDS, repeat(_PAUSES_SECONDS[-1])):
            try:
                say()
            except Unavailable:
                if self.is_stopping():
                    leaves_at = min(leaves_at, clock.monotonic() + _LEAVE_SECONDS)
                if clock.monotonic() >= leaves_at:
                    raise
            else:
                return
            clock.wait(_PAUSES_SECONDS[0] if self.is_stopping() else pause)

    def _bench(self, watch: Watch, undo: Undo) -> Workbench:
        services = self.services
        return Workbench(
            claims=services.claims,
            source=Source(services.staging, services.objects, watch.check),
            objects=services.objects,
            screening=services.screening,
            watch=watch,
            undo=undo,
            thumbnails=parse(services.settings.thumbnail_sizes),
            limits=Limits(pixels=services.settings.max_pixels),
            parallel_parts=services.settings.parallel_parts,
            joiner=services.staging if isinstance(services.staging, Joiner) else None,
        )
