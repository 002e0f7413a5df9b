"""Webhooks: registered, listed, removed. What they are told is in `events` and `deliveries`."""

import base64
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from uuid_utils.compat import uuid7

from shared.errors import Conflict, NotFound, OutcomeUnknown, Unprocessable
from shared.model.caller import Caller, Scope
from shared.model.webhook import EventType, NewWebhook, Webhook
from shared.ports import Notifier
from shared.records import Records, Transaction
from shared.services.finding import is_id, looked_up

log = logging.getLogger(__name__)

MOST_WEBHOOKS: Final = 20  # of a tenant: each file is told to all of them
_SECRET_BYTES: Final = 32
_NOT_YET: Final = datetime.min.replace(tzinfo=UTC)  # the database sets the times


@dataclass(frozen=True, slots=True)
class WebhookPage:
    """`after` is the id of the last webhook when there are more."""

    webhooks: list[Webhook]
    after: str | None


@dataclass(frozen=True, slots=True)
class WebhookService:
    records: Records
    notifier: Notifier

    def create(self, caller: Caller, new: NewWebhook) -> Webhook:
        """Register a webhook for the caller's files, by an admin for the whole tenant's.

        Raises `Unprocessable` for its events or URL, `Conflict` when the tenant has too many.
        """
        caller.require(Scope.WEBHOOKS)
        _refuse_odd_events(new.events)
        refusal = self.notifier.refuse(new.url)
        if refusal is not None:
            raise Unprocessable(refusal, pointer="/url")
        webhook = Webhook(
            id=str(uuid7()),
            tenant=caller.tenant,
            created_by=caller.subject,
            owner=None if caller.is_admin else caller.subject,
            url=new.url,
            events=list(dict.fromkeys(new.events)),
            description=new.description,
            enabled=new.enabled,
            disabled_reason=None,
            secret=f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}",
            created_at=_NOT_YET,
            updated_at=_NOT_YET,
        )
        try:
            with self.records.begin() as rows:
                if rows.webhooks.count(caller.tenant) >= MOST_WEBHOOKS:
                    most = f"A tenant has at most {MOST_WEBHOOKS} webhooks; remove one first."
                    raise Conflict(most, limit=MOST_WEBHOOKS)
                made = rows.webhooks.add(webhook)
        except OutcomeUnknown as lost:
            # Else its client makes another, and both are told of everything.
            made = looked_up(self.records, lost, lambda rows: rows.webhooks.find(webhook.id))
        log.info("webhook_created", extra={"webhook_id": made.id, "by_admin": caller.is_admin})
        return made

    def find(self, caller: Caller, webhook_id: str) -> Webhook:
        caller.require(Scope.WEBHOOKS)
        with self.records.read() as rows:
            return _find(rows, caller, webhook_id)

    def page(self, caller: Caller, limit: int, after: str | None = None) -> WebhookPage:
        """Return the caller's webhooks, newest first; an admin sees the whole tenant's."""
        caller.require(Scope.WEBHOOKS)
        made_by = None if caller.is_admin else caller.subject
        with self.records.read() as rows:
            found = rows.webhooks.page(caller.tenant, made_by, limit + 1, after)
        webhooks = found[:limit]
        return WebhookPage(webhooks, webhooks[-1].id if len(found) > limit else None)

    def delete(self, caller: Caller, webhook_id: str) -> None:
        """Remove a webhook and all that it is still owed."""
        caller.require(Scope.WEBHOOKS)
        with self.records.begin() as rows:
            rows.webhooks.drop(_find(rows, caller, webhook_id).id)
        log.info("webhook_deleted", extra={"webhook_id": webhook_id})


def _find(rows: Transaction, caller: Caller, webhook_id: str) -> Webhook:
    webhook = rows.webhooks.find(webhook_id) if is_id(webhook_id) else None
    if webhook is None or not caller.sees(tenant=webhook.tenant, owner=webhook.created_by):
        raise NotFound("webhook")
    return webhook


def _refuse_odd_events(events: Sequence[str]) -> None:
    if not events:
        raise Unprocessable("Name at least one event.", pointer="/events")
    known = {event.value for event in EventType}
    for number, event in enumerate(events):
        if event not in known:
            names = ", ".join(EventType)
            raise Unprocessable(f"The events are {names}.", pointer=f"/events/{number}")
