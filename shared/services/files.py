"""Files: found, listed, read, and removed twice: first from sight, then for good."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from shared.errors import NotFound, ObjectLost, Unavailable, Unprocessable
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
            if hard:
                forget(rows, file)
            job = rows.jobs.of_upload(file.id)
        if job is not None:
            self.board.forget([job.id])
        for delivery_id in owed:
            self.dispatcher.deliver(delivery_id)
        if hard:
            # The rows are gone, so the file is; objects that are left have their mark and a sweep.
            with suppress(Unavailable):
                self.purge(file)

    def purge(self, file: File) -> None:
        """Delete the objects of a file whose rows are gone, then their records."""
        keys = keys_of(file)
        self.objects.delete(keys)
        with self.records.begin() as rows:
            rows.objects.drop(keys)


def _lost(key: str) -> ObjectLost:
    log.error("object_lost", extra={"key": key})
    return ObjectLost("The object of this file is not in the store; tell its operators.")


def forget(rows: Transaction, file: File) -> None:
    """Remove a file's rows; its objects are marked first, so that none can be forgotten."""
    if rows.files.drop(file.id):
        rows.objects.deleting(keys_of(file))
        rows.quotas.free(file.tenant, file.size)


def keys_of(file: File) -> list[str]:
    return [file.key, *(small.key for small in file.thumbnails)]
