"""Uploads straight to the store whose size nobody says: as Uppy's S3 plugin sends them.

Invariant: who comes by a grant reaches what was opened by that grant, and nothing else of its owner.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shared.errors import NotFound, QuotaExceeded, TooLarge, Unavailable
from shared.model.direct import SMALLEST_PART, Named, SignedForm, Targets
from shared.model.grant import Holder
from shared.model.job import Job
from shared.model.stored import PartSeen
from shared.model.upload import NewUpload, Transfer, Upload
from shared.records import Records
from shared.services.direct import DirectService
from shared.services.finding import find_upload
from shared.services.targets import TargetService
from shared.services.uploads import UploadService


@dataclass(frozen=True, slots=True)
class Opened:
    """An upload, and under which key of the store it waits."""

    upload: Upload
    key: str


@dataclass(frozen=True, slots=True)
class UnsizedService:
    records: Records
    uploads: UploadService
    targets: TargetService
    direct: DirectService

    def open_form(self, holder: Holder, new: NewUpload) -> SignedForm:
        """Open an upload that comes whole, with a form. Nobody says when it is there: see `Adoption`.

        Raises what `UploadService.open` and `TargetService.sign` raise.
        """
        opened = self._opened(holder, new)
        least = 0 if self.direct.allow_empty else 1
        most = self._largest(opened)
        return self.targets.sign_form(holder.caller, opened.upload.id, least=least, most=most)

    def open_put(self, holder: Holder, new: NewUpload) -> tuple[Opened, Targets]:
        """Open an upload that comes whole, with a PUT; raises as `open_form`."""
        opened = self._opened(holder, new)
        return opened, self.targets.sign_first(holder.caller, opened.upload.id, is_kept=False)

    def open_parts(self, holder: Holder, new: NewUpload) -> Opened:
        """Open an upload that comes in parts of the sender's sizes; raises as `open_form`."""
        opened = self._opened(holder, new)
        try:
            self.targets.begin(holder.caller, opened.upload.id)
        except Unavailable:
            self.targets.give_up(opened.upload.id)
            raise
        return opened

    def find(self, holder: Holder, upload_id: str, key: str | None = None) -> Opened:
        """Return an upload that this holder may send. Raises `NotFound`, also for another key."""
        with self.records.read() as rows:
            upload = find_upload(rows, holder.caller, upload_id)
            direct = rows.direct.find(upload_id)
        is_theirs = direct is not None and holder.grant_id in {None, direct.grant_id}
        if direct is None or not is_theirs or key not in {None, direct.key}:
            raise NotFound("upload")
        return Opened(upload, direct.key)

    def sign_parts(self, holder: Holder, opened: Opened, numbers: Sequence[int]) -> Targets:
        """Sign requests for these parts, numbered from 1; raises as `TargetService.sign`.

        `TooLarge` where the parts before, as small as they may be, are more than a file may have,
        `QuotaExceeded` where there is no room for them.
        """
        most, least = self._largest(opened), (max(numbers) - 1) * SMALLEST_PART
        if least >= most:
            raise TooLarge(f"The file is larger than {most} bytes.", limit=most)
        with self.records.read() as rows:
            room = rows.quotas.room(opened.upload.tenant)
        if room is not None and least >= room:
            raise QuotaExceeded("This tenant's quota is used up.")
        places = [number - 1 for number in numbers]
        return self.targets.sign(holder.caller, opened.upload.id, numbers=places)

    def parts(self, opened: Opened) -> list[PartSeen]:
        """Return the parts that are in the store. Raises `NotReceiving`."""
        return self.direct.parts(opened.upload)

    def complete(self, holder: Holder, opened: Opened, etags: Mapping[int, str]) -> Job:
        """Join these parts, seal the upload and queue its job; a repeat answers the same job."""
        named = Named(etags, self._largest(opened))
        return self.direct.complete_parts(holder.caller, opened.upload, named)

    def _largest(self, opened: Opened) -> int:
        return self.uploads.screening.largest(opened.upload.profile)

    def _opened(self, holder: Holder, new: NewUpload) -> Opened:
        said = replace(new, transfer=Transfer.DIRECT, grant_id=holder.grant_id)
        upload = self.uploads.open(holder.caller, said)
        return Opened(upload, self.uploads.rules.staged_key(upload.id))
