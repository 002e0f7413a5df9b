"""What clients sent and were told, on disk before they go on: the evidence of a drill.

An `intent` stands before a request, what was acknowledged after its answer. An intent without an
answer may have happened or not: the checker takes both.
"""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Entry:
    """One upload as its client knows it; no other has its name.

    `chunks` are those acknowledged: the SHA-256 of each by its number.
    """

    name: str
    sha256: str
    size: int
    upload_id: str | None = None
    job_id: str | None = None
    chunks: dict[int, str] = field(default_factory=dict)
    sealed: bool = False
    cancelled: bool = False


class Ledger:
    """Append-only lines of JSON, synced one by one."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {}

    def begin(self, name: str, sha256: str, size: int) -> Entry:
        entry = Entry(name, sha256, size)
        with self._lock:
            self._entries[name] = entry
        self._write("begin", name, sha256=sha256, size=size)
        return entry

    @contextmanager
    def asked(self, entry: Entry, op: str, **said: Any) -> Iterator[None]:
        """Write the intent; when the block ends without an exception, the acknowledgement."""
        self._write("intent", entry.name, op=op, **said)
        yield
        self._write("acknowledged", entry.name, op=op, **said)

    @property
    def entries(self) -> list[Entry]:
        with self._lock:
            return list(self._entries.values())

    def close(self) -> None:
        self._file.close()

    def _write(self, what: str, name: str, **said: Any) -> None:
        line = json.dumps({"what": what, "name": name, **said})
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
