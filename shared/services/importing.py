"""A folder of files, brought in as uploads: the same checks, the same jobs, made by the workers.

A file's reference stands for its path, so that a second run knows what the first has brought; its
idempotency key for path, size and time, so that it knows what is still under way. Nothing is
noted anywhere else: a run that was killed is gone on with by the next.
"""

import hashlib
import logging
import os
from collections.abc import Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import count
from pathlib import Path, PurePosixPath
from threading import Event
from typing import BinaryIO, Final

from shared.errors import AppError, Conflict, Unavailable, Unprocessable
from shared.model.caller import Caller, Scope
from shared.model.file import File, FileQuery
from shared.model.job import Job
from shared.model.layout import Layout
from shared.model.lifecycle import JobState
from shared.model.upload import NewUpload
from shared.ports import Clock
from shared.records import Records
from shared.services.files import FileService
from shared.services.intake import BLOCK_BYTES, HEAD_BYTES
from shared.services.jobs import JobService
from shared.services.uploads import UploadService
from shared.services.walking import Found, Passed, walk

log = logging.getLogger(__name__)

MIRRORED: Final = Layout("{folder}/{name}", structure="", mirrors=True)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PAUSES_SECONDS: Final = (1.0, 2.0, 5.0, 10.0, 20.0)  # of a part that does not answer
_LOOK_SECONDS: Final = 1.0


class What(StrEnum):
    """What became of one file."""

    IMPORTED = "imported"
    SKIPPED = "skipped"
    REFUSED = "refused"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`size` in bytes; `reason` is for people, and empty where there is nothing to say."""

    name: str
    what: What
    reason: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to bring in, for whom; at most `parallel` files are read or waited for at once."""

    folder: Path
    caller: Caller
    prefix: str = ""
    parallel: int = 8
    dry_run: bool = False


class _Stopped(Exception):  # no error: the run ends
    """Whoever runs it wants it to stop."""


@dataclass(frozen=True, slots=True)
class ImportService:
    records: Records
    uploads: UploadService
    jobs: JobService
    files: FileService
    clock: Clock

    def run(self, plan: Plan) -> Generator[Outcome, None, None]:
        """Yield what becomes of each file. Whoever closes this stops it: what was sealed goes on."""
        stop = Event()
        pool = ThreadPoolExecutor(plan.parallel, thread_name_prefix="import")
        under_way: set[Future[Outcome]] = set()
        try:
            for found in walk(plan.folder):
                if isinstance(found, Passed):
                    what = What.REFUSED if found.is_fault else What.IGNORED
                    yield Outcome(found.name, what, found.reason)
                    continue
                under_way.add(pool.submit(self._one, plan, found, stop))
                while len(under_way) >= plan.parallel:
                    done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    yield from (each.result() for each in done)
            for each in under_way:
                yield each.result()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)

    def _one(self, plan: Plan, found: Found, stop: Event) -> Outcome:
        for pause in (*_PAUSES_SECONDS, None):
            try:
                return self._imported(plan, found, stop)
            except Unavailable as outage:
                if pause is None or stop.wait(pause):
                    return _refused(found, str(outage))
            except AppError as error:
                return _refused(found, str(error))
            except OSError as error:
                return _refused(found, f"can't be read: {error.strerror}")
            except _Stopped:
                break
            except Exception:  # whatever is odd about one file must not stop the others
                log.exception("import_failed")
                return _refused(found, "an unexpected fault; the log has it")
        return _refused(found, "stopped")

    def _imported(self, plan: Plan, found: Found, stop: Event) -> Outcome:
        new = _new(plan, found)
        before = self._files(plan.caller, new)
        if any(_is_same(file, new, found, stop) for file in before):
            return Outcome(found.name, What.SKIPPED, "is here already")
        # Another of the same path is an older state of this file, and gives way.
        new = replace(new, replace=bool(before))
        with _opened(found) as source:
            self.uploads.rehearse(plan.caller, new, source.read(HEAD_BYTES))
        if plan.dry_run:
            return Outcome(found.name, What.IMPORTED, size=found.size)
        key, job = self._under_way(plan.caller, found, new)
        if job is None:
            job = self._submitted(plan.caller, found, new, key, stop)
        return self._ended(plan.caller, found, job, stop)

    def _files(self, caller: Caller, new: NewUpload) -> list[File]:
        """Return the files that came from this path, those that were deleted since among them."""
        asked = FileQuery(caller.tenant, caller.subject, reference=new.reference)
        queries = (asked, replace(asked, deleted=True))
        return [
            file
            for query in queries
            for file in self.files.page(caller, query, counted=False).files
        ]

    def _under_way(self, caller: Caller, found: Found, new: NewUpload) -> tuple[str, Job | None]:
        """Return the key for this file, and the job of an earlier run that has not ended."""
        for turn in count():
            key = f"{new.reference}/{found.size}/{found.modified_ns}/{turn}"
            with self.records.read() as rows:
                known = rows.uploads.remembered((caller.tenant, caller.subject), key)
                job = None if known is None else rows.jobs.of_upload(known[1])
            if known is None:
                return key, None
            if job is not None and job.state is JobState.FAILED:
                job = self._again(caller, job)
            if job is not None and not job.is_final:
                return key, job
            # That one came to nothing, or its file is gone: once more.
        raise AssertionError("counting has no end")

    def _again(self, caller: Caller, job: Job) -> Job:
        """Let a failed job run again: while its bytes are kept, so is its name."""
        operator = replace(caller, scopes=caller.scopes | {Scope.ADMIN})
        with suppress(Conflict):
            return self.jobs.retry(operator, job.id)
        return job

    def _submitted(
        self, caller: Caller, found: Found, new: NewUpload, key: str, stop: Event
    ) -> Job:
        with self.uploads.begin_submission(caller, new.filename, profile=new.profile) as intake:
            with _opened(found) as source:
                for block in _blocks(source, stop):
                    intake.write(block)
                if intake.length != found.size or not found.is_still(os.fstat(source.fileno())):
                    raise Unprocessable("It changed while it was read.")
            intake.finish()
            return self.uploads.submit(caller, new, intake, idempotency_key=key)

    def _ended(self, caller: Caller, found: Found, job: Job, stop: Event) -> Outcome:
        status = self.jobs.begun(caller, job)
        while not (job := status.job).is_final:
            if stop.is_set():
                raise _Stopped
            status = self.jobs.wait(caller, status, _LOOK_SECONDS)
        if job.state is JobState.SUCCEEDED:
            return Outcome(found.name, What.IMPORTED, size=found.size)
        return _refused(found, (job.error or {}).get("detail", f"its job was {job.state}"))


