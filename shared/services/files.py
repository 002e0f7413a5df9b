"""Files: found, listed, read, and removed twice: first from sight, then for good."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from shared.errors import Forbidden, NotFound, ObjectLost, Unavailable, Unprocessable
from shared.model.caller import Caller, Scope
from shared.model.file import File, FileQuery, Thumbnail
from shared.model.stored import StoredObject
from shared.model.webhook import EventType
from shared.ports import Board, Clock, Dispatcher, ObjectStore
from shared.records import Records, Transaction
from shared.services.events import Events
from shared.services.finding import find_file, is_id

SHORTEST_LINK: Final = timedelta(seconds=1)
LONGEST_LINK: Final = timedelta(days=7)  # what SigV4 allows
_NO_NUMBER: Final = 2**63  # and above: more than a column holds


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FilePage:
    """`after` is the position of the last file when there are more; `total` only when asked."""

    files: list[File]
    after: tuple[Any, str] | None
    total: int | None


@dataclass(frozen=True, slots=True)
class FileService:
    records: Records
    objects: ObjectStore
    board: Board
    dispatcher: Dispatcher
    events: Events
    clock: Clock

    def find(self, caller: Caller, file_id: str) -> File:
        caller.require(Scope.FILES_READ)
        with self.records.read() as rows:
            return find_file(rows, caller, file_id)

    def numbered(self, caller: Caller, number: int) -> File:
        """Return the file of this number in the caller's tenant.

        Raises `Forbidden` for another user's: numbers are counted, and tell nothing by being there.
        """
        caller.require(Scope.FILES_READ)
        with self.records.read() as rows:
            file = rows.files.numbered(caller.tenant, number) if number < _NO_NUMBER else None
            if file is None or file.is_hidden(rows.now):
                raise NotFound("file")
        if not caller.sees(tenant=file.tenant, owner=file.owner):
            raise Forbidden("This file is another user's.")
        return file

    def keyed(self, caller: Caller, key: str) -> File:
        """Return the caller's file under this key; `NotFound` for everybody else's."""
        caller.require(Scope.FILES_READ)
        if "\x00" in key:  # no text, and nothing that a database would look for
            raise NotFound("file")
        with self.records.read() as rows:
            file = rows.files.keyed(key)
            if file is None or not caller.sees(tenant=file.tenant, owner=file.owner):
                raise NotFound("file")
            if file.is_hidden(rows.now):
                raise NotFound("file")
        return file

    def public(self, file_id: str) -> File:
        """Return a public file to anybody. Raises `NotFound` for all others."""
        with self.records.read() as rows:
            file = rows.files.find(file_id) if is_id(file_id) else None
            if file is None or not file.is_public or file.is_hidden(rows.now):
                raise NotFound("file")
            return file

    def page(self, caller: Caller, query: FileQuery, *, counted: bool) -> FilePage:
        caller.require(Scope.FILES_READ)
        mine = replace(
            query, tenant=caller.tenant, owner=None if caller.is_admin else caller.subject
        )
        with self.records.read() as rows:
            found = rows.files.page(replace(mine, limit=mine.limit + 1))
            total = rows.files.count(mine) if counted else None
        files = found[: mine.limit]
        more = len(found) > mine.limit
        last = (getattr(files[-1], mine.sort), files[-1].id) if more else None
        return FilePage(files, last, total)

    def pages(self, caller: Caller, query: FileQuery) -> Iterator[list[File]]:
        """Yield all that the query finds, however much, `query.limit` of them at a time."""
        page = self.page(caller, query, counted=False)
        yield page.files
        while page.after is not None:
            page = self.page(caller, replace(query, after=page.after), counted=False)
            yield page.files

    def stored(self, caller: Caller, file_id: str) -> tuple[File, StoredObject]:
        """Return the file and what the store says of its object."""
        file = self.find(caller, file_id)
        stored = self.objects.find(file.key)
        if stored is None:
            raise _lost(file.key)
        return file, stored

    def thumbnail(self, caller: Caller, file_id: str, name: str) -> tuple[File, Thumbnail]:
        file = self.find(caller, file_id)
        small = file.thumbnail(name)
        if small is None:
            names = [each.name for each in file.thumbnails]
            raise NotFound("thumbnail", available=names)
        return file, small

    def read(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes `[start, stop)` of a file's object. Raises `ObjectLost` before the first."""
        try:
            return self.objects.read(key, start, stop)
        except NotFound:
            raise _lost(key) from None

    def link(
        self, caller: Caller, file_id: str, lifetime: timedelta, disposition: str
    ) -> tuple[str, datetime]:
        """Return a presigned URL and when it ends. Raises `Unprocessable` beyond 1 s to 7 days."""
        if not SHORTEST_LINK <= lifetime <= LONGEST_LINK:
            raise Unprocessable("A link lives from 1 s to 7 days.", pointer="/expiry")
        file = self.find(caller, file_id)
        ends_at = self.clock.now() + lifetime
        url = self.objects.presign(
            file.key, lifetime, disposition=disposition, content_type=file.content_type
        )
        return url, ends_at

    def delete(self, caller: Caller, file_id: str, *, hard: bool) -> None:
        """Hide a file, or with `hard` remove its rows and objects, hidden or not."""
        caller.require(Scope.FILES_DELETE)
        with self.records.begin() as rows:
            file = find_file(rows, caller, file_id, deleted=hard)
            hidden = file.deleted_at is None and rows.files.mark_deleted(file.id)
            owed = self.events.of_file(rows, EventType.DELETED, file) if hidden else []
            removed = hard and forget(rows, file)
            job = rows.jobs.of_upload(file.id)
        if job is not None:
            self.board.forget([job.id])
        for delivery_id in owed:
            self.dispatcher.deliver(delivery_id)
        if removed:
            # The rows are gone, so the file is; objects that are left have their mark and a sweep.
            with suppress(Unavailable):
                self.purge(file)

    def purge(self, file: File) -> None:
        """Delete the objects of a file, then their records: for whoever removed its rows, once.

        What is not surely gone keeps its record, and with it its key, until the sweep has looked.
        """
        keys = keys_of(file)
        gone = [key for key in keys if file.id in key]  # no other upload ever has such a key
        self.objects.delete(gone)
        for key in keys:
            if key not in gone and self._remove(key, file.id):
                gone.append(key)
        with self.records.begin() as rows:
            rows.objects.drop(gone, file.id)

    def _remove(self, key: str, upload_id: str) -> bool:
        """Delete the upload's object; False when another must not have the key yet."""
        found = self.objects.find(key)
        if found is None or found.upload_id != upload_id:
            return True
        return self.objects.delete_seen(found)


def _lost(key: str) -> ObjectLost:
    log.error("object_lost", extra={"key": key})
    return ObjectLost("The object of this file is not in the store; tell its operators.")


def forget(rows: Transaction, file: File) -> bool:
    """Remove a file's rows; its objects are marked first, so that none can be forgotten.

    False when somebody else has removed them: then the objects are theirs to delete.
    """
    if not rows.files.drop(file.id):
        return False
    rows.objects.deleting(keys_of(file), file.id)
    rows.quotas.free(file.tenant, file.size)
    return True


def keys_of(file: File) -> list[str]:
    return [file.key, *(small.key for small in file.thumbnails)]
