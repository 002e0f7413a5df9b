"""`./run`: everything, from nothing, in the foreground, until Ctrl-C.

Order of the start: data folder, ports, stores, migration, service; the stop goes backwards.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Final

from tools import embedded as embedding
from tools.crew import PATIENCE, Broken, Crew, Patience, StopRequested
from tools.embedded import ROOT, Embedded
from tools.plan import stages
from tools.ports import refuse_taken
from tools.probes import http_answers, http_text
from tools.refusal import Refused
from tools.running import Guard
from tools.voice import Voice

READY_WITHIN_SECONDS: Final = 60.0


def main(patience: Patience = PATIENCE) -> int:
    """Run until told to stop; 0 after a stop that was asked for, 1 when something is wrong."""
    try:
        embedded = embedding.load()
        with embedded.folder.claimed() as lock:
            refuse_taken(
                embedded.ports.needed(redis=embedded.broker, s3=embedded.objects),
            )
            return _run(embedded, lock, patience)
    except Refused as refusal:
        print(f"sluice: {refusal}", file=sys.stderr)
        return 1


def _run(embedded: Embedded, lock: int, patience: Patience) -> int:
    voice, began = Voice(), time.monotonic()
    stop, hurry = _on_signals()
    guard = Guard(lock)
    environment = {**os.environ, **embedded.variables}
    for name in embedded.withheld:
        environment.pop(name, None)
    crew = Crew(
        environment,
        ROOT,
        voice=voice,
        guard=guard,
        stop=stop,
        hurry=hurry,
        patience=patience,
    )
    voice.say(embedded.in_words())
    try:
        crew.start(stages(embedded))
        _wait_until_ready(embedded, stop)
        _announce(embedded, environment, voice, time.monotonic() - began)
        crew.watch()
    except StopRequested:
        voice.say("stopped before everything was ready")
    except Broken as broken:
        voice.say(f"{broken}; stopping everything. The last lines:")
        for line in broken.lines:
            voice.say(f"    {line}")
        return 1
    finally:
        crew.stop()
        guard.dismiss()
        voice.say("stopped")
    return 0


def _on_signals() -> tuple[threading.Event, threading.Event]:
    """Make the first signal set the first event, and any later one the second."""
    stop, hurry = threading.Event(), threading.Event()

    def note(_number: int, _frame: object) -> None:
        (hurry if stop.is_set() else stop).set()

    signal.signal(signal.SIGINT, note)
    signal.signal(signal.SIGTERM, note)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup asked us to stay
        signal.signal(signal.SIGHUP, note)
    return stop, hurry


def _wait_until_ready(embedded: Embedded, stop: threading.Event) -> None:
    address = embedded.web("/readyz")
    probe = http_answers(address)
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while not probe():
        if stop.wait(0.2):
            raise StopRequested
        if time.monotonic() > deadline:
            message = f"/readyz did not answer 200 within {READY_WITHIN_SECONDS:.0f} s"
            raise Broken(message, http_text(address).splitlines())


def _announce(
    embedded: Embedded, environment: Mapping[str, str], voice: Voice, took: float
) -> None:
    settings = embedded.variables
    base = settings.get("BASE_URL", embedded.web(""))
    user = settings["FLOWER_BASIC_AUTH"].partition(":")[0]
    voice.plain(f"""
  API       {base}/api/v1
  docs      {base}/docs
  Flower    {settings["FLOWER_URL"]}   user {user}, password in {embedded.folder.credentials}
  objects   {settings.get("S3_ENDPOINT_URL", "a folder")}
  token     {_token(environment)}
  started in {took:.1f} s; Ctrl-C stops everything
""")
    voice.plain("ready")


def _token(environment: Mapping[str, str]) -> str:
    command = [sys.executable, "-m", "cli", "token", "--sub", "dev"]
    done = subprocess.run(  # noqa: S603  # our own command
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
    )
    said = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return said[-1] if said else "none could be made: see ./run token --help"


if __name__ == "__main__":
    sys.exit(main())
