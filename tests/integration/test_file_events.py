"""What the logs say of files, under the names that operators look for, and nothing that opens one."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared import logs
from tests.support.front import Front, a_front


@pytest.fixture
def front(tmp_path: Path, database_url: str) -> Iterator[Front]:
    with a_front(tmp_path, database_url) as made:
        yield made


@pytest.fixture
def told() -> Iterator[io.StringIO]:
    """All that is logged, as the processes log it in production."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    logs.set_up("INFO", "json")
    stream = io.StringIO()
    for handler in root.handlers:
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(stream)
    yield stream
    root.handlers = handlers
    root.setLevel(level)


def test_each_deed_has_its_documented_event_with_the_files_id(
    front: Front, told: io.StringIO
) -> None:
    file = front.published(b"hello world", filename="secret-name.txt")
    own = f"/api/v1/files/{file.id}"
    link = front.get(f"{own}/presigned-url", {"expiry": 60}).get_json()["url"]
    front.get(f"{own}/download", Range="bytes=2-5")
    front.ask("HEAD", f"{own}/download")
    copy = front.ask("POST", f"{own}/copy").get_json()
    front.ask("DELETE", own)
    front.ask("POST", f"{own}/restore")
    front.ask("DELETE", f"{own}?hard_delete=true")

    events = [event for event in lines(told) if event.get("file_id")]

    assert [(event["event"], event["file_id"]) for event in events] == [
        ("s3_file_uploaded", file.id),
        ("presigned_url_generated", file.id),
        ("s3_file_downloaded_bytes", file.id),
        ("s3_file_copied", copy["id"]),
        ("s3_file_deleted", file.id),
        ("file_restored", file.id),
        ("s3_file_deleted", file.id),
    ]
    facts = [
        {
            name: event[name]
            for name in ("size", "seconds", "start", "stop", "hard")
            if name in event
        }
        for event in events
    ]
    assert facts[:3] == [{"size": 11}, {"seconds": 60}, {"start": 2, "stop": 6}]
    assert [fact["hard"] for fact in facts if "hard" in fact] == [False, True]
    assert all(event["level"] == "info" for event in events)
    text = told.getvalue()
    assert link.rpartition("/")[2] not in text
    assert "secret-name" not in text


def test_what_is_refused_is_no_deed(front: Front, told: io.StringIO) -> None:
    file = front.published(b"hello world")
    own = f"/api/v1/files/{file.id}"
    for method, path in (("GET", "/download"), ("GET", "/presigned-url"), ("DELETE", "")):
        assert front.ask(method, f"{own}{path}", sub="bob").status_code == 404

    assert [event["event"] for event in lines(told) if event.get("file_id")] == ["s3_file_uploaded"]


def lines(told: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told.getvalue().splitlines()]
