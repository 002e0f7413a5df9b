"""Times as tests want them: files that are older, and a host whose clock is behind the database's."""

import os
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from shared.adapters.clock_system import SystemClock
from shared.services.sweeping import SweepService


@dataclass(frozen=True)
class Behind(SystemClock):
    by: timedelta

    def now(self) -> datetime:
        return super().now() - self.by


def behind(service: SweepService, by: timedelta) -> SweepService:
    """Return the same sweeps on a host to which the database's clock has jumped ahead."""
    return replace(service, sweeper=replace(service.sweeper, clock=Behind(by)))


def touch(path: Path, old: timedelta) -> None:
    """Let it be that much older."""
    then = path.stat().st_mtime - old.total_seconds()
    os.utime(path, (then, then))


def grow_old(folder: Path, by: timedelta) -> None:
    """Let all that lies in a folder be older, but its database."""
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".db":
            touch(path, by)
