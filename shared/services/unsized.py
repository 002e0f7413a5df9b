"""Uploads straight to the store whose size nobody says: as Uppy's S3 plugin sends them.

Invariant: who comes by a grant reaches what was opened by that grant, and nothing else of its owner;
what is opened while the grant is ended is ended with it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from shared.errors import AppError, Conflict, Limited, NotFound, QuotaExceeded, TooLarge
from shared.model.caller import Scope
from shared.model.direct import (
    SMALLEST_PART,
    Direct,
    Named,
    PartJoined,
    SignedForm,
    Targets,
    joined,
)
from shared.model.grant import Holder
from shared.model.job import Job
from shared.model.lifecycle import UploadState
from shared.model.stored import PartSeen
from shared.model.upload import NewUpload, Transfer, Upload
from shared.records import Records, Transaction
from shared.services.direct import DirectService
from shared.services.finding import find_upload, not_receiving
from shared.services.grants import held
from shared.services.targets import TargetService
from shared.services.uploads import UploadService

_NEVER_SEALED: Final = frozenset({UploadState.CANCELLED, UploadState.EXPIRED})
_AGAIN_SECONDS: Final = 60  # what comes whole is adopted by then


@dataclass(frozen=True, slots=True)
class Opened:
    """An upload, and how it waits in the store."""

    upload: Upload
    direct: Direct

    @property
    def key(self) -> str:
        return self.direct.key


@dataclass(frozen=True, slots=True)
class UnsizedService:
    """`most_open` is how many an owner may have open by itself, and as many by each of its grants."""

    records: Records
    uploads: UploadService
    targets: TargetService
    direct: DirectService
    most_open: int

    def open_form(self, holder: Holder, new: NewUpload) -> SignedForm:
        """Open an upload that comes whole, with a form. Nobody says when it is there: see `Adoption`.

        Raises what `UploadService.open` and `TargetService.sign` raise, `Limited` for one too many.
        """
        with self._opening(holder, new) as (opened, room):
            least, most = 0 if self.direct.allow_empty else 1, self._largest(opened)
            return self.targets.sign_form(
                holder.caller,
                opened.upload.id,
                least=least,
                most=most if room is None else min(most, room),
                grant_id=holder.grant_id,
            )

    def open_put(self, holder: Holder, new: NewUpload) -> tuple[Opened, Targets]:
        """Open an upload that comes whole, with a PUT, which can't be bounded; raises as `open_form`."""
        with self._opening(holder, new) as (opened, _):
            grant_id = holder.grant_id
            return opened, self.targets.sign(holder.caller, opened.upload.id, grant_id=grant_id)

    def open_parts(self, holder: Holder, new: NewUpload) -> Opened:
        """Open an upload that comes in parts of the sender's sizes; raises as `open_form`."""
        with self._opening(holder, new) as (opened, _):
            return replace(opened, direct=self.targets.begin(holder.caller, opened.upload.id))

    def find(self, holder: Holder, upload_id: str, key: str | None = None) -> Opened:
        """Return an upload that this holder may send. Raises `NotFound`, also for another key."""
        holder.caller.require(Scope.FILES_WRITE)
        with self.records.read() as rows:
            upload = find_upload(rows, holder.caller, upload_id)
            direct = rows.direct.find(upload_id)
        is_theirs = direct is not None and holder.grant_id in {None, direct.grant_id}
        if direct is None or not is_theirs or key not in {None, direct.key}:
            raise NotFound("upload")
        return Opened(upload, direct)

    def sign_parts(self, holder: Holder, opened: Opened, numbers: Sequence[int]) -> Targets:
        """Sign requests for these parts, numbered from 1; raises as `TargetService.sign`.

        `TooLarge` where the parts before, as small as they may be, are more than a file may have,
        `QuotaExceeded` where there is no room for them.
        """
        _refuse_whole(opened)
        most, least = self._largest(opened), (max(numbers) - 1) * SMALLEST_PART
        if least >= most:
            raise TooLarge(f"The file is larger than {most} bytes.", limit=most)
        with self.records.read() as rows:
            room = rows.quotas.room(opened.upload.tenant)
        if room is not None and least >= room:
            raise _no_room()
        return self.targets.sign(
            holder.caller,
            opened.upload.id,
            numbers=[number - 1 for number in dict.fromkeys(numbers)],
            grant_id=holder.grant_id,
        )

    def parts(self, opened: Opened) -> list[PartSeen] | list[PartJoined]:
        """Return the parts that the store has, in order, or that it had before it joined them.

        So that who heard nothing of the end sends none again, and completes once more. Raises
        `NotReceiving`.
        """
        _refuse_whole(opened)
        upload, direct = opened.upload, opened.direct
        if upload.state is not UploadState.RECEIVING:
            if direct.etag is None or upload.state in _NEVER_SEALED:
                raise not_receiving(upload)
            return joined(direct.etag)
        seen = self.direct.parts(upload, direct)
        there = self.direct.objects.find(direct.key) if seen is None else None
        return joined(there.etag) if there is not None else seen or []

    def complete(self, holder: Holder, opened: Opened, etags: Mapping[int, str]) -> Job:
        """Join these parts, seal the upload and queue its job; a repeat answers the same job."""
        _refuse_whole(opened)
        named = Named(etags, self._largest(opened))
        return self.direct.complete_parts(holder.caller, opened.upload, named)

    def _largest(self, opened: Opened) -> int:
        return self.uploads.screening.largest_declared(opened.upload)

    @contextmanager
    def _opening(self, holder: Holder, new: NewUpload) -> Iterator[tuple[Opened, int | None]]:
        """Open an upload, and tell how much room there is; what fails in the block leaves none open."""

        def admit(rows: Transaction) -> None:
            if holder.grant_id is not None:
                held(rows, holder.grant_id)
            owner = (holder.caller.tenant, holder.caller.subject)
            if rows.direct.unsized(*owner, holder.grant_id) >= self.most_open:
                told = f"At most {self.most_open} uploads of no announced size may be open at once."
                raise Limited(told, limit=self.most_open, retry_after=_AGAIN_SECONDS)

        with self.records.read() as rows:
            room = rows.quotas.room(holder.caller.tenant)
        if room is not None and room <= 0:
            raise _no_room()
        said = replace(new, transfer=Transfer.DIRECT, grant_id=holder.grant_id)
        upload = self.uploads.open(holder.caller, said, condition=admit)
        key = self.uploads.rules.staged_key(upload.id)
        try:
            yield Opened(upload, Direct(upload.id, key, grant_id=holder.grant_id)), room
        except AppError:
            self.direct.give_up(upload.id)
            raise


def _refuse_whole(opened: Opened) -> None:
    """Refuse to take in parts what comes whole: its form has bounds, which parts have not."""
    if not opened.direct.in_parts(opened.upload):
        raise Conflict("This upload does not come in parts.")


def _no_room() -> QuotaExceeded:
    return QuotaExceeded("This tenant's quota is used up.")
