"""What beat calls."""

from shared.services.sweeps import SWEEPS
from worker.schedule import SCHEDULE


def test_every_sweep_is_called_by_name_as_often_as_it_says() -> None:
    called = {entry["args"][0]: entry["schedule"] for entry in SCHEDULE.values()}

    assert called == {sweep.name: sweep.every for sweep in SWEEPS}
    assert {entry["task"] for entry in SCHEDULE.values()} == {"maintenance.sweep"}


def test_a_call_that_waited_is_gone_before_the_next() -> None:
    for entry in SCHEDULE.values():
        assert 0 < entry["options"]["expires"] < entry["schedule"].total_seconds()
        assert entry["options"]["queue"] == "maintenance"
