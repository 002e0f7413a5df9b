"""Copies of files, made inside the store.

Invariant: intents stand before the objects, and the file's row comes last, with its room. Whoever dies
between leaves objects whose intents the sweep knows: they carry the copy's id as others an upload's.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from uuid_utils.compat import uuid7

from shared.errors import (
    AppError,
    Conflict,
    KeyTaken,
    NotFound,
    OutcomeUnknown,
    QuotaExceeded,
    Unavailable,
)
from shared.model import naming
from shared.model.caller import Caller, Scope
from shared.model.file import File, Thumbnail
from shared.model.webhook import EventType
from shared.records import Transaction
from shared.services.drafting import UploadRules, claimed_key, named
from shared.services.files import FileService, lost
from shared.services.finding import looked_up
from shared.services.forgetting import keys_of
from shared.services.purging import purge
from shared.services.screening import Screening

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewCopy:
    """What a client says of a copy; None is as the source has it."""

    folder: str | None = None
    filename: str | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CopyService:
    files: FileService
    screening: Screening
    rules: UploadRules

    def copy(self, caller: Caller, file_id: str, new: NewCopy) -> File:
        """Copy a file with its thumbnails, to a file of the caller's own; return that.

        It is private, does not end, and has no reference, whatever the source has. Raises
        `QuotaExceeded`, `NameTaken`, `ObjectLost`, `Unprocessable`, `Unsupported`, and `Unavailable`
        while the source is being replaced.
        """
        caller.require(Scope.FILES_READ)
        caller.require(Scope.FILES_WRITE)
        source = self.files.find(caller, file_id)
        copy = self._intended(self._drafted(caller, source, new))
        try:
            made = self._recorded(self._written(source, copy))
        except NotFound as missing:
            self._undo(copy, missing)
            self.files.find(caller, source.id)  # it may have been removed meanwhile
            self.files.refuse_replaced(source.key, source.etag)
            raise lost(source.key) from None
        except AppError as refusal:
            if not isinstance(refusal, OutcomeUnknown):  # then there may be a file
                self._undo(copy, refusal)
            raise
        log.info("s3_file_copied", extra={"file_id": made.id, "of": source.id, "size": made.size})
        return made

    def _drafted(self, caller: Caller, source: File, new: NewCopy) -> File:
        copy_id = str(uuid7())
        filename = source.filename
        if new.filename is not None:
            filename = naming.clean_filename(new.filename)
            self.screening.refuse_name(source, filename)
        small = (
            replace(each, key=naming.thumbnail_key(copy_id, each.name))
            for each in source.thumbnails
        )
        now = self.files.clock.now()
        return replace(
            source,
            id=copy_id,
            upload_id=copy_id,
            owner=caller.subject,
            filename=filename,
            folder=source.folder if new.folder is None else naming.clean_folder(new.folder),
            key="",
            is_public=False,
            attributes=source.attributes if new.metadata is None else dict(new.metadata),
            reference=None,
            created_at=now,
            updated_at=now,
            expires_at=None,
            thumbnails=tuple(small),
        )

    def _intended(self, copy: File) -> File:
        """Return the copy with its key, once its intents are committed."""
        try:
            with self.files.records.begin() as rows:
                # The keys' rows before the quota's, as everybody takes them.
                key = claimed_key(rows, self.rules, named(copy), self.rules.layout)
                copy = replace(copy, key=key)
                for small in copy.thumbnails:
                    rows.objects.intend(small.key, copy.id)
                _reserve(rows, copy)
                # Only asked for: what nobody's row holds would stay reserved if we died.
                rows.quotas.release(copy.tenant, copy.size)
        except OutcomeUnknown as unknown:
            # All or none of them: what stands would else keep the name taken until the sweep.
            looked_up(
                self.files.records, unknown, lambda rows: rows.objects.of_upload(copy.id) or None
            )
        return copy

    def _written(self, source: File, copy: File) -> File:
        """Return the copy with its ETag, once its objects are in the store.

        Raises `NotFound` when one of the source's is not, or is another.
        """
        etag = self._copied(
            source.key,
            copy.key,
            etag=source.etag,
            size=source.size,
            content_type=copy.content_type,
            upload_id=copy.id,
        )
        for old, new in zip(source.thumbnails, copy.thumbnails, strict=True):
            self._small(old, new, copy.id)
        return replace(copy, etag=etag)

    def _small(self, old: Thumbnail, new: Thumbnail, copy_id: str) -> None:
        there = self.files.objects.find(old.key)
        if there is None:
            raise NotFound("object")
        self._copied(
            old.key,
            new.key,
            etag=there.etag,
            size=there.size,
            content_type=new.content_type,
            upload_id=copy_id,
        )

    def _copied(self, source: str, key: str, *, upload_id: str, **facts: Any) -> str:
        objects = self.files.objects
        try:
            return objects.copy(source, key, upload_id=upload_id, **facts)
        except KeyTaken as taken:
            there = objects.find(key)
            if there is None or there.upload_id != upload_id:
                raise Conflict("Another object lies under this file's key.") from taken
            return there.etag  # our own, by an answer that was lost

    def _recorded(self, copy: File) -> File:
        owed: list[str] = []
        try:
            with self.files.records.begin() as rows:
                if not rows.objects.fulfil(keys_of(copy), copy.id):
                    raise Unavailable("objects", "The copy took so long that it was swept away.")
                _reserve(rows, copy)
                rows.quotas.use(copy.tenant, copy.size, copy.size)
                made = rows.files.add(copy, None)
                owed = self.files.events.of_file(rows, EventType.READY, made)
        except OutcomeUnknown as unknown:
            made = looked_up(self.files.records, unknown, lambda rows: rows.files.find(copy.id))
        self.files.announce([], owed)
        return made

    def _undo(self, copy: File, refusal: AppError) -> None:
        """Leave nothing behind, now or by the sweep."""
        with suppress(Unavailable):
            with self.files.records.begin() as rows:
                rows.objects.deleting(keys_of(copy), copy.id)
            # What had no answer may yet be done: the sweep comes later.
            if not isinstance(refusal, Unavailable):
                purge(self.files.records, self.files.objects, copy)


def _reserve(rows: Transaction, copy: File) -> None:
    if not rows.quotas.reserve(copy.tenant, copy.size):
        raise QuotaExceeded("This tenant's quota is used up.")
