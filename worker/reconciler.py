"""The reconciler's process: rounds until told to stop. What repairs the broker needs no broker."""

import logging
import os
import signal
import socket
import threading
from datetime import timedelta
from typing import Final, Protocol

from shared import logs
from shared.config import Settings, settings
from shared.errors import Unavailable
from shared.services.reconciling import Reconciler
from shared.wiring import Services, build

log = logging.getLogger(__name__)

_LEASE_ROUNDS: Final = 3


class Rounds(Protocol):
    def round(self) -> object: ...


def main() -> None:
    logs.set_up(settings().log_level, settings().log_format)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    services = build(settings())
    rounds = made(settings(), services)
    # In a thread of its own: a store that hangs must not hold up what rings for forgotten work.
    adopting = threading.Thread(
        target=run,
        args=(services.adoption, settings().adopt_seconds, stop),
        name="adopting",
        daemon=True,
    )
    adopting.start()
    run(rounds, settings().reconcile_seconds, stop)


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


def run(work: Rounds, pause_seconds: float, stop: threading.Event) -> None:
    """Do a round every `pause_seconds` until `stop`; an outage is waited out, and so is a bug."""
    log.info("rounds_begun", extra={"work": type(work).__name__})
    while not stop.is_set():
        try:
            work.round()
        except Unavailable as outage:
            log.warning("round_not_done", extra={"code": outage.code})
        except Exception:  # nobody else rings for forgotten work; the next round may not meet it
            log.exception("round_failed")
        stop.wait(pause_seconds)


if __name__ == "__main__":
    main()
