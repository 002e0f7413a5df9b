"""Webhooks: who wants to hear of which events, and the deliveries owed to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

# Pauses between attempts, each to be varied by 20 %; after the last the delivery is put aside.
RETRY_PAUSES: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=8),
    timedelta(hours=8),
)
JITTER: Final = 0.2
LEASE: Final = timedelta(seconds=60)  # of one attempt: four times what a call may take
MOST_ATTEMPTS: Final = len(RETRY_PAUSES) + 1


class EventType(StrEnum):
    READY = "file.ready"
    REJECTED = "file.rejected"
    FAILED = "file.failed"
    DELETED = "file.deleted"
    EXPIRED = "file.expired"


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """What a client says of a webhook it wants."""

    url: str
    events: Sequence[str]
    description: str | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Webhook:
    """One row of `webhooks`. Without an `owner` it hears its whole tenant's files."""

    id: str
    tenant: str
    created_by: str
    owner: str | None
    url: str
    events: Sequence[str]
    description: str | None
    enabled: bool
    disabled_reason: str | None
    secret: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event owed to one webhook: the `id` is the same over all attempts, `payload` too."""

    id: str
    event_id: str
    webhook_id: str
    type: str
    payload: str
    state: DeliveryState
    attempts: int
    fence: int
    due_at: datetime
    lease_until: datetime | None
    response_status: int | None
    error: str | None
    created_at: datetime
    updated_at: datetime
    delivered_at: datetime | None


def pause_after(attempts: int, spread: float) -> timedelta | None:
    """Return the pause after the `attempts`-th try, or None after the last.

    `spread` in [-1, 1] chooses within the ± 20 %.
    """
    if attempts >= MOST_ATTEMPTS:
        return None
    return RETRY_PAUSES[attempts - 1] * (1 + JITTER * spread)
