"""Uploads that lie in the object store and whose clients never said so: found and sealed."""

import logging
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Final

from shared.ports import Clock
from shared.ports_direct import DirectStore
from shared.records import Records
from shared.services.direct import DirectService

log = logging.getLogger(__name__)

_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Adoption:
    """Looks below `prefix`, where what is open, in work or just ended lies and nothing else.

    `patience` is what a client has to say by itself that it is done, and of which digest.
    """

    records: Records
    direct: DirectService
    clock: Clock
    prefix: str
    patience: timedelta

    def round(self) -> int:
        """Seal what has been there for a while; return how many uploads that were."""
        with self.records.read() as rows:
            store = self.direct.direct_store if rows.direct.is_awaited() else None
        return 0 if store is None else self._adopt(store)

    def _adopt(self, store: DirectStore) -> int:
        latest = self.clock.now() - self.patience
        keys = (each.key for each in store.waiting(self.prefix) if each.modified_at <= latest)
        adopted = 0
        while batch := list(islice(keys, _BATCH)):
            with self.records.read() as rows:
                receiving = rows.direct.receiving(batch)
            adopted += sum(self.direct.adopt(upload) is not None for upload in receiving)
        if adopted:
            log.info("uploads_adopted", extra={"uploads": adopted})
        return adopted
