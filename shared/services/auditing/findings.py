"""What an audit finds, and the report it makes of that."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

MOST_TOLD: Final = 1_000  # findings kept with their details; all are counted


class Kind(StrEnum):
    """The kinds of findings; part of the API, as labels of the metric."""

    OBJECT_MISSING = "object_missing"
    OBJECT_WRONG_SIZE = "object_wrong_size"
    OBJECT_CHANGED = "object_changed"
    OBJECT_OF_ANOTHER = "object_of_another"
    OBJECT_ROW_WRONG = "object_row_wrong"
    OBJECT_UNKNOWN = "object_unknown"
    OBJECT_DOUBLED = "object_doubled"
    OBJECT_UNREFERRED = "object_unreferred"
    OBJECT_LEFT = "object_left"
    THUMBNAIL_MISSING = "thumbnail_missing"
    MULTIPART_LEFT = "multipart_left"
    STAGED_UNKNOWN = "staged_unknown"
    SENT_MISSING = "sent_missing"
    SENT_CHANGED = "sent_changed"
    SENT_LEFT = "sent_left"
    CHUNKS_LEFT = "chunks_left"
    CHUNK_MISSING = "chunk_missing"
    CHUNK_WRONG_SIZE = "chunk_wrong_size"
    CHUNK_DAMAGED = "chunk_damaged"
    CHUNK_UNREADABLE = "chunk_unreadable"
    RECEIVED_WRONG = "received_wrong"
    RESERVATION_MISSING = "reservation_missing"
    RESERVATION_LEAKED = "reservation_leaked"
    QUOTA_WRONG = "quota_wrong"
    QUOTA_NEGATIVE = "quota_negative"
    JOB_MISSING = "job_missing"
    JOB_STUCK = "job_stuck"
    UPLOAD_MISSING = "upload_missing"
    UPLOAD_OVERDUE = "upload_overdue"
    STATES_CONTRADICT = "states_contradict"
    DELIVERY_OVERDUE = "delivery_overdue"
    DELIVERY_STUCK = "delivery_stuck"
    DELIVERY_UNOWNED = "delivery_unowned"
    BOARD_LIES = "board_lies"
    FILE_DAMAGED = "file_damaged"
    FILE_UNREADABLE = "file_unreadable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong; `subject` is an id (of a quota its tenant), `detail` for people."""

    kind: Kind
    subject: str
    detail: str
    repaired: bool = False


@dataclass(slots=True)
class Report:
    """All findings counted, the first of them kept; `repairs` are left to be made."""

    repairs: int
    kinds: Counter[str] = field(default_factory=Counter)
    told: list[Finding] = field(default_factory=list)
    repaired: int = 0
    failed: int = 0

    def add(self, finding: Finding) -> bool:
        """Count the finding; False when there are too many to tell of each."""
        self.kinds[finding.kind] += 1
        self.repaired += finding.repaired
        if len(self.told) == MOST_TOLD:
            return False
        self.told.append(finding)
        return True

    def facts(self) -> dict[str, Any]:
        return {
            "findings": dict(sorted(self.kinds.items())),
            "repaired": self.repaired,
            "unrepaired": self.kinds.total() - self.repaired,
            "report": [asdict(finding) for finding in self.told],
        }
