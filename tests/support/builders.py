"""Rows as values, with defaults that a test may override."""

from datetime import UTC, datetime
from typing import Any, Final

from uuid_utils.compat import uuid7

from shared.model.file import File
from shared.model.job import Job
from shared.model.lifecycle import JobState, UploadState
from shared.model.upload import Chunk, Upload
from shared.model.webhook import Delivery, DeliveryState, EventType, Webhook

NEVER: Final = datetime(2000, 1, 1, tzinfo=UTC)  # the database sets the times


def an_upload(**said: Any) -> Upload:
    upload_id = said.pop("id", None) or str(uuid7())
    facts: dict[str, Any] = {
        "tenant": "default",
        "owner": "alice",
        "state": UploadState.RECEIVING,
        "filename": "notes.txt",
        "folder": None,
        "description": None,
        "size": 10,
        "chunk_size": 4,
        "declared_type": "text/plain",
        "sha256": None,
        "attributes": {"colour": "grün", "nested": {"a": [1, None, True]}},
        "tags": ["a", "b"],
        "is_public": False,
        "expires_in": None,
        "reference": None,
        "profile": "default",
        "key": f"2026/01/01/{upload_id}_notes.txt",
        "received": 0,
        "reserved": 10,
        "created_at": NEVER,
        "updated_at": NEVER,
        "expires_at": NEVER,
    }
    return Upload(upload_id, **(facts | said))


def a_chunk(upload_id: str, number: int = 0, **said: Any) -> Chunk:
    facts: dict[str, Any] = {
        "offset": 0,
        "length": 4,
        "crc64": 0xFEDCBA9876543210,
        "name": str(uuid7()),
    }
    return Chunk(upload_id, number, **(facts | said))


def a_job(upload_id: str | None = None, **said: Any) -> Job:
    facts: dict[str, Any] = {
        "id": str(uuid7()),
        "tenant": "default",
        "owner": "alice",
        "kind": "ingest",
        "state": JobState.QUEUED,
        "step": None,
        "done": 0,
        "total": 10,
        "attempts": 0,
        "outages": 0,
        "fence": 0,
        "version": 1,
        "error": None,
        "worker": None,
        "due_at": NEVER,
        "lease_until": None,
        "dispatched_at": None,
        "created_at": NEVER,
        "started_at": None,
        "updated_at": NEVER,
        "finished_at": None,
    }
    return Job(upload_id=upload_id or str(uuid7()), **(facts | said))


def a_file(**said: Any) -> File:
    file_id = said.pop("id", None) or str(uuid7())
    facts: dict[str, Any] = {
        "upload_id": file_id,
        "tenant": "default",
        "owner": "alice",
        "filename": "notes.txt",
        "folder": None,
        "description": None,
        "size": 10,
        "content_type": "text/plain",
        "declared_type": None,
        "category": "document",
        "sha256": "0" * 64,
        "etag": "e",
        "key": f"files/{file_id}",
        "is_public": False,
        "width": None,
        "height": None,
        "attributes": {},
        "tags": [],
        "reference": None,
        "profile": "default",
        "created_at": NEVER,
        "updated_at": NEVER,
        "expires_at": None,
        "deleted_at": None,
    }
    return File(file_id, **(facts | said))


def a_webhook(**said: Any) -> Webhook:
    facts: dict[str, Any] = {
        "id": str(uuid7()),
        "tenant": "default",
        "created_by": "alice",
        "owner": "alice",
        "url": "https://example.com/hook",
        "events": [event.value for event in EventType],
        "description": None,
        "enabled": True,
        "disabled_reason": None,
        "secret": "whsec_c2VjcmV0",
        "created_at": NEVER,
        "updated_at": NEVER,
    }
    return Webhook(**(facts | said))


def a_delivery(webhook_id: str, **said: Any) -> Delivery:
    facts: dict[str, Any] = {
        "id": str(uuid7()),
        "event_id": f"evt_{uuid7().hex}",
        "type": EventType.READY.value,
        "payload": "{}",
        "state": DeliveryState.PENDING,
        "attempts": 0,
        "fence": 0,
        "due_at": NEVER,
        "lease_until": None,
        "response_status": None,
        "error": None,
        "created_at": NEVER,
        "updated_at": NEVER,
        "delivered_at": None,
    }
    return Delivery(webhook_id=webhook_id, **(facts | said))
