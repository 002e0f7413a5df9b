"""What clients are handed who send their bytes straight to the object store: signed requests."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.errors import ChunkMisplaced, Conflict, OutcomeUnknown, Unavailable
from shared.model import coverage
from shared.model.caller import Caller, Scope
from shared.model.direct import Direct, SignedForm, Target, Targets, is_parted, missing
from shared.model.lifecycle import UploadState
from shared.model.upload import Upload
from shared.ports import Clock
from shared.records import Records
from shared.services.direct import DirectService
from shared.services.finding import find_upload, not_receiving
from shared.services.grants import held

MOST_TARGETS: Final = 100
_SHORTEST: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class TargetService:
    """`links` is how long targets work when nothing else is said."""

    records: Records
    direct: DirectService
    clock: Clock
    links: timedelta

    def sign(
        self,
        caller: Caller,
        upload_id: str,
        *,
        numbers: Sequence[int] | None = None,
        lifetime: timedelta | None = None,
        grant_id: str | None = None,
    ) -> Targets:
        """Sign requests for these parts, or for the first hundred that are missing.

        They work no longer than the upload is open, and the grant in force that they are asked by.
        Raises `NotReceiving`, `NotFound` for a grant that is over, `Conflict` when the upload does
        not go this way, `ChunkMisplaced` beyond its end.
        """
        upload, direct = self._receiving(caller, upload_id)
        if is_parted(upload) and direct.multipart_id is None:
            direct = self._begun(upload, direct)
        if numbers is None:
            wanted: Sequence[int] = self._missing(upload, direct)
        else:
            wanted = _known(upload, direct, numbers)
        now = self.clock.now()
        lifetime = self._noted(upload, lifetime, grant_id)
        signed = [self._signed(upload, direct, number, lifetime) for number in wanted]
        return Targets(signed, now + lifetime)

    def sign_form(
        self,
        caller: Caller,
        upload_id: str,
        *,
        least: int,
        most: int,
        grant_id: str | None = None,
    ) -> SignedForm:
        """Sign a form for the whole file, of `least` to `most` bytes; raises as `sign`."""
        upload, direct = self._receiving(caller, upload_id)
        now, kind = self.clock.now(), upload.declared_type
        lifetime = self._noted(upload, None, grant_id)
        form = self.direct.store.sign_form(
            direct.key, lifetime, least=least, most=most, content_type=kind
        )
        return SignedForm(form, now + lifetime)

    def begin(self, caller: Caller, upload_id: str) -> Direct:
        """Let the upload come in parts of any size; raises `NotReceiving`."""
        return self._begun(*self._receiving(caller, upload_id))

    def sign_first(
        self, caller: Caller, upload_id: str, *, is_kept: bool, lifetime: timedelta | None = None
    ) -> Targets:
        """Sign for an upload that was opened just now; where that fails it is given up again.

        Otherwise it would hold its room, and nobody know its id. It is kept for who can open it
        again, by an idempotency key.
        """
        try:
            return self.sign(caller, upload_id, lifetime=lifetime)
        except Unavailable:
            if not is_kept:
                self.direct.give_up(upload_id)
            raise

    def _receiving(self, caller: Caller, upload_id: str) -> tuple[Upload, Direct]:
        caller.require(Scope.FILES_WRITE)
        with self.records.read() as rows:
            upload, direct = find_upload(rows, caller, upload_id), rows.direct.find(upload_id)
        if direct is None:
            raise Conflict("This upload does not go straight to the object store.")
        if upload.state is not UploadState.RECEIVING:
            raise not_receiving(upload)
        return upload, direct

    def _noted(self, upload: Upload, lifetime: timedelta | None, grant_id: str | None) -> timedelta:
        """Return how long targets are to work; they may be handed out when this is committed."""
        with self.records.begin() as rows:
            left = upload.expires_at - self.clock.now()
            if grant_id is not None:
                left = min(left, held(rows, grant_id) - rows.now())
            lifetime = max(_SHORTEST, min(lifetime or self.links, left))
            if not rows.uploads.hold(upload.id, UploadState.RECEIVING):
                raise not_receiving(rows.uploads.find(upload.id) or upload)
            # Before they are out: nothing may be written later than the row knows.
            rows.direct.signed(upload.id, lifetime)
        return lifetime

    def _missing(self, upload: Upload, direct: Direct) -> list[int]:
        if not is_parted(upload):
            return [0]  # which may be sent again
        return missing(upload, self.direct.here(upload, direct))[:MOST_TARGETS]

    def _begun(self, upload: Upload, direct: Direct) -> Direct:
        """Begin the multipart upload, once."""
        store = self.direct.store
        multipart_id = store.begin_parts(direct.key, content_type=upload.declared_type)
        try:
            with self.records.begin() as rows:
                is_open = rows.uploads.hold(upload.id, UploadState.RECEIVING)
                is_ours = is_open and rows.direct.begun(upload.id, multipart_id)
                now, known = rows.uploads.find(upload.id), rows.direct.find(upload.id)
        except OutcomeUnknown:
            raise  # it may be the upload's: else a sweep aborts it
        except Unavailable:
            with suppress(Unavailable):
                self.direct.objects.abort_multipart(direct.key, multipart_id)
            raise
        if not is_ours:
            self.direct.objects.abort_multipart(direct.key, multipart_id)
        if not is_open or known is None:
            raise not_receiving(now or upload)
        return known

    def _signed(self, upload: Upload, direct: Direct, number: int, lifetime: timedelta) -> Target:
        store, layout = self.direct.store, coverage.layout_of(upload)
        if direct.multipart_id is not None:
            size = None if layout is None else layout.length(number)
            offset = 0 if layout is None else number * layout.chunk_size  # else its sender knows
            url = store.sign_part(direct.key, direct.multipart_id, number + 1, lifetime, size=size)
            return Target(number, url, offset, size)
        kind = upload.declared_type
        url = store.sign_put(direct.key, lifetime, size=upload.size, content_type=kind)
        return Target(0, url, 0, upload.size, {} if kind is None else {"Content-Type": kind})


def _known(upload: Upload, direct: Direct, numbers: Sequence[int]) -> Sequence[int]:
    layout = coverage.layout_of(upload)
    for number in numbers:
        if layout is not None and is_parted(upload):
            layout.length(number)
        elif number and direct.multipart_id is None:
            raise ChunkMisplaced("This upload is one request.", total_chunks=1)
    return numbers
