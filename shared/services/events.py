"""Events: in the transaction that makes them true, the deliveries they owe to webhooks."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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
        owed = self.of_files(rows, event, [file])
        if event is EventType.READY:
            told = {"status": "ready", **self.describing.stored(file)}
            owed += self._owe_main(rows, event, file, told, main_service.event_of(file.id))
        return owed

    def of_files(self, rows: Transaction, event: EventType, files: Sequence[File]) -> list[str]:
        """Owe an event of each file; who listens is asked for once for each owner."""
        now = rows.now()
        listeners = {
            owner: rows.webhooks.listening(*owner, event)
            for owner in {(file.tenant, file.owner) for file in files}
        }
        return _owe(
            rows,
            [
                delivery
                for file in files
                for delivery in _deliveries(
                    now,
                    event,
                    listeners[file.tenant, file.owner],
                    {"file": self.describing.file(file)},
                )
            ],
        )

    def of_upload(self, rows: Transaction, event: EventType, upload: Upload, job: Job) -> list[str]:
        """Owe the event of an upload that became no file."""
        listeners = rows.webhooks.listening(upload.tenant, upload.owner, event)
        said = {"file": self.describing.unfinished(upload, job)}
        owed = _owe(rows, _deliveries(rows.now(), event, listeners, said))
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
        return _owe(rows, _deliveries(rows.now(), event, [anchor], {**known, **told}, event_id))


def _owe(rows: Transaction, deliveries: Sequence[Delivery]) -> list[str]:
    rows.webhooks.owe(deliveries)
    return [delivery.id for delivery in deliveries]


def _deliveries(
    now: datetime,
    type_name: str,
    listeners: Sequence[Webhook],
    told: Mapping[str, Any],
    event_id: str | None = None,
) -> list[Delivery]:
    """Return what one event owes: the same payload and event id to each who listens."""
    said = {"type": type_name, "timestamp": when(now), "data": told}
    payload = json.dumps(said, separators=(",", ":"))
    event_id = event_id or f"evt_{uuid7().hex}"
    return [
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
