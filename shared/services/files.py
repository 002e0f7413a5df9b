"""Files: found, listed, read, and removed twice: first from sight, then for good."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from shared.errors import Forbidden, KeyTaken, NotFound, ObjectLost, Unavailable, Unprocessable
from shared.model.caller import Caller, Scope
from shared.model.file import File, FileQuery, Thumbnail
from shared.model.job import Job
from shared.model.stored import StoredObject
from shared.model.webhook import EventType
from shared.ports import Board, Clock, Dispatcher, ObjectStore
from shared.records import Records
from shared.services.events import Events
from shared.services.finding import find_file, find_public, is_id
from shared.services.forgetting import Refusals, being_replaced, forget, unreplaced
from shared.services.opening import agree, close
from shared.services.purging import purge

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

    def keyed(self, caller: Caller, key: str, *, to: Scope = Scope.FILES_READ) -> File:
        """Return the caller's file under this key; `NotFound` for everybody else's.

        `to` is what the caller wants it for, and has to be allowed.
        """
        caller.require(to)
        if "\x00" in key:  # no text, and nothing that a database would look for
            raise NotFound("file")
        with self.records.read() as rows:
            file = rows.files.keyed(key)
            if file is None or not caller.sees(tenant=file.tenant, owner=file.owner):
                raise NotFound("file")
            if file.is_hidden(rows.now):
                raise NotFound("file")
        return file

    def public(self, place: str) -> File:
        """Return the public file of this id, or of this key, to anybody. Raises `NotFound`."""
        with self.records.read() as rows:
            return find_public(rows, place)

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
            raise lost(file.key)
        if stored.etag != file.etag:
            self.refuse_replaced(file.key, file.etag)
        return file, stored

    def thumbnail(self, caller: Caller, file_id: str, name: str) -> tuple[File, Thumbnail]:
        file = self.find(caller, file_id)
        small = file.thumbnail(name)
        if small is None:
            raise NotFound("thumbnail", available=[each.name for each in file.thumbnails])
        return file, small

    def read(
        self,
        key: str,
        start: int,
        stop: int,
        *,
        etag: str | None = None,
        file_id: str | None = None,
    ) -> Iterator[bytes]:
        """Yield the bytes `[start, stop)` of a file's object. Raises `ObjectLost` before the first.

        With `etag` never those of a file that is replacing it: then `Unavailable`, or `NotFound`
        once it has. What was written again by others is read all the same: the auditor tells. With
        `file_id` it is the file itself that is downloaded, and the log has it.
        """
        try:
            try:
                blocks = self.objects.read(key, start, stop, etag=etag)
            except KeyTaken:
                self.refuse_replaced(key, etag)
                blocks = self.objects.read(key, start, stop)
        except NotFound as missing:
            if missing.code == "file_not_found":
                raise
            raise lost(key) from None
        if file_id is not None:
            said = {"file_id": file_id, "start": start, "stop": stop}
            log.info("s3_file_downloaded_bytes", extra=said)
        return blocks

    def refuse_replaced(self, key: str, etag: str | None) -> None:
        with self.records.read() as rows:
            file, record = rows.files.under(key), rows.objects.known([key]).get(key)
        if file is None or file.etag != etag:
            raise NotFound("file")
        if record is not None and record.successor is not None:
            raise Unavailable("objects", "This file is being replaced; try again.")

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
        seconds = int(lifetime.total_seconds())
        log.info("presigned_url_generated", extra={"file_id": file.id, "seconds": seconds})
        return url, ends_at

    def delete(self, caller: Caller, file_id: str, *, hard: bool) -> None:
        """Hide a file, or with `hard` remove its rows and objects, hidden or not."""
        for refusal in self.delete_many(caller, [file_id], hard=hard).values():
            raise refusal

    def delete_many(self, caller: Caller, file_ids: Sequence[str], *, hard: bool) -> Refusals:
        """Delete files as `delete` does, in one transaction; return what speaks against the others.

        What the store gives to anybody is closed first: a file that can't be stays in sight.
        """
        caller.require(Scope.FILES_DELETE)
        open_ones = [] if hard else self._given_away(caller, file_ids)
        refused = close(self.objects, open_ones)
        try:
            these = [each for each in file_ids if each not in refused]
            return refused | self._deleted(caller, these, hard=hard)
        finally:  # it may have been opened meanwhile, or not be hidden after all
            with suppress(Unavailable):
                for file in open_ones:
                    agree(self.records, self.objects, file.key)

    def _given_away(self, caller: Caller, file_ids: Sequence[str]) -> list[File]:
        if not self.objects.gives_away:
            return []
        with self.records.read() as rows:
            return [
                file
                for file in rows.files.many([each for each in file_ids if is_id(each)])
                if caller.sees(tenant=file.tenant, owner=file.owner)
                and file.is_public
                and not file.is_hidden(rows.now)
            ]

    def _deleted(self, caller: Caller, file_ids: Sequence[str], *, hard: bool) -> Refusals:
        with self.records.begin() as rows:
            now = rows.now()
            found = [
                file
                for file in rows.files.held([each for each in file_ids if is_id(each)])
                if caller.sees(tenant=file.tenant, owner=file.owner)
                and (hard or not file.is_hidden(lambda: now))
            ]
            going = unreplaced(rows, found) if hard else found
            ids = [file.id for file in going]
            hidden = rows.files.mark_deleted(*ids)
            seen = [file for file in going if file.id in hidden]
            owed = self.events.of_files(rows, EventType.DELETED, seen)
            removed = forget(rows, going) if hard else []
            jobs = rows.jobs.of_uploads(ids)
            kept = being_replaced(rows, [file for file in found if file.id not in ids])
        self.announce(jobs, owed)
        for file_id in ids:
            log.info("s3_file_deleted", extra={"file_id": file_id, "hard": hard})
        # The rows are gone, so the files are; objects that are left have their mark and a sweep.
        with suppress(Unavailable):
            purge(self.records, self.objects, *removed)
        missing: Refusals = {each: NotFound("file") for each in file_ids if each not in ids}
        return missing | kept

    def announce(self, jobs: Sequence[Job], owed: Sequence[str]) -> None:
        """Say after a commit that the board's files are not these any more, and what is owed."""
        self.board.forget([job.id for job in jobs])
        for delivery_id in owed:
            self.dispatcher.deliver(delivery_id)


def lost(key: str) -> ObjectLost:
    log.error("object_lost", extra={"key": key})
    return ObjectLost("The object of this file is not in the store; tell its operators.")
