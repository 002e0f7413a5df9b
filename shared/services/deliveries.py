"""Deliveries: one event to one receiver, at least once, signed as Standard Webhooks says.

The attempt is counted before the call, so that a worker that dies in it shows; the call is made
outside any transaction. Whoever finds its lease gone, or the webhook, stops quietly.

A receiver is called once at a time, so that a slow one holds one worker and not all. What was
turned away meanwhile is not called for again: who made a delivery goes on with what is due.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from http import HTTPStatus
from random import SystemRandom
from typing import Any, Final

from standardwebhooks import Webhook as Signer

from shared.model.main_service import MainService, is_main
from shared.model.webhook import LEASE, MOST_ATTEMPTS, Delivery, DeliveryState, Webhook, pause_after
from shared.ports import Answer, Clock, Notifier
from shared.records import Records, Transaction

log = logging.getLogger(__name__)

TURN: Final = timedelta(seconds=10)
LONGEST_WISH: Final = timedelta(hours=1)
GONE: Final = "receiver_gone"
DISABLED: Final = "webhook_disabled"
EXHAUSTED: Final = "attempts_exhausted"
_CHANCE: Final = SystemRandom()


@dataclass(frozen=True, slots=True)
class DeliveryService:
    """`main` is whom the operator wants told, by `trusting`, which calls any address."""

    records: Records
    notifier: Notifier
    clock: Clock
    main: MainService | None = None
    trusting: Notifier | None = None

    def deliver(self, delivery_id: str, *, is_stopping: Callable[[], bool] = lambda: False) -> None:
        """Make one attempt if the delivery is due and free; repeating it does no harm.

        Goes on with others that are due, until a receiver asks for a pause, the turn is over or the
        process `is_stopping`: the reconciler rings for what is left.
        """
        until = self.clock.monotonic() + TURN.total_seconds()
        wanted: str | None = delivery_id
        while wanted is not None and self._attempt(wanted):
            if is_stopping() or self.clock.monotonic() >= until:
                return
            with self.records.read() as rows:
                wanted = next(iter(rows.webhooks.due(1)), None)

    def _attempt(self, delivery_id: str) -> bool:
        """Say whether it was answered, and not by a wish to wait: more may be due just now."""
        claimed = self._claim(delivery_id)
        if claimed is None:
            return False
        delivery, webhook = claimed
        headers = self._headers(delivery, webhook)
        notifier = (self.trusting if is_main(webhook.id) else None) or self.notifier
        answer = notifier.send(webhook.url, delivery.payload.encode(), headers)
        self._settle(delivery, answer)
        return answer.status is not None and answer.retry_after is None

    def _claim(self, delivery_id: str) -> tuple[Delivery, Webhook] | None:
        with self.records.begin() as rows:
            delivery = rows.webhooks.claim(delivery_id, LEASE)
            webhook = None if delivery is None else self._receiver(rows, delivery)
            if delivery is None or webhook is None:
                return None
            # A claim beyond the schedule follows one that never ended: its worker died in it.
            too_often = delivery.attempts > MOST_ATTEMPTS
            if webhook.enabled and not too_often:
                return delivery, webhook
            rows.webhooks.settle(
                delivery,
                DeliveryState.DEAD,
                pause=None,
                response_status=delivery.response_status,
                error=EXHAUSTED if too_often else DISABLED,
            )
        return None

    def _receiver(self, rows: Transaction, delivery: Delivery) -> Webhook | None:
        webhook = rows.webhooks.find(delivery.webhook_id)
        if webhook is None or not is_main(webhook.id):
            return webhook
        if self.main is None:
            return replace(webhook, enabled=False)
        return replace(webhook, url=self.main.url, secret=self.main.secret or "")

    def _headers(self, delivery: Delivery, webhook: Webhook) -> dict[str, str]:
        # The signer takes whole seconds of UTC whatever zone it is given.
        signed_at = self.clock.now().astimezone(UTC).replace(microsecond=0)
        headers = {
            "content-type": "application/json",
            "webhook-id": delivery.event_id,
            "webhook-timestamp": str(int(signed_at.timestamp())),
        }
        if webhook.secret:
            signer = Signer(webhook.secret)
            signature = signer.sign(delivery.event_id, signed_at, delivery.payload)
            headers["webhook-signature"] = signature
        return headers

    def _settle(self, delivery: Delivery, answer: Answer) -> None:
        error = _error(answer)
        # The main service is the operator's to take away, and not to be lost by one answer.
        is_gone = answer.status == HTTPStatus.GONE and not is_main(delivery.webhook_id)
        pause = None if error is None or is_gone else _pause(delivery.attempts, answer)
        if error is None:
            state = DeliveryState.DELIVERED
        else:
            state = DeliveryState.DEAD if pause is None else DeliveryState.PENDING
        with self.records.begin() as rows:
            is_ours = rows.webhooks.settle(
                delivery, state, pause=pause, response_status=answer.status, error=error
            )
            if is_ours and is_gone:
                rows.webhooks.disable(delivery.webhook_id, GONE)
        facts: dict[str, Any] = {
            "delivery_id": delivery.id,
            "webhook_id": delivery.webhook_id,
            "attempt": delivery.attempts,
            "status": answer.status,
            "error": error,
        }
        if not is_ours:
            log.info("delivery_lost", extra=facts)
        elif error is None:
            log.info("delivery_made", extra=facts)
        elif pause is None:
            log.warning("delivery_put_aside", extra=facts)
        else:
            log.info("delivery_refused", extra=facts)


def _error(answer: Answer) -> str | None:
    """Return why an attempt failed, None when it did not."""
    if answer.status is None:
        return answer.error or "unreachable"
    status = answer.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return "redirect"
    return f"status_{status}"


def _pause(attempts: int, answer: Answer) -> timedelta | None:
    """Return when to try again; a receiver may ask for more than the schedule, up to an hour."""
    scheduled = pause_after(attempts, _CHANCE.uniform(-1, 1))
    if scheduled is None or answer.retry_after is None:
        return scheduled
    return max(scheduled, min(answer.retry_after, LONGEST_WISH))
