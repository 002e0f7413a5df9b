"""A factory with an auditor in it: a board that shows what it is told, and time set back."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import requests
from sqlalchemy import text

from shared.adapters.tables import metadata
from shared.model.file import File
from shared.model.job import Job, JobStatus, Shown
from shared.model.upload import NewUpload, Transfer, Upload
from shared.services.auditing.findings import Kind
from shared.services.claims import Claim
from shared.services.joining import Parts
from shared.services.sweeping import SweepService
from shared.services.sweeps.runs import SweepRules
from tests.support import ages
from tests.support.factory import Factory
from tests.support.messes import RULES
from tests.support.pictures import a_png
from tests.support.straight import StraightObjects
from tests.support.workshop import ALICE, Bytes, EmptyBoard

DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)
CONTENT: Final = b"some honest words"
Found = set[tuple[Kind, str, bool]]
_RULES: Final = replace(RULES, grace=DAY)


@dataclass
class ShowingBoard(EmptyBoard):
    """A board in memory that shows whatever it was told, true or not."""

    shown: dict[str, JobStatus] = field(default_factory=dict)

    def put(self, status: JobStatus) -> None:
        self.shown[status.job.id] = status

    def find(self, job_ids: object) -> dict[str, Shown]:
        assert isinstance(job_ids, list)
        known = {each: self.shown[each] for each in job_ids if each in self.shown}
        return {each: Shown(status, timedelta()) for each, status in known.items()}

    def job_ids(self) -> Iterator[str]:
        yield from list(self.shown)

    def forget(self, job_ids: object) -> None:
        assert isinstance(job_ids, list)
        for each in job_ids:
            self.shown.pop(each, None)


@dataclass
class Grounds:
    """What damages are planted in; the grace is a day."""

    factory: Factory
    rules: SweepRules = _RULES
    board: ShowingBoard = field(default_factory=ShowingBoard)

    # The auditor.

    def sweeps(self, **rules: Any) -> SweepService:
        service = self.factory.services.sweeps
        sweeper = replace(
            service.sweeper,
            objects=self.factory.objects,
            board=self.board,
            rules=replace(self.rules, **rules),
        )
        return replace(service, sweeper=sweeper)

    def run(self, name: str, *, dry_run: bool = False, **rules: Any) -> dict[str, Any]:
        return self.sweeps(**rules).run(name, dry_run=dry_run)

    def found(self, *, dry_run: bool = False, **rules: Any) -> Found:
        """Run both sweeps of the auditor; return all that they found."""
        results = [self.run(name, dry_run=dry_run, **rules) for name in ("audit", "reread")]
        assert [each.get("error") for each in results] == [None, None]
        told = [finding for each in results for finding in findings(each)]
        assert len(told) == len(set(told)), "nothing is told twice"
        return set(told)

    def snapshot(self) -> Mapping[str, Any]:
        """Everything that an audit could change, but for its own lease."""
        rows = {
            name: sorted(repr(row) for row in self.factory.query(f"SELECT * FROM {name}"))  # noqa: S608  # our tables
            for name in metadata.tables
            if name != "leases"
        }
        return rows | self.stored() | {"board": dict(self.board.shown)}

    def stored(self) -> dict[str, Any]:
        """All that is stored and staged, and what lies there begun."""
        objects = {each.key: (each.size, each.etag) for each in self.factory.objects.listing()}
        staged = {str(path): path.read_bytes() for path in self.factory.staged()}
        return {"objects": objects, "staged": staged, "parts": sorted(self.factory.multiparts())}

    # Uploads, jobs and files on their usual way.

    def receiving(self, content: bytes = CONTENT) -> Upload:
        services = self.factory.services
        size = len(content)
        new = NewUpload("notes.txt", size=2 * size, chunk_size=size)
        upload = services.uploads.open(ALICE, new)
        services.chunks.put(ALICE, upload.id, 0, Bytes(content), None)
        return upload

    def joined(self, content: bytes = CONTENT) -> Job:
        """Receive two partial uploads, join them, and queue what they became."""
        services = self.factory.services.resuming
        half = len(content) // 2
        part_ids = []
        for body in (content[:half], content[half:]):
            part = NewUpload("part", size=len(body), transfer=Transfer.PART)
            part_ids.append(services.open(ALICE, part, None, Bytes(body)).capability.upload_id)
        final = services.join(ALICE, NewUpload("notes.txt"), None, Parts(part_ids, "final;"))
        job = services.status(ALICE, final.capability).job
        assert job is not None
        return self._shown(job)

    def queued(self, content: bytes = CONTENT) -> Job:
        return self._shown(self.factory.received(content, size=len(content)))

    def awaited(self, content: bytes = CONTENT) -> tuple[Upload, str]:
        """Open an upload straight to the store; return it with the link for its bytes."""
        services = self.factory.services
        new = NewUpload("notes.txt", size=len(content), transfer=Transfer.DIRECT)
        upload = services.uploads.open(ALICE, new)
        return upload, services.targets.sign(ALICE, upload.id).targets[0].url

    def sent(self, content: bytes = CONTENT) -> tuple[Job, str]:
        """Send such an upload and seal it; return its job, and the link that still works."""
        upload, link = self.awaited(content)
        self.send(link, content)
        return self._shown(self.factory.services.uploads.complete(ALICE, upload.id)), link

    def send(self, link: str, content: bytes) -> None:
        store = self.factory.objects
        if isinstance(store, StraightObjects):
            store.take(link, content)
        else:
            requests.put(link, data=content, timeout=10).raise_for_status()

    def sent_and_failed(self) -> Job:
        claim = self.factory.claim(self.sent()[0])
        self.factory.claims.give_up(claim, {"code": "x", "detail": "y"})
        return self._shown(self.factory.job(claim.job))

    def claimed(self) -> Claim:
        claim = self.factory.claim(self.queued())
        self._shown(claim.job)
        return claim

    def failed(self) -> Claim:
        claim = self.claimed()
        self.factory.claims.give_up(claim, {"code": "x", "detail": "y"})
        self._shown(self.factory.job(claim.job))
        return claim

    def file(self, content: bytes = CONTENT) -> File:
        return self._made(self.factory.run(self.queued(content)))

    def picture(self) -> File:
        content = a_png(300, 200)
        job = self.factory.received(content, "picture.png", size=len(content))
        return self._made(self.factory.run(job))

    def jobs(self) -> list[Job]:
        with self.factory.records.read() as rows:
            ids = [row["id"] for row in self.factory.query("SELECT id FROM jobs")]
            return rows.jobs.many(ids)

    def job_of(self, upload_id: str) -> Job:
        with self.factory.records.read() as rows:
            job = rows.jobs.of_upload(upload_id)
        assert job is not None
        return job

    def overwrite(self, key: str, content: bytes, upload_id: str) -> None:
        self.factory.objects.delete([key])
        self.put(key, content, upload_id)

    def put(self, key: str, content: bytes, upload_id: str) -> None:
        self.factory.objects.put(key, content, content_type="text/plain", upload_id=upload_id)

    def answer_the_bell(self) -> None:
        """Make the deliveries that were rung for."""
        for delivery_id in self.factory.bell.delivered:
            self.sql("UPDATE deliveries SET state = 'delivered' WHERE id = :id", id=delivery_id)

    # A hand on rows, and on time.

    def sql(self, statement: str, **said: Any) -> None:
        with self.factory.records._engine.begin() as connection:
            connection.execute(text(statement), said)

    def unbound(self, statement: str, *said: str) -> None:
        """Run a statement that no foreign key forbids."""
        engine = self.factory.records._engine
        if engine.dialect.name == "sqlite":
            other = sqlite3.connect(str(engine.url.database))
            with other:
                other.execute(statement, said)
            other.close()
            return
        with engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            connection.exec_driver_sql(statement.replace("?", "%s"), said)

    def age(self, table: str, column: str, by: timedelta, **where: str) -> None:
        self.factory.shift(table, column, -by, **where)

    def staged(self, upload_id: str) -> list[Path]:
        return [path for path in self.factory.staged() if path.parent.name == upload_id]

    def touch(self, path: Path, old: timedelta) -> None:
        ages.touch(path, old)

    def _made(self, job: Job) -> File:
        self._shown(job)
        file = self.factory.file(job)
        assert file is not None
        return file

    def _shown(self, job: Job) -> Job:
        self.board.put(JobStatus(job, None, job.updated_at))
        return job


def findings(result: Mapping[str, Any]) -> Sequence[tuple[Kind, str, bool]]:
    report = result["report"]
    return [(Kind(each["kind"]), each["subject"], each["repaired"]) for each in report]