def _new(plan: Plan, found: Found) -> NewUpload:
    path = PurePosixPath(plan.prefix.strip("/")) / found.name
    # Names need not be UTF-8, and what is stored has to be.
    shown = os.fsencode(found.name).decode(errors="replace")
    return NewUpload(
        path.name,
        size=found.size,
        folder=str(path.parent) if path.parent.parts else None,
        metadata={
            "imported_from": shown,
            **_when(found.modified_ns),
            "modified_ns": str(found.modified_ns),
        },
        reference=f"import:{hashlib.sha256(os.fsencode(str(path))).hexdigest()[:40]}",
        layout=MIRRORED,
    )


def _when(modified_ns: int) -> dict[str, str]:
    """Return a file's time as text; nothing beyond the years 1 to 9999, which file systems know."""
    with suppress(OverflowError):
        modified_at = _EPOCH + timedelta(seconds=modified_ns // 10**9)
        return {"modified_at": modified_at.isoformat().replace("+00:00", "Z")}
    return {}


def _is_same(file: File, new: NewUpload, found: Found, stop: Event) -> bool:
    """Say whether the file is what lies in the folder now; read again only where its time differs."""
    if file.size != found.size:
        return False
    if file.attributes.get("modified_ns") == new.metadata["modified_ns"]:
        return True
    sha256 = hashlib.sha256()
    with _opened(found) as source:
        for block in _blocks(source, stop):
            sha256.update(block)
    return file.sha256 == sha256.hexdigest()


def _opened(found: Found) -> BinaryIO:
    """Open the file that was found: no link that has come into its place."""
    return os.fdopen(os.open(found.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def _blocks(source: BinaryIO, stop: Event) -> Iterator[bytes]:
    while block := source.read(BLOCK_BYTES):
        if stop.is_set():
            raise _Stopped
        yield block


def _refused(found: Found, reason: str) -> Outcome:
    return Outcome(found.name, What.REFUSED, reason)
