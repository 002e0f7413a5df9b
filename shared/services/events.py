"""Events: in the transaction that makes them true, the deliveries they owe to webhooks."""

import json
from dataclasses import dataclass
from typing import Any

from uuid_utils.compat import uuid7

from shared.model.file import File
from shared.model.job import Job
from shared.model.upload import Upload
from shared.model.webhook import Delivery, DeliveryState, EventType, Webhook
from shared.records import Transaction
from shared.services.describing import Describing, when


@dataclass(frozen=True, slots=True)
class Events:
    describing: Describing

    def of_file(self, rows: Transaction, event: EventType, file: File) -> list[str]:
        """Owe the event to all who listen; return the ids of the deliveries."""
        listeners = rows.webhooks.listening(file.tenant, file.owner, event)
        return _owe(rows, event, listeners, self.describing.file(file))

    def of_upload(self, rows: Transaction, event: EventType, upload: Upload, job: Job) -> list[str]:
        """Owe an event of an upload that did not become a file."""
        listeners = rows.webhooks.listening(upload.tenant, upload.owner, event)
        return _owe(rows, event, listeners, self.describing.unfinished(upload, job))


def _owe(
    rows: Transaction, type_name: str, listeners: list[Webhook], file: dict[str, Any]
) -> list[str]:
    now = rows.now()
    said = {"type": type_name, "timestamp": when(now), "data": {"file": file}}
    payload = json.dumps(said, separators=(",", ":"))
    event_id = f"evt_{uuid7().hex}"
    owed = [
        Delivery(
            id=str(uuid7()),
            event_id=event_id,
            webhook_id=webhook.id,
            type=type_name,
            payload=payload,
            state=DeliveryState.PENDING,
            attempts=0,
            fence=0,
            due_at=now,
            lease_until=None,
            response_status=None,
            error=None,
            created_at=now,
            updated_at=now,
            delivered_at=None,
        )
        for webhook in listeners
    ]
    rows.webhooks.owe(owed)
    return [delivery.id for delivery in owed]
