"""Objects in a folder that is known to be ours: what is missing elsewhere is an outage, and not gone.

A disk that is not mounted shows an empty folder; who believes it would forget the rows of what lies there.
"""

from pathlib import Path

from shared.adapters.objects_disk import DiskObjects
from shared.adapters.staging_mark import StagingMark
from shared.errors import Unavailable
from shared.model.stored import StoredObject


class MarkedDiskObjects(DiskObjects):
    """`mark` is that of the folder around them, which is staging's."""

    def __init__(
        self,
        root: Path,
        *,
        base_url: str,
        secret: str,
        mark: StagingMark,
        folder: Path | None = None,
    ) -> None:
        super().__init__(root, base_url=base_url, secret=secret, folder=folder)
        self._mark = mark

    def find(self, key: str) -> StoredObject | None:
        found = super().find(key)
        if found is None:
            self._refuse_foreign()
        return found

    def check(self) -> None:
        super().check()
        self._refuse_foreign()

    def _refuse_foreign(self) -> None:
        try:
            self._mark.check()
        except Unavailable as outage:
            if outage.code != "staging_unavailable":
                raise
            told = "The folder of objects is not this service's; see the log."
            raise Unavailable("objects", told) from outage
