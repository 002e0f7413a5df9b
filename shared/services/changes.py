"""Changes of files: what is said of them, and back into sight."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shared.errors import Gone, NotFound, Unprocessable
from shared.model import naming
from shared.model.caller import Caller, Scope
from shared.model.file import File
from shared.model.webhook import EventType
from shared.services.files import FileService
from shared.services.finding import find_file
from shared.services.opening import agree, close
from shared.services.screening import Screening

log = logging.getLogger(__name__)

_LONGEST: Final = timedelta(days=3650)  # as long as uploads may ask for


@dataclass(frozen=True, slots=True)
class ChangeService:
    files: FileService
    screening: Screening

    def change(self, caller: Caller, file_id: str, said: Mapping[str, Any]) -> File:
        """Change what is said of a file, its bytes and its key are not; return it.

        `said` has any of `filename description metadata tags is_public expires_at`. Raises
        `Unprocessable`, and `Unsupported` for a name that an upload could not have had.
        """
        caller.require(Scope.FILES_WRITE)
        is_public = said.get("is_public")
        if is_public is False:
            for outage in close(self.files.objects, [self.files.find(caller, file_id)]).values():
                raise outage
        with self.files.records.begin() as rows:
            file = find_file(rows, caller, file_id)
            changed = rows.files.change(file_id, **self._columns(file, said, rows.now()))
            if changed is None:  # it was deleted meanwhile
                raise NotFound("file")
            jobs = rows.jobs.of_uploads([file_id])
        if is_public is not None:
            # Another change, or another file of this key, may have come between.
            agree(self.files.records, self.files.objects, file.key)
        self.files.announce(jobs, [])
        log.info("file_changed", extra={"file_id": file_id, "fields": sorted(said)})
        return changed

    def restore(self, caller: Caller, file_id: str) -> File:
        """Bring a file back that was deleted softly; one that was not is returned as it is.

        Whoever heard `file.deleted` hears `file.ready` again. Raises `Gone` when its time is over.
        """
        caller.require(Scope.FILES_DELETE)
        with self.files.records.begin() as rows:
            file = find_file(rows, caller, file_id, deleted=True)
            if file.expires_at is not None and file.expires_at <= rows.now():
                raise Gone("This file has expired, and can't be restored.")
            is_back = rows.files.restore(file_id)
            found = rows.files.find(file_id)
            if found is None:  # it was removed meanwhile
                raise NotFound("file")
            owed = self.files.events.of_file(rows, EventType.READY, found) if is_back else []
            jobs = rows.jobs.of_uploads([file_id])
        self.files.announce(jobs, owed)
        if found.is_public:
            agree(self.files.records, self.files.objects, found.key)
        log.info("file_restored", extra={"file_id": file_id})
        return found

    def _columns(self, file: File, said: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        columns = dict(said)
        if "filename" in said:
            columns["filename"] = naming.clean_filename(said["filename"])
            self.screening.refuse_name(file, columns["filename"])
        if "metadata" in said:
            columns["attributes"] = columns.pop("metadata")
        if "tags" in said:
            columns["tags"] = sorted(set(said["tags"]))
        ends_at: datetime | None = said.get("expires_at")
        if ends_at is not None:
            columns["expires_at"] = _in_reach(ends_at, now)
        return columns


def _in_reach(time: datetime, now: datetime) -> datetime:
    aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    if not timedelta() < aware - now <= _LONGEST:
        raise Unprocessable("A file may end from now to ten years on.", pointer="/expires_at")
    return aware
