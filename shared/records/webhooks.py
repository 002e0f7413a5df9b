"""Rows of webhooks, and of the deliveries owed to them."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Protocol

from shared.model.webhook import Delivery, DeliveryState, Webhook


class WebhookRows(Protocol):
    def add(self, webhook: Webhook) -> Webhook: ...

    def ensure(self, webhook: Webhook) -> None:
        """Insert it unless it is there."""
        ...

    def find(self, webhook_id: str) -> Webhook | None: ...

    def page(
        self, tenant: str, created_by: str | None, limit: int, after: str | None
    ) -> list[Webhook]: ...

    def count(self, tenant: str) -> int: ...

    def drop(self, webhook_id: str) -> bool: ...

    def disable(self, webhook_id: str, reason: str) -> None:
        """Send it nothing more; what is owed to it ends, dead."""
        ...

    def listening(self, tenant: str, owner: str, event: str) -> list[Webhook]: ...

    def owe(self, deliveries: Iterable[Delivery]) -> None: ...

    def of_event(self, webhook_id: str, event_id: str) -> Delivery | None: ...

    def claim(self, delivery_id: str, lease: timedelta) -> Delivery | None:
        """Take a due delivery: counts the attempt before it is made."""
        ...

    def settle(
        self,
        delivery: Delivery,
        state: DeliveryState,
        *,
        pause: timedelta | None,
        response_status: int | None,
        error: str | None,
    ) -> bool: ...

    def due(self, limit: int) -> list[str]: ...

    def settled(self, older_than: timedelta, limit: int) -> list[str]:
        """Return delivered and dead deliveries of that age."""
        ...

    def forget(self, delivery_ids: Sequence[str]) -> None: ...
