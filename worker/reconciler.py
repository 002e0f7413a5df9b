"""The reconciler's process: rounds until told to stop. What repairs the broker needs no broker."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from shared import logs
from shared.config import Settings, settings
from shared.errors import Unavailable
from shared.services.reconciling import Reconciler
from shared.wiring import Services, build

log = logging.getLogger(__name__)

_LEASE_ROUNDS: Final = 3


def main() -> None:
    logs.set_up(settings().log_level, settings().log_format)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    services = build(settings())
    reconciler, every = made(settings(), services), timedelta(seconds=settings().adopt_seconds)
    # In a thread of its own: a store that hangs must not hold up what rings for forgotten work.
    rounds = (services.adoption.round, lambda: every, every, stop)
    threading.Thread(target=repeat, args=rounds, name="adopting", daemon=True).start()
    run(reconciler, stop)


def made(chosen: Settings, services: Services) -> Reconciler:
    return Reconciler(
        records=services.records,
        dispatcher=services.claims.dispatcher,
        claims=services.claims,
        jobs=services.jobs,
        holder=f"{socket.gethostname()}:{os.getpid()}",
        lease=timedelta(seconds=_LEASE_ROUNDS * chosen.reconcile_seconds),
        stale=timedelta(seconds=chosen.redispatch_seconds),
        echo=timedelta(seconds=min(chosen.reconcile_seconds, chosen.redispatch_seconds)),
        pause=timedelta(seconds=chosen.reconcile_seconds),
    )


def run(reconciler: Reconciler, stop: threading.Event) -> None:
    """Do a round at each `pause` until `stop`, and when a lease runs out."""
    log.info("reconciler_started")
    repeat(reconciler.round, reconciler.rest, reconciler.pause, stop)


def repeat(
    work: Callable[[], object],
    rest: Callable[[], timedelta],
    pause: timedelta,
    stop: threading.Event,
) -> None:
    """Do `work` until `stop`, with a `rest` between, or a `pause` when it could not be done.

    An outage is waited out, and so is a bug.
    """
    while not stop.is_set():
        wait = pause
        try:
            work()
            wait = rest()
        except Unavailable as outage:
            log.warning("round_not_done", extra={"code": outage.code})
        except Exception:  # nobody else does it; the next round may not meet it
            log.exception("round_failed")
        stop.wait(wait.total_seconds())


if __name__ == "__main__":
    main()
