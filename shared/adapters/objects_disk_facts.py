"""What is said of an object in a folder, in a file of its own that is there before its bytes.

Facts of bytes that go over others have those of the others in them, which hold until the bytes are
there: so one rename puts the new object in the place of the old one, for readers and after a crash.
"""

import json
import os
from pathlib import Path
from typing import Any

from shared.adapters.durable import sync


def save(path: Path, facts: dict[str, Any]) -> None:
    """Write facts to durable storage."""
    path.write_text(json.dumps(facts))
    sync(path)


def look(object_file: Path, facts_file: Path) -> tuple[os.stat_result, dict[str, Any]]:
    """Return what the folder says of an object, and the facts of these very bytes.

    Raises `FileNotFoundError` when either is not there.
    """
    while True:
        body = object_file.stat()
        facts = json.loads(facts_file.read_text())
        if _mark(object_file.stat()) == _mark(body):  # or others are there by now
            return body, _of(body, facts)


def over(object_file: Path, facts_file: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Return facts for bytes that will take the place of an object's."""
    body, before = look(object_file, facts_file)
    return facts | {"before": {"mark": _mark(body), "facts": before}}


def _of(body: os.stat_result, facts: dict[str, Any]) -> dict[str, Any]:
    before = facts.pop("before", None)
    return before["facts"] if before is not None and before["mark"] == _mark(body) else facts


def _mark(body: os.stat_result) -> list[int]:
    # Both: a copy of the folder has other inodes, which may be those of others here.
    return [body.st_ino, body.st_mtime_ns]
