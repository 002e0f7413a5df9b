"""The reconciler's process goes on, whatever a round met."""

import threading
from datetime import timedelta
from typing import Any, cast

import pytest

from shared.errors import Unavailable
from shared.services.reconciling import Reconciler
from worker.reconciler import run

LATER = timedelta(seconds=1)


class BrokenRecords:
    """Fails each transaction in another way, and ends the process with the last."""

    def __init__(self, stop: threading.Event, *faults: Exception) -> None:
        self.stop = stop
        self.faults = list(faults)

    def begin(self) -> Any:
        fault = self.faults.pop(0)
        if not self.faults:
            self.stop.set()
        raise fault


def test_neither_an_outage_nor_a_bug_ends_the_rounds(caplog: pytest.LogCaptureFixture) -> None:
    stop = threading.Event()
    outage = Unavailable("records", "The database does not answer.")
    records = BrokenRecords(stop, outage, RuntimeError("a bug"), KeyError("another"), outage)
    nobody = cast("Any", None)
    windows = (LATER, LATER, LATER, timedelta(milliseconds=1))
    reconciler = Reconciler(cast("Any", records), nobody, nobody, nobody, "me", *windows)

    run(reconciler, stop)

    assert records.faults == []
    failed = [each for each in caplog.records if each.getMessage() == "round_failed"]
    assert [each.exc_info is not None for each in failed] == [True, True]
