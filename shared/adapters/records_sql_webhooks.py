"""Rows of webhooks and of the deliveries owed to them (the outbox of events)."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from shared.adapters.sql_rows import insert_unless_there, value
from shared.adapters.sql_time import db_now, has_come, has_lapsed
from shared.adapters.tables import deliveries, webhooks
from shared.model.webhook import LEASE, RETRY_PAUSES, Delivery, DeliveryState, Webhook

_LONGEST_PAUSE: Final = max(RETRY_PAUSES)


class SqlWebhookRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, webhook: Webhook) -> Webhook:
        columns = asdict(webhook) | {"created_at": db_now(), "updated_at": db_now()}
        made = self._connection.execute(insert(webhooks).values(columns).returning(webhooks))
        return value(made.mappings().one(), Webhook)

    def ensure(self, webhook: Webhook) -> None:
        row = asdict(webhook) | {"created_at": db_now(), "updated_at": db_now()}
        insert_unless_there(self._connection, webhooks, [row])

    def find(self, webhook_id: str) -> Webhook | None:
        found = self._connection.execute(select(webhooks).where(webhooks.c.id == webhook_id))
        row = found.mappings().first()
        return None if row is None else value(row, Webhook)

    def page(
        self, tenant: str, created_by: str | None, limit: int, after: str | None
    ) -> list[Webhook]:
        statement = select(webhooks).where(webhooks.c.tenant == tenant)
        if created_by is not None:
            statement = statement.where(webhooks.c.created_by == created_by)
        if after is not None:
            statement = statement.where(webhooks.c.id < after)
        found = self._connection.execute(statement.order_by(webhooks.c.id.desc()).limit(limit))
        return [value(row, Webhook) for row in found.mappings()]

    def count(self, tenant: str) -> int:
        statement = select(func.count()).where(webhooks.c.tenant == tenant)
        return self._connection.execute(statement).scalar_one()

    def drop(self, webhook_id: str) -> bool:
        statement = delete(webhooks).where(webhooks.c.id == webhook_id)
        return self._connection.execute(statement).rowcount == 1

    def disable(self, webhook_id: str, reason: str) -> None:
        statement = update(webhooks).where(webhooks.c.id == webhook_id)
        self._connection.execute(
            statement.values(enabled=False, disabled_reason=reason, updated_at=db_now())
        )
        owed = and_(
            deliveries.c.webhook_id == webhook_id, deliveries.c.state == DeliveryState.PENDING
        )
        ended = {"state": DeliveryState.DEAD, "error": "webhook_disabled", "updated_at": db_now()}
        self._connection.execute(update(deliveries).where(owed).values(ended))

    def listening(self, tenant: str, owner: str, event: str) -> list[Webhook]:
        hears = or_(webhooks.c.owner.is_(None), webhooks.c.owner == owner)
        statement = select(webhooks).where(
            webhooks.c.tenant == tenant, webhooks.c.enabled.is_(True), hears
        )
        found = (value(row, Webhook) for row in self._connection.execute(statement).mappings())
        return [webhook for webhook in found if event in webhook.events]

    def owe(self, owed: Iterable[Delivery]) -> None:
        now = {"due_at": db_now(), "created_at": db_now(), "updated_at": db_now()}
        rows = [asdict(delivery) | now for delivery in owed]
        if rows:
            insert_unless_there(self._connection, deliveries, rows)

    def of_event(self, webhook_id: str, event_id: str) -> Delivery | None:
        this = and_(deliveries.c.webhook_id == webhook_id, deliveries.c.event_id == event_id)
        row = self._connection.execute(select(deliveries).where(this)).mappings().first()
        return None if row is None else _delivery(row)

    def claim(self, delivery_id: str, lease: timedelta) -> Delivery | None:
        statement = (
            update(deliveries)
            .where(deliveries.c.id == delivery_id, _due())
            .values(
                attempts=deliveries.c.attempts + 1,
                fence=deliveries.c.fence + 1,
                lease_until=db_now(lease),
                updated_at=db_now(),
            )
            .returning(deliveries)
        )
        row = self._connection.execute(statement).mappings().first()
        return None if row is None else _delivery(row)

    def settle(
        self,
        delivery: Delivery,
        state: DeliveryState,
        *,
        pause: timedelta | None,
        response_status: int | None,
        error: str | None,
    ) -> bool:
        mine = and_(deliveries.c.id == delivery.id, deliveries.c.fence == delivery.fence)
        statement = (
            update(deliveries)
            .where(mine)
            .values(
                state=state,
                lease_until=None,
                due_at=db_now(pause or timedelta()),
                response_status=response_status,
                error=error,
                updated_at=db_now(),
                delivered_at=db_now() if state is DeliveryState.DELIVERED else None,
            )
        )
        return self._connection.execute(statement).rowcount == 1

    def due(self, limit: int) -> list[str]:
        # Ids break ties: they grow with time, so a receiver hears things in their order.
        statement = select(deliveries.c.id).where(_due())
        statement = statement.order_by(deliveries.c.due_at, deliveries.c.id).limit(limit)
        return list(self._connection.execute(statement).scalars())

    def settled(self, older_than: timedelta, limit: int) -> list[str]:
        old = and_(
            deliveries.c.state != DeliveryState.PENDING,
            deliveries.c.updated_at <= db_now(-older_than),
        )
        statement = (
            select(deliveries.c.id).where(old).order_by(deliveries.c.updated_at).limit(limit)
        )
        return list(self._connection.execute(statement).scalars())

    def forget(self, delivery_ids: Sequence[str]) -> None:
        statement = delete(deliveries).where(deliveries.c.id.in_(delivery_ids))
        self._connection.execute(statement)


def _due() -> ColumnElement[bool]:
    """Due and free, and its webhook has no other in flight: a slow receiver holds one worker.

    PostgreSQL looks at the row again when two claim it at once, but not at the others: two
    deliveries of one webhook may then be in flight, which does no harm.
    """
    other = deliveries.alias("other")
    in_flight = select(other.c.webhook_id).where(
        other.c.state == DeliveryState.PENDING,
        has_come(other.c.due_at, _LONGEST_PAUSE),
        ~has_lapsed(other.c.lease_until, LEASE),
    )
    return and_(
        deliveries.c.state == DeliveryState.PENDING,
        has_come(deliveries.c.due_at, _LONGEST_PAUSE),
        or_(deliveries.c.lease_until.is_(None), has_lapsed(deliveries.c.lease_until, LEASE)),
        deliveries.c.webhook_id.not_in(in_flight),
    )


def _delivery(row: RowMapping) -> Delivery:
    return value(row, Delivery, state=DeliveryState(row["state"]))
