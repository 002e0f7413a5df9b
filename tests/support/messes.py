"""What the sweeps find: every kind of thing left lying about, and time set back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select, text
from uuid_utils.compat import uuid7

from shared.adapters.clock_system import SystemClock
from shared.adapters.tables import metadata
from shared.errors import Rejected
from shared.model.file import File
from shared.model.job import Job
from shared.model.predecessors import GATEWAY
from shared.model.upload import Upload
from shared.ports import ObjectStore, Staging
from shared.services.claims import Claim
from shared.services.describing import Describing
from shared.services.direct import DirectService
from shared.services.events import Events
from shared.services.files import FileService
from shared.services.forgetting import forget
from shared.services.jobs import JobService
from shared.services.sweeping import SweepService
from shared.services.sweeps.runs import Sweeper, SweepRules
from tests.support import ages
from tests.support.workshop import ALICE, Bytes, EmptyBoard, RecordingDispatcher, Workshop

DAY: Final = timedelta(days=1)
RULES: Final = SweepRules(
    grace=timedelta(),
    failed_uploads=7 * DAY,
    deleted_files=30 * DAY,
    job_records=30 * DAY,
    lifetime=timedelta(hours=1),
    cap=100,
    gateway_files=30 * DAY,
    lease=timedelta(milliseconds=50),
    staging_prefix=".staging/",
)


@dataclass
class RememberingBoard(EmptyBoard):
    """A board that knows what it was told to forget, and lets somebody meddle meanwhile."""

    forgotten: list[str] = field(default_factory=list)
    meddle: Callable[[Sequence[str]], None] = lambda _: None

    def forget(self, job_ids: object) -> None:
        assert isinstance(job_ids, list)
        self.forgotten += job_ids
        self.meddle(job_ids)


@dataclass
class Premises:
    """A workshop, the store its objects are in, and the sweeps."""

    shop: Workshop
    objects: ObjectStore
    folder: Path
    rules: SweepRules = RULES
    board: RememberingBoard = field(default_factory=RememberingBoard)
    dispatcher: RecordingDispatcher = field(default_factory=RecordingDispatcher)

    def sweeps(
        self,
        objects: ObjectStore | None = None,
        staging: Staging | None = None,
        **rules: Any,
    ) -> SweepService:
        store = objects or self.objects
        events = Events(Describing("http://sluice", store))
        clock, records = SystemClock(), self.shop.records
        files = FileService(records, store, self.board, self.dispatcher, events, clock)
        jobs = JobService(records, self.board, self.dispatcher, clock)
        return SweepService(
            Sweeper(
                records=records,
                staging=staging or self.shop.staging,
                objects=store,
                board=self.board,
                dispatcher=self.dispatcher,
                events=events,
                files=files,
                direct=DirectService(records, store, None, jobs),
                clock=clock,
                rules=replace(self.rules, **rules),
            )
        )

    def sweep(self, name: str, *, dry_run: bool = False, **rules: Any) -> dict[str, Any]:
        return self.sweeps(**rules).run(name, dry_run=dry_run)

    def age(self, table: str, column: str, by: timedelta, **where: str) -> None:
        """Set a time of these rows back, in the database."""
        these = " AND ".join(f"{name} = :{name}" for name in where) or "1 = 1"
        statement = f"UPDATE {table} SET {column} = {column} - :by WHERE {these}"  # noqa: S608  # names from here
        with self.shop.records._engine.begin() as connection:
            connection.execute(text(statement), {"by": by // timedelta(milliseconds=1), **where})

    def becomes_gateways(self, file: File) -> None:
        """Let a file be one that came through the gateway."""
        with self.shop.records._engine.begin() as connection:
            connection.execute(
                text("UPDATE files SET profile = :profile WHERE id = :id"),
                {"profile": GATEWAY, "id": file.id},
            )

    def rows(self, table: str) -> list[str]:
        with self.shop.records._engine.connect() as connection:
            return sorted(map(repr, connection.execute(select(metadata.tables[table]))))

    def keys(self) -> set[str]:
        return {each.key for each in self.objects.listing()}

    def snapshot(self) -> dict[str, Any]:
        """Everything a sweep could change, but for its own lease."""
        said: dict[str, Any] = {
            name: self.rows(name) for name in metadata.tables if name != "leases"
        }
        said["staging"] = sorted(self.shop.staging.listing(), key=lambda each: each.name)
        said["objects"] = self.keys()
        said["multiparts"] = sorted(each.multipart_id for each in self.objects.open_multiparts())
        return said

    def quota(self) -> tuple[int, int]:
        with self.shop.records._engine.connect() as connection:
            found = connection.execute(text("SELECT used, reserved FROM quotas")).first()
        return (0, 0) if found is None else (found.used, found.reserved)

    # Uploads, jobs and files on their usual way.

    def open_upload(self, size: int = 100, **said: Any) -> Upload:
        upload = self.shop.opened(size=size, **said)
        self.shop.chunks.put(ALICE, upload.id, 0, Bytes(b"a" * size), None)
        return upload

    def claimed(self, size: int = 100, **said: Any) -> Claim:
        upload = self.open_upload(size, **said)
        job = self.shop.uploads.complete(ALICE, upload.id)
        # A second claim: of a first one it is known that nothing was written before.
        first = self.shop.claims.claim(job.id, "worker")
        assert first is not None
        self.shop.claims.hand_back(first)
        claim = self.shop.claims.claim(job.id, "worker")
        assert claim is not None
        return claim

    def failed(self) -> Claim:
        claim = self.claimed()
        self.shop.claims.give_up(claim, {"code": "x", "detail": "y"})
        return claim

    def rejected(self, claim: Claim | None = None) -> Claim:
        claim = claim or self.claimed()
        self.shop.claims.reject(claim, Rejected("bad", "It is bad."))
        return claim

    def file(self, content: bytes = b"content", **said: Any) -> File:
        claim = self.claimed(**said)
        self.shop.claims.intend(claim, [claim.upload.key])
        etag = self.put(claim.upload.key, claim.upload.id, content)
        self.shop.claims.publish(claim, _file(claim, etag, len(content)))
        with self.shop.records.read() as rows:
            found = rows.files.find(claim.upload.id)
        assert found is not None
        return found

    def put(self, key: str, upload_id: str, content: bytes = b"content") -> str:
        return self.objects.put(key, content, content_type="text/plain", upload_id=upload_id)

    def job(self, upload_id: str) -> Job | None:
        with self.shop.records.read() as rows:
            return rows.jobs.of_upload(upload_id)

    def upload(self, upload_id: str) -> Upload | None:
        with self.shop.records.read() as rows:
            return rows.uploads.find(upload_id)

    def intent(self, claim: Claim) -> str:
        """An intent of this claim with the object it meant; returns its key."""
        self.shop.claims.intend(claim, [claim.upload.key])
        self.put(claim.upload.key, claim.upload.id)
        return claim.upload.key

    def staged(self, *, old: timedelta = 3 * DAY, upload_id: str | None = None) -> tuple[str, str]:
        """Bytes in staging that no row knows; returns the upload's id and their name."""
        owner = upload_id or str(uuid7())
        writer = self.shop.staging.writer(owner, 0, 0, None)
        writer.write(b"lost")
        writer.keep()
        self.touch(owner, writer.name, old)
        return owner, writer.name

    def touch(self, upload_id: str, name: str, old: timedelta) -> None:
        ages.touch(self.folder / "staging" / upload_id[-2:] / upload_id / name, old)


