"""Keeps a claim alive while its job runs, says when to stop, and gives back what can't look."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Self

from shared.errors import LeaseLost, Unavailable
from shared.services.claims import Claim, ClaimService

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0  # also until what failed is tried again
# Who has not looked for so long since the worker was told to stop waits for a part that is silent.
STUCK_SECONDS: Final = 6.0


class Stopping(Exception):  # no error: the worker was told to stop
    """The worker is being stopped; the job goes back as if it had not been claimed."""


class Watch:
    """A thread that extends the lease of one claim; `check` raises once it is lost."""

    def __init__(self, claims: ClaimService, claim: Claim, is_stopping: Callable[[], bool]) -> None:
        self._claims = claims
        self._claim = claim
        self._is_stopping = is_stopping
        self._held_until = time.monotonic() + claims.rules.lease.total_seconds()
        self._stuck_at: float | None = None
        self._lost = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *why: object) -> None:
        self._over.set()
        self._thread.join()

    def check(self) -> None:
        """Raise `LeaseLost`, `Unavailable` or `Stopping` when this job is not to go on."""
        if self._lost:
            raise LeaseLost("Somebody else holds this job.")
        if time.monotonic() >= self._held_until:
            # We were frozen, or the database is away: whose the job is now its fence will say.
            raise Unavailable("records", "The lease could not be extended in time.")
        if self._is_stopping():
            raise Stopping

    def _keep(self) -> None:
        heartbeat = self._claims.rules.heartbeat.total_seconds()
        due = time.monotonic() + heartbeat
        while not self._over.wait(max(0.0, min(_LOOK_SECONDS, due - time.monotonic()))):
            try:
                if self._is_stuck():
                    self._claims.hand_back(self._claim)
                    self._lost = True
                    log.warning("job_handed_back_stuck", extra={"job_id": self._claim.job.id})
                    return
                if time.monotonic() >= due:
                    self._beat()
                    due = time.monotonic() + heartbeat
            except LeaseLost:
                self._lost = True
                return
            except Exception as error:  # whatever it is, the lease is ours until another claims
                if not isinstance(error, Unavailable):
                    log.warning("heartbeat_failed", exc_info=error)
                due = time.monotonic() + min(_LOOK_SECONDS, heartbeat)

    def _is_stuck(self) -> bool:
        now = time.monotonic()
        if self._stuck_at is None and self._is_stopping():
            self._stuck_at = now + STUCK_SECONDS
        return self._stuck_at is not None and now >= self._stuck_at

    def _beat(self) -> None:
        asked_at = time.monotonic()
        if not self._claims.beat(self._claim):
            raise LeaseLost("Somebody else holds this job.")
        self._held_until = asked_at + self._claims.rules.lease.total_seconds()
