"""A crew of stand-in commands whose terminal can be read."""

import io
import threading
from pathlib import Path

from tools.crew import Crew, Patience
from tools.part import Part, Probe
from tools.running import Guard
from tools.voice import Voice

QUICK = Patience(pauses_seconds=(0.1, 0.2, 0.4), forgiven_after_seconds=30)


class SpokenCrew(Crew):
    """A crew that can be told to stop, and whose terminal can be read."""

    def __init__(self, folder: Path, guard: Guard) -> None:
        self.terminal = io.StringIO()
        self.stopping = threading.Event()
        self.hurrying = threading.Event()
        super().__init__(
            {"PATH": "/usr/bin:/bin"},
            folder,
            voice=Voice(self.terminal),
            guard=guard,
            stop=self.stopping,
            hurry=self.hurrying,
            patience=QUICK,
        )

    def said(self) -> str:
        return self.terminal.getvalue()


def a_part(
    name: str,
    script: str,
    *,
    ready: Probe | None = None,
    once: bool = False,
    optional: bool = False,
    ready_within_seconds: float = 5.0,
    stops_within_seconds: float = 5.0,
) -> Part:
    """Return a part that runs a shell script and is ready at once."""
    return Part(
        name,
        ("/bin/sh", "-c", script),
        ready=ready,
        once=once,
        optional=optional,
        settles_seconds=0.2,
        ready_within_seconds=ready_within_seconds,
        stops_within_seconds=stops_within_seconds,
    )
