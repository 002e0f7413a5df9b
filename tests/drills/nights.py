"""The sweeps that clear up, as two nights would run them; a process of a drill's stack."""

from typing import Final

from shared.config import settings
from shared.wiring import build

_SWEEPS: Final = ("object-orphans", "multiparts", "staging-orphans")


def main() -> None:
    services = build(settings())
    try:
        results = [services.sweeps.run(name) for name in _SWEEPS * 2]
    finally:
        services.records.close()
    if failed := [result for result in results if "error" in result]:
        raise SystemExit(f"swept in vain: {failed}")


if __name__ == "__main__":
    main()
