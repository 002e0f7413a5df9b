"""What must be true of uploads, whatever happens to them: small, pure, and knowing no code of ours.

Every verb changes the model as the service must change the rows, and returns the answer that the
client must get: "ok", or the code of a refusal.
"""

from dataclasses import dataclass, field
from typing import Final

HOLDING: Final = frozenset({"receiving", "sealed", "processing", "failed"})
MOST_ATTEMPTS: Final = 3
_ENDED: Final = frozenset({"ready", "rejected", "failed", "expired"})


@dataclass
class Item:
    """One upload. `kept` are the bytes acknowledged, by chunk; a stream is chunk 0."""

    size: int | None
    chunk_size: int
    state: str = "receiving"
    kept: dict[int, bytes] = field(default_factory=dict)
    has_job: bool = False
    attempts: int = 0
    waits: bool = False  # for its pause to pass, or for somebody to see that its worker died
    is_hidden: bool = False
    is_gone: bool = False

    @property
    def content(self) -> bytes:
        return b"".join(self.kept[number] for number in sorted(self.kept))

    @property
    def reserved(self) -> int:
        if self.state not in HOLDING:
            return 0
        return len(self.content) if self.size is None else self.size

    @property
    def used(self) -> int:
        return len(self.content) if self.state == "ready" and not self.is_gone else 0

    @property
    def count(self) -> int:
        assert self.size is not None
        return -(-self.size // self.chunk_size)

    def place(self, number: int) -> int:
        """Return the length of a chunk."""
        assert self.size is not None
        return min(self.chunk_size, self.size - number * self.chunk_size)

    # What clients ask for.

    def put(self, number: int, body: bytes, *, is_cut: bool = False) -> str:
        """Store a chunk of the right length, of which perhaps not all comes."""
        before = self.kept.get(number) if self.state in HOLDING else None
        if self.state != "receiving" and before is None:
            return "upload_not_receiving"
        if is_cut:
            return "body_cut"
        if before is not None:
            return "ok" if before == body else "chunk_conflict"
        self.kept[number] = body
        return "ok"

    def misplace(self, number: int) -> str:
        """Send a chunk that does not fill its place."""
        known = self.state in HOLDING and number in self.kept
        return "chunk_misplaced" if known or self.state == "receiving" else "upload_not_receiving"

    def append(self, offset: int, body: bytes) -> str:
        there = self.kept.get(0, b"")
        if self.state != "receiving":
            return "upload_not_receiving"
        if offset != len(there):
            return "offset_mismatch"
        self.kept[0] = there + body
        return "ok"

    def complete(self) -> str:
        if self.state in {"expired", "cancelled"} and not self.has_job:
            return "upload_not_receiving"
        if self.state != "receiving":
            return "ok"  # the same job
        if self.size is not None and len(self.kept) < self.count:
            return "chunks_missing"
        if not self.kept:
            return "file_empty"
        self.state, self.has_job = "sealed", True
        return "ok"

    def cancel(self) -> str:
        if self.state in _ENDED:
            return "conflict"
        self.state = "cancelled"
        return "ok"

    def retry(self) -> str:
        if self.state != "failed":
            return "conflict"
        self.state, self.attempts, self.waits = "sealed", 0, False
        return "ok"

    def delete(self, *, hard: bool) -> str:
        if self.state != "ready" or self.is_gone or (self.is_hidden and not hard):
            return "file_not_found"
        self.is_hidden, self.is_gone = True, hard
        return "ok"

    # What happens to it.

    def expire(self) -> None:
        if self.state == "receiving":
            self.state = "expired"

    @property
    def can_be_claimed(self) -> bool:
        spent = self.state == "processing" and self.attempts >= MOST_ATTEMPTS
        return self.state in {"sealed", "processing"} and not self.waits and not spent

    def work(self) -> None:
        if self.can_be_claimed:
            self.state, self.attempts = "ready", self.attempts + 1

    def work_without_store(self) -> None:
        """An outage gives the attempt back."""
        if self.can_be_claimed:
            self.state, self.waits = "sealed", True

    def die(self, *, claimed: bool, published: bool) -> None:
        """A worker died at it: before its claim, after it, or after it had published."""
        if not self.can_be_claimed:
            assert not claimed
            return
        if claimed:
            self.attempts += 1
            self.state, self.waits = ("ready", False) if published else ("processing", True)

    def let_time_pass(self) -> None:
        """A pause is over. That a lease is does not let another have the job yet."""
        self.waits = self.waits and self.state == "processing"

    def reconcile(self) -> None:
        """Time passes, and who died is taken for dead."""
        self.waits = False
        if self.state == "processing" and self.attempts >= MOST_ATTEMPTS:
            self.state = "failed"
