"""One job from the claim to its end: who is at fault decides how it ends.

The file: `rejected`. A part that does not answer: the attempt is given back and the job waits. We:
the attempt is used up, and the job `failed` after the last. Somebody else has it: nothing.
"""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from shared import logs
from shared.errors import AppError, LeaseLost, Rejected, TooLarge, Unsupported
from shared.model.thumbnail import parse
from shared.services.claims import Claim, problem
from shared.wiring import Services
from worker import pipeline
from worker.draft import Draft, Workbench
from worker.images import Limits
from worker.watch import Stopping, Watch

log = logging.getLogger(__name__)


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
        claims = self.services.claims
        try:
            pipeline.run(Draft(claim), self._bench(watch))
        except LeaseLost:
            raise
        except Stopping:
            claims.hand_back(claim)
            log.info("job_handed_back")
        except (Rejected, Unsupported, TooLarge) as fault:
            claims.reject(claim, fault)
            log.info("job_rejected", extra={"code": fault.code})
        except AppError as error:
            if error.retryable:
                claims.sit_out(claim, error)
                log.warning("job_put_off", extra={"code": error.code}, exc_info=error)
            else:
                claims.give_up(claim, problem(error))
                log.exception("job_failed", extra={"code": error.code})
        except Exception:
            log.exception("job_attempt_failed", extra={"attempt": claim.job.attempts})
            detail = "The job met an unexpected fault; the log of the worker has it."
            claims.try_again(claim, {"code": "internal_error", "detail": detail})
        else:
            log.info("job_succeeded")

    def _bench(self, watch: Watch) -> Workbench:
        services = self.services
        return Workbench(
            claims=services.claims,
            staging=services.staging,
            objects=services.objects,
            screening=services.screening,
            watch=watch,
            undo=ExitStack(),
            thumbnails=parse(services.settings.thumbnail_sizes),
            limits=Limits(pixels=services.settings.max_pixels),
            parallel_parts=services.settings.parallel_parts,
        )
