"""Whose staging lies in a bucket: an object in it says an id, and the database says the same.

A process with another bucket or prefix in its settings, or with staging on a disk, would take what it
does not find for damage. A bucket is not unmounted: whoever writes asks once, whoever misses something
asks again.
"""

import logging
import threading
from datetime import timedelta
from typing import Final

from shared.adapters.clock_system import SystemClock
from shared.adapters.objects_s3 import S3Objects
from shared.adapters.staging_mark import NAME, Settle
from shared.errors import AppError, KeyTaken, NotFound, Unavailable
from shared.model.stored import StoredObject

log = logging.getLogger(__name__)

_LONGEST: Final = 200  # bytes of it that are read
_OLD: Final = timedelta(hours=6)  # no rule is of less than a day


class S3StagingMark:
    """The mark below `root`. `settle` is asked until it has answered once: an id never changes."""

    def __init__(self, objects: S3Objects, root: str, settle: Settle) -> None:
        self._objects = objects
        self._key = root + NAME
        self._settle = settle
        self._lock = threading.Lock()
        self._expected: str | None = None
        self._is_good = False
        self._is_told = False

    def check(self, *, look: bool) -> None:
        """Raise `Unavailable` unless staging is ours; without `look` what was seen last will do."""
        if self._is_good and not look:
            return
        found = self._read()
        with self._lock:
            if self._expected is None:
                self._expected = self._settle(found, self._write)
                found = self._read()
            self._is_good = found == self._expected
            if not self._is_good:
                self._tell(found)
                raise Unavailable("staging", "Staging is not this service's; see the log.")
            if self._is_told:
                self._is_told = False
                log.info("staging_is_back", extra={"key": self._key})

    def renew(self, seen: StoredObject) -> None:
        """Write the mark again if it is `seen` to be old: rules of a bucket remove what nobody touches."""
        if seen.key != self._key or SystemClock().now() - seen.modified_at < _OLD:
            return
        try:
            self._write(self._expected or "", over=seen.etag)
        except AppError as error:  # the next listing does it
            log.warning("staging_mark_not_renewed", extra={"code": error.code})

    def _tell(self, found: str | None) -> None:
        if not self._is_told:
            self._is_told = True
            facts = {"key": self._key, "expected": self._expected, "found": found}
            log.error("staging_not_ours", extra=facts)

    def _read(self) -> str | None:
        try:
            said = b"".join(self._objects.read(self._key, 0, _LONGEST))
        except NotFound:
            return None
        return said.decode(errors="replace").strip() or None

    def _write(self, ident: str, *, over: str | None = None) -> None:
        try:
            body = f"{ident}\n".encode()
            self._objects.put(
                self._key, body, content_type="text/plain", upload_id="staging", over=over
            )
        except KeyTaken as error:  # by whoever shares the bucket: the next look finds it
            raise Unavailable("staging", "Staging was marked just now.") from error
