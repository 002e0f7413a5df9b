"""Uploads in parts whose sizes nobody said: those that have become too large are ended.

A signed part may have any size, and nobody counts it before the parts are joined: so what lies in the
store is summed up now and then, and what is more than its upload may be goes at once.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.errors import AppError
from shared.model.direct import Direct
from shared.model.upload import Upload
from shared.ports import Clock
from shared.records import Records
from shared.services.direct import DirectService
from shared.services.screening import Screening

log = logging.getLogger(__name__)

_PAGE: Final = 100
# Some stores keep what was sent under one number before: whoever sends all again is let be.
_KEPT_TWICE: Final = 2


@dataclass(frozen=True, slots=True)
class Weighing:
    """A round ends after `budget`; the next one goes on there."""

    records: Records
    direct: DirectService
    screening: Screening
    clock: Clock
    budget: timedelta = timedelta(seconds=10)

    def round(self, after: str) -> str:
        """Go on behind this upload; return behind which the next round does, "" at the end."""
        until = self.clock.monotonic() + self.budget.total_seconds()
        while True:
            with self.records.read() as rows:
                page = rows.direct.growing(after, _PAGE)
            for upload, direct in page:
                after = upload.id  # before it is tried: nobody waits for what fails each time
                self._weigh(upload, direct)
                if self.clock.monotonic() > until:
                    return after
            if len(page) < _PAGE:
                return ""

    def _weigh(self, upload: Upload, direct: Direct) -> None:
        try:
            size, most = self._size(upload, direct), self._most(upload)
            if size > most and self.direct.give_up(upload.id):
                facts = {"upload_id": upload.id, "size": size, "limit": most}
                log.warning("upload_too_large", extra=facts)
                if direct.multipart_id is not None:
                    self.direct.objects.abort_multipart(direct.key, direct.multipart_id)
        except AppError as error:  # maybe of this one alone; the sweep clears what has ended
            log.warning("upload_not_weighed", extra={"upload_id": upload.id, "code": error.code})

    def _size(self, upload: Upload, direct: Direct) -> int:
        """Return the bytes that its parts have at least, once they are joined."""
        seen = self.direct.parts(upload, direct) or []
        largest: dict[int, int] = {}
        for part in seen:
            largest[part.number] = max(part.length, largest.get(part.number, 0))
        kept = sum(part.length for part in seen)
        return max(sum(largest.values()), kept // _KEPT_TWICE)

    def _most(self, upload: Upload) -> int:
        most = self.screening.largest_declared(upload)
        with self.records.read() as rows:
            room = rows.quotas.room(upload.tenant)
        return most if room is None else min(most, room)
