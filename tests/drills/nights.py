"""The sweeps that clear up, as two nights would run them, by a process that has nothing broken."""

from collections.abc import Mapping
from typing import Final

from shared.config import read_settings
from shared.wiring import build

_SWEEPS: Final = ("object-orphans", "multiparts", "staging-orphans")


def two_nights(environment: Mapping[str, str]) -> None:
    """Sweep what the stack of this environment has; fails when a sweep did."""
    said = {name.lower(): value for name, value in environment.items() if value}
    services = build(read_settings(_env_file=None, **said))
    try:
        results = [services.sweeps.run(name) for name in _SWEEPS * 2]
    finally:
        services.records.close()
    failed = [result for result in results if "error" in result]
    assert not failed, f"swept in vain: {failed}"
