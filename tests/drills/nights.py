"""The sweeps that clear up and those that audit, as nights would run them, in a process that is sound."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from shared.config import read_settings
from shared.services.sweeping import SweepService
from shared.wiring import build
from tests.support.waiting import eventually

_SWEEPS: Final = ("object-orphans", "multiparts", "staging-orphans")
_AUDITS: Final = ("audit", "reread")
_LONGEST_SECONDS: Final = 60.0  # of a sweep that the stack's own beat has begun


def two_nights(environment: Mapping[str, str]) -> None:
    """Sweep what the stack of this environment has; fails when a sweep did."""
    with _sweeps_of(environment) as sweeps:
        results = [_swept(sweeps, name) for name in _SWEEPS * 2]
    failed = [result for result in results if "error" in result]
    assert not failed, f"swept in vain: {failed}"


def audited(environment: Mapping[str, str]) -> list[str]:
    """Return what the auditor finds in all that the stack has, and leave it as it is."""
    with _sweeps_of(environment) as sweeps:
        results = [sweeps.run(name, dry_run=True) for name in _AUDITS]
    failed = [each for each in results if "error" in each or each["failed"] or each["capped"]]
    assert not failed, f"audited in vain: {failed}"
    return [
        f"audit: {each['kind']} {each['subject']}: {each['detail']}"
        for result in results
        for each in result["report"]
    ]


def _swept(sweeps: SweepService, name: str) -> dict[str, Any]:
    """Run a sweep as soon as nobody else does: who comes second is turned away."""

    def run() -> dict[str, Any]:
        result = sweeps.run(name)
        return {} if "skipped" in result else result

    return eventually(run, _LONGEST_SECONDS, every=0.2, says=f"{name} never had its turn")


@contextmanager
def _sweeps_of(environment: Mapping[str, str]) -> Iterator[SweepService]:
    said = {name.lower(): value for name, value in environment.items() if value}
    services = build(read_settings(_env_file=None, **said))
    try:
        yield services.sweeps
    finally:
        services.records.close()
