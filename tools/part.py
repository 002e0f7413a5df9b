"""What one process of the service is: its command, when it counts as ready, how it stops."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Probe = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Part:
    """A process to keep running, or with `once` a command to wait for.

    Without a `ready` probe a part is ready once it has lived for `settles_seconds`. Of what it
    prints only lines that match `shows` reach the terminal; all of them are kept for the post-mortem.
    """

    name: str
    command: tuple[str, ...]
    ready: Probe | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    discards: Path | None = None
    feed: bytes = b""
    shows: re.Pattern[str] | None = None
    once: bool = False
    optional: bool = False
    settles_seconds: float = 2.0
    ready_within_seconds: float = 60.0
    stops_within_seconds: float = 10.0


Stage = tuple[Part, ...]
"""Parts that start together, in order, and are all ready before the next stage begins."""