def _file(claim: Claim, etag: str, size: int) -> File:
    upload = claim.upload
    return File(
        id=upload.id,
        upload_id=upload.id,
        tenant=upload.tenant,
        owner=upload.owner,
        filename=upload.filename,
        folder=None,
        description=None,
        size=size,
        content_type="text/plain",
        declared_type=None,
        category="document",
        sha256="0" * 64,
        etag=etag,
        key=upload.key,
        is_public=False,
        width=None,
        height=None,
        attributes={},
        tags=(),
        reference=None,
        profile="default",
        created_at=upload.created_at,
        updated_at=upload.updated_at,
        expires_at=None,
        deleted_at=None,
    )


# One thing for each sweep to remove, when the grace is nothing.


def _expired_upload(premises: Premises) -> None:
    upload = premises.open_upload()
    premises.age("uploads", "expires_at", 2 * DAY, id=upload.id)


def _failed_upload(premises: Premises) -> None:
    claim = premises.failed()
    premises.age("uploads", "updated_at", 8 * DAY, id=claim.upload.id)


def _staging_orphan(premises: Premises) -> None:
    premises.staged()


def _deletion(premises: Premises) -> None:
    file = premises.file()
    with premises.shop.records.begin() as rows:
        forget(rows, [file])
    premises.age("objects", "updated_at", timedelta(minutes=2), upload_id=file.id)


def _object_orphan(premises: Premises) -> None:
    claim = premises.claimed()
    premises.intent(claim)
    premises.rejected(claim)


def _multipart(premises: Premises) -> None:
    claim = premises.claimed()
    key = claim.upload.key
    premises.shop.claims.intend(claim, [key])
    premises.objects.begin_multipart(key, content_type="text/plain", upload_id=claim.upload.id)
    premises.rejected(claim)


def _expired_file(premises: Premises) -> None:
    file = premises.file(expires_in=3600)
    premises.age("files", "expires_at", DAY, id=file.id)


def _gateway_file(premises: Premises) -> None:
    file = premises.file()
    premises.becomes_gateways(file)
    premises.age("files", "created_at", 31 * DAY, id=file.id)


def _deleted_file(premises: Premises) -> None:
    file = premises.file()
    premises.sweeps().sweeper.files.delete(ALICE, file.id, hard=False)
    premises.age("files", "deleted_at", 31 * DAY, id=file.id)


def _old_record(premises: Premises) -> None:
    claim = premises.rejected()
    premises.age("uploads", "updated_at", 31 * DAY, id=claim.upload.id)


MESSES: Final[Mapping[str, Callable[[Premises], None]]] = {
    "expired-uploads": _expired_upload,
    "failed-uploads": _failed_upload,
    "staging-orphans": _staging_orphan,
    "deletions": _deletion,
    "object-orphans": _object_orphan,
    "multiparts": _multipart,
    "expired-files": _expired_file,
    "gateway-files": _gateway_file,
    "deleted-files": _deleted_file,
    "job-records": _old_record,
}
