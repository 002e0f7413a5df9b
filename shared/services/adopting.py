"""Uploads that lie in the object store and whose clients never said so: found and sealed.

What lies there of uploads that have ended goes: a link can't be taken back, and what it writes counts
for no quota.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Final

from uuid_utils.compat import uuid7

from shared.errors import Unavailable
from shared.model.direct import LONGEST_PUT
from shared.model.naming import staged_directly
from shared.model.stored import StoredObject
from shared.model.upload import Upload
from shared.ports import Clock
from shared.ports_direct import DirectStore
from shared.records import Records
from shared.services.direct import DirectService
from shared.services.weighing import Weighing

log = logging.getLogger(__name__)

_LEASE_NAME: Final = "adoption"
_LEASE: Final = timedelta(minutes=3)  # a round, and a request that hangs at the end of its halves
_PAGE: Final = 500


@dataclass(slots=True)
class _Round:
    """One round: behind which key it goes on ("" is the beginning), and what it has done so far."""

    after: str
    weighed: str = ""  # the upload in parts behind which it goes on
    seen: int = 0
    adopted: int = 0
    cleared: int = 0


@dataclass(frozen=True, slots=True)
class Adoption:
    """Looks where clients send to, in which nothing else lies than what is open, in work or just ended.

    That is below `prefix`, the one of staging.
    `patience` is what a client has to say by itself that it is done, and of which digest. A round
    ends after `budget`, or when it has seen `most` objects. One process at a time does it. Parts are no
    objects yet: those are `weighing`'s.
    """

    records: Records
    direct: DirectService
    weighing: Weighing
    clock: Clock
    prefix: str
    patience: timedelta
    budget: timedelta = timedelta(seconds=30)
    most: int = 20_000
    holder: str = field(default_factory=lambda: str(uuid7()))

    def round(self) -> int:
        """Seal what has been there for a while; return how many uploads that were."""
        with self.records.read() as rows:
            store = self.direct.direct_store if rows.direct.is_awaited(LONGEST_PUT) else None
        if store is None:
            return 0
        with self.records.begin() as rows:
            if not rows.leases.take(_LEASE_NAME, self.holder, _LEASE):
                return 0
            last = (rows.leases.find(_LEASE_NAME) or {}).get("result") or {}
        done = _Round(last.get("after", ""), last.get("weighed", ""))
        try:
            self._go_through(store, done)
            done.weighed = self.weighing.round(done.weighed)
        finally:
            with self.records.begin() as rows:
                result = {"after": done.after, "weighed": done.weighed}
                rows.leases.leave(_LEASE_NAME, self.holder, result)
        if done.adopted or done.cleared:
            facts = {"uploads": done.adopted, "cleared": done.cleared}
            log.info("uploads_adopted", extra=facts)
        return done.adopted

    def _go_through(self, store: DirectStore, done: _Round) -> None:
        until = self.clock.monotonic() + self.budget.total_seconds()
        found = store.waiting(staged_directly(self.prefix), after=done.after)
        while page := list(islice(found, _PAGE)):
            done.seen += len(page)
            done.cleared += self._clear(page)
            for seen, upload in self._ripe(page):
                # Before it is tried: no round begins again with what fails each time.
                done.after = seen.key
                done.adopted += self._adopt(upload)
                if self.clock.monotonic() > until:
                    return
            done.after = page[-1].key
            if done.seen >= self.most or self.clock.monotonic() > until:
                return
        done.after = ""

    def _clear(self, page: Sequence[StoredObject]) -> int:
        """Delete what nobody works on any more, nor ever will: no later upload has such a key."""
        with self.records.read() as rows:
            over = rows.direct.over([each.key for each in page])
        try:
            self.direct.objects.delete(over)
        except Unavailable as outage:
            log.warning("staged_not_cleared", extra={"code": outage.code})
            return 0
        return len(over)

    def _ripe(self, page: Sequence[StoredObject]) -> Iterator[tuple[StoredObject, Upload]]:
        """Yield what can be sealed as far as the list tells, so that nothing is asked for the rest."""
        latest = self.clock.now() - self.patience
        old = {each.key: each for each in page if each.modified_at <= latest}
        with self.records.read() as rows:
            receiving = rows.direct.receiving(list(old))
        by_upload = {key.rpartition("/")[2]: each for key, each in old.items()}
        for upload in sorted(receiving, key=lambda each: each.id):
            seen = by_upload[upload.id]
            if upload.size in {None, seen.size} and (seen.size or self.direct.allow_empty):
                yield seen, upload

    def _adopt(self, upload: Upload) -> bool:
        try:
            return self.direct.adopt(upload) is not None
        except Unavailable as outage:  # maybe of this object alone
            facts = {"upload_id": upload.id, "code": outage.code}
            log.warning("upload_not_adopted", extra=facts)
        except Exception:
            log.exception("upload_not_adopted", extra={"upload_id": upload.id})
        return False
