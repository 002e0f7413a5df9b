"""One audit under way: what it may reach, its bounds, and what it has found."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, TypeVar

from shared.errors import AppError
from shared.ports import Board, Dispatcher, ObjectStore, Staging
from shared.records import Records
from shared.services.auditing.findings import Finding, Kind, Report
from shared.services.ending import Ending
from shared.services.jobs import JobService

log = logging.getLogger(__name__)

Thing = TypeVar("Thing")

BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Parts:
    """What is held against each other. `jobs` queues and rings, `ending` ends; they are asked nothing."""

    records: Records
    staging: Staging
    objects: ObjectStore
    board: Board
    dispatcher: Dispatcher
    jobs: JobService
    ending: Ending


@dataclass(slots=True)
class Audit:
    """`latest` is when a thing without a row must have been touched last to be a finding.

    A sweep that removes such things at its second look should have done so `patience` after the first.
    `given_up` is when an upload must have failed last for nothing of it to be kept any more.
    Work that nobody took for `stuck` is forgotten; who has taken it and lives has shown that within a
    `lease`. `looks` is how many strange objects the store is
    asked about; `cursor` is the key after which the look at the bucket begins, and later the one it
    came to. Its time `is_over`, too, when its process `is_stopping`.
    """

    parts: Parts
    report: Report
    latest: datetime
    given_up: datetime
    patience: timedelta
    stuck: timedelta
    lease: timedelta
    looks: int
    is_over: Callable[[], bool]
    is_stopping: Callable[[], bool] = lambda: False
    dry_run: bool = False
    staging_prefix: str | None = None
    cursor: str = ""
    seen: int = 0
    foreign: int = 0
    capped: bool = False

    @property
    def unswept(self) -> datetime:
        """When such a thing must have been touched last to be removed by now."""
        return self.latest - self.patience

    def found(self, kind: Kind, subject: str, detail: str, repair: "Repair | None" = None) -> None:
        """Report a finding; `repair` is called where that is safe, and says whether it was done."""
        finding = Finding(kind, subject, detail, self._repaired(repair, kind, subject))
        if self.report.add(finding):
            # The detail may hold a key, and with it a name of a file.
            facts = {"kind": str(kind), "subject": subject, "repaired": finding.repaired}
            log.warning("audit_found", extra=facts)

    def pages(
        self, read: Callable[[str], list[Thing]], ident: Callable[[Thing], str]
    ) -> Iterator[list[Thing]]:
        """Yield what `read` returns after the last of what it returned before, until time is up."""
        after = ""
        while page := read(after):
            yield page
            self.seen += len(page)
            after = ident(page[-1])
            if self.stops():
                return

    def batches(self, things: Iterable[Thing]) -> Iterator[list[Thing]]:
        """Yield things a batch at a time, until time is up."""
        source = iter(things)
        while batch := list(islice(source, BATCH)):
            yield batch
            self.seen += len(batch)
            if self.stops():
                return

    def stops(self) -> bool:
        """Say whether time is up, and remember that it was."""
        is_over = self.is_over()
        self.capped = self.capped or is_over
        return is_over

    def _repaired(self, repair: "Repair | None", kind: Kind, subject: str) -> bool:
        if repair is None or self.dry_run:
            return False
        if self.report.repaired + self.report.failed >= self.report.repairs:
            self.capped = True
            return False
        try:
            return repair(self, subject)
        except AppError:
            self.report.failed += 1
            log.exception("repair_failed", extra={"kind": str(kind), "subject": subject})
            return False


Repair = Callable[[Audit, str], bool]
