"""`docs/operations.md` and the tuple of sweeps say the same."""

import re
from datetime import timedelta
from pathlib import Path

from shared.config import Settings
from shared.services.auditing.findings import Kind
from shared.services.sweeps import SWEEPS

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"
ROW = re.compile(r"^\| `([a-z-]+)` \| (\d+) (min|h) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
UNITS = {"min": timedelta(minutes=1), "h": timedelta(hours=1)}


def test_every_sweep_is_documented_with_its_interval_and_what_it_removes() -> None:
    rows = ROW.findall(DOCUMENT.read_text(encoding="utf-8"))

    said = [(name, int(count) * UNITS[unit], removes) for name, count, unit, removes, _ in rows]
    assert said == [(sweep.name, sweep.every, sweep.removes) for sweep in SWEEPS]


def test_every_kind_of_finding_is_documented() -> None:
    page = DOCUMENT.read_text(encoding="utf-8")

    assert [kind for kind in Kind if f"`{kind}`" not in page] == []


def test_the_settings_it_names_exist() -> None:
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", DOCUMENT.read_text(encoding="utf-8")))

    assert named <= {name.upper() for name in Settings.model_fields}
