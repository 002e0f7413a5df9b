"""Whether the main service has heard of a file yet."""

from dataclasses import dataclass
from typing import Final

from shared.model.main_service import ID, MainService, event_of
from shared.model.webhook import Delivery, DeliveryState
from shared.ports import Clock
from shared.records import Records

_LOOK_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class MainServiceNews:
    """`main` is None where there is nobody to tell."""

    records: Records
    clock: Clock
    main: MainService | None

    def is_accepted(self, upload_id: str, seconds: float) -> bool:
        """Say whether the news of this file was accepted; waits for the first attempt to end."""
        until = self.clock.monotonic() + seconds
        delivery = self._delivery(upload_id)
        while delivery is not None and _is_on_its_way(delivery) and self.clock.monotonic() < until:
            self.clock.wait(_LOOK_SECONDS)
            delivery = self._delivery(upload_id)
        return delivery is not None and delivery.state is DeliveryState.DELIVERED

    def _delivery(self, upload_id: str) -> Delivery | None:
        with self.records.read() as rows:
            return rows.webhooks.of_event(ID, event_of(upload_id))


def _is_on_its_way(delivery: Delivery) -> bool:
    is_tried = delivery.attempts > 0 and delivery.lease_until is None
    return delivery.state is DeliveryState.PENDING and not is_tried
