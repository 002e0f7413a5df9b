"""Keeps a claim alive while its job runs, and says when to stop."""

import threading
import time
from collections.abc import Callable
from typing import Final, Self

from shared.errors import LeaseLost, Unavailable
from shared.services.claims import Claim, ClaimService

_AGAIN_SECONDS: Final = 1.0  # until a beat that failed is tried again


class Stopping(Exception):  # no error: the worker was told to stop
    """The worker is being stopped; the job goes back as if it had not been claimed."""


class Watch:
    """A thread that extends the lease of one claim; `check` raises once it is lost."""

    def __init__(self, claims: ClaimService, claim: Claim, is_stopping: Callable[[], bool]) -> None:
        self._claims = claims
        self._claim = claim
        self._is_stopping = is_stopping
        self._held_until = time.monotonic() + claims.rules.lease.total_seconds()
        self._lost = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

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

    def _beat(self) -> None:
        rules = self._claims.rules
        pause = heartbeat = rules.heartbeat.total_seconds()
        while not self._over.wait(pause):
            asked_at = time.monotonic()
            try:
                held = self._claims.beat(self._claim)
            except Unavailable:
                # The lease is ours until another claims: as soon as the database is back we say so.
                pause = min(_AGAIN_SECONDS, heartbeat)
                continue
            pause = heartbeat
            if not held:
                self._lost = True
                return
            self._held_until = asked_at + rules.lease.total_seconds()
