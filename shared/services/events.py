"""Events: in the transaction that makes them true, the deliveries they owe to webhooks."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uuid_utils.compat import uuid7

from shared.model import main_service
from shared.model.file import File
from shared.model.job import Job
from shared.model.upload import Upload
from shared.model.webhook import Delivery, DeliveryState, EventType, Webhook
from shared.records import Transaction
from shared.services.describing import Describing, when


@dataclass(frozen=True, slots=True)
class Events:
    """`tells` says whether there is a main service to be told."""

    describing: Describing
    tells: bool = False

    def of_file(self, rows: Transaction, event: EventType, file: File) -> list[str]:
        """Owe the event to all who listen; return the ids of the deliveries."""
        listeners = rows.webhooks.listening(file.tenant, file.owner, event)
        owed = _owe(rows, event, listeners, {"file": self.describing.file(file)})
        if event is EventType.READY:
            told = {"status": "ready", **self.describing.stored(file)}
            owed += self._owe_main(rows, event, file, told, main_service.event_of(file.id))
        return owed

    def of_upload(self, rows: Transaction, event: EventType, upload: Upload, job: Job) -> list[str]:
        """Owe an event of an upload that did not become a file."""
        listeners = rows.webhooks.listening(upload.tenant, upload.owner, event)
        owed = _owe(rows, event, listeners, {"file": self.describing.unfinished(upload, job)})
        told = {"status": str(job.state), "error": None if job.error is None else dict(job.error)}
        return owed + self._owe_main(rows, event, upload, told)

    def _owe_main(
        self,
        rows: Transaction,
        event: EventType,
        what: File | Upload,
        told: Mapping[str, Any],
        event_id: str | None = None,
    ) -> list[str]:
        """Owe the event to the main service, if it has numbered this file."""
        number = main_service.number_of(what.reference)
        if not self.tells or what.profile != main_service.PROFILE or number is None:
            return []
        known = {
            "main_service_file_id": number,
            "upload_session_id": what.id,
            "user_id": what.owner,
            "tenant": what.tenant,
            "original_file_name": what.filename,
        }
        anchor = main_service.anchor()
        rows.webhooks.ensure(anchor)
        return _owe(rows, event, [anchor], {**known, **told}, event_id)


def _owe(
    rows: Transaction,
    type_name: str,
    listeners: Sequence[Webhook],
    told: Mapping[str, Any],
    event_id: str | None = None,
) -> list[str]:
    now = rows.now()
    said = {"type": type_name, "timestamp": when(now), "data": told}
    payload = json.dumps(said, separators=(",", ":"))
    event_id = event_id or f"evt_{uuid7().hex}"
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
