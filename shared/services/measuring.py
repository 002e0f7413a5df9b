"""The figures that operators watch: how much waits, and what the sweeps and the auditor last said.

Asked at most once in a few seconds, however many ask: to count takes a look at every job.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any, Final

from shared.records import Figures, Records
from shared.services.sweeps import SWEEPS

_FRESH_SECONDS: Final = 5.0
_LEASE: Final = "sweep:"


@dataclass(frozen=True, slots=True)
class SweepFigures:
    """What a sweep's last run left: when it ended, and its result, empty when it has not run."""

    finished_at: datetime | None
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    rows: Figures
    sweeps: Mapping[str, SweepFigures]


@dataclass(frozen=True, slots=True)
class Measuring:
    records: Records
    _kept: "_Kept" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_kept", _Kept())

    def figures(self) -> Measured:
        """Return figures that are a few seconds old at most. Raises `Unavailable`."""
        with self._kept.lock:
            if self._kept.measured is None or monotonic() >= self._kept.until:
                self._kept.measured = self._measured()
                self._kept.until = monotonic() + _FRESH_SECONDS
            return self._kept.measured

    def _measured(self) -> Measured:
        with self.records.read() as rows:
            leases = {each["name"]: each for each in rows.leases.results()}
            return Measured(
                rows.audits.figures(),
                {sweep.name: _sweep(leases.get(_LEASE + sweep.name, {})) for sweep in SWEEPS},
            )


class _Kept:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.measured: Measured | None = None
        self.until = 0.0


def _sweep(lease: Mapping[str, Any]) -> SweepFigures:
    return SweepFigures(lease.get("finished_at"), lease.get("result") or {})
