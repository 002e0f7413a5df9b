"""The database as the services see it: rows by noun, inside one transaction.

Invariant: the database decides. A verb that may lose a race says so by its result (False, None, or
a count) and has then changed nothing. All times are the database's own clock.
"""

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from shared.records.audits import (
    AuditedDirect,
    AuditedJob,
    AuditedUpload,
    AuditRows,
    Expected,
    ExpectedRows,
    Figures,
    Overdue,
    Room,
)
from shared.records.direct import DirectRows
from shared.records.files import FileRows, ObjectRecord, ObjectRows, ObjectState, QuotaRows
from shared.records.grants import GrantRows
from shared.records.jobs import JobRows, LeaseRows, StepRows
from shared.records.resumables import ResumableRows
from shared.records.uploads import ChunkRows, UploadRows
from shared.records.webhooks import WebhookRows

__all__ = [
    "AuditRows",
    "AuditedDirect",
    "AuditedJob",
    "AuditedUpload",
    "ChunkRows",
    "DirectRows",
    "Expected",
    "ExpectedRows",
    "Figures",
    "FileRows",
    "GrantRows",
    "JobRows",
    "LeaseRows",
    "ObjectRecord",
    "ObjectRows",
    "ObjectState",
    "Overdue",
    "QuotaRows",
    "Records",
    "ResumableRows",
    "Room",
    "StepRows",
    "Transaction",
    "UploadRows",
    "WebhookRows",
]


class Transaction(Protocol):
    def now(self) -> datetime: ...

    @property
    def uploads(self) -> UploadRows: ...

    @property
    def chunks(self) -> ChunkRows: ...

    @property
    def direct(self) -> DirectRows: ...

    @property
    def grants(self) -> GrantRows: ...

    @property
    def resumables(self) -> ResumableRows: ...

    @property
    def jobs(self) -> JobRows: ...

    @property
    def steps(self) -> StepRows: ...

    @property
    def files(self) -> FileRows: ...

    @property
    def objects(self) -> ObjectRows: ...

    @property
    def quotas(self) -> QuotaRows: ...

    @property
    def webhooks(self) -> WebhookRows: ...

    @property
    def leases(self) -> LeaseRows: ...

    @property
    def audits(self) -> AuditRows: ...

    @property
    def expected(self) -> ExpectedRows: ...


class Records(Protocol):
    def begin(self) -> AbstractContextManager[Transaction]:
        """Open a transaction: the end of the block commits, any exception rolls back."""
        ...

    def read(self) -> AbstractContextManager[Transaction]:
        """Open a transaction that only reads, and sees all rows as they were when it first looked.

        What others commit meanwhile is for the next one: nobody waits for news inside of it.
        """
        ...

    def check(self) -> None: ...

    def close(self) -> None: ...
