"""A workshop with a worker in it: real rows, staging and store, and a hand on their clocks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import text

from shared.adapters.clock_system import SystemClock
from shared.adapters.notify_http import HttpNotifier
from shared.adapters.objects_disk import DiskObjects
from shared.adapters.objects_s3 import S3Objects
from shared.adapters.records_sql import SqlRecords
from shared.adapters.sniff_magic import MagicSniffer
from shared.adapters.staging_disk import DiskStaging
from shared.adapters.tables import metadata
from shared.config import Settings
from shared.model import predecessors
from shared.model.file import File
from shared.model.job import Job, JobStatus
from shared.model.layout import Layout
from shared.model.policy import MIB, default_profile
from shared.model.predecessors import GatewayRules
from shared.model.upload import NewUpload, Upload
from shared.ports import ObjectStore, Staging
from shared.services.adopting import Adoption
from shared.services.assets import AssetService
from shared.services.changes import ChangeService
from shared.services.chunks import ChunkService
from shared.services.claims import Claim, ClaimRules, ClaimService
from shared.services.copies import CopyService
from shared.services.deliveries import DeliveryService
from shared.services.describing import Describing
from shared.services.direct import DirectService
from shared.services.drafting import UploadRules
from shared.services.events import Events
from shared.services.files import FileService
from shared.services.grants import GrantService
from shared.services.health import Health
from shared.services.jobs import JobService
from shared.services.main_service import MainServiceNews
from shared.services.measuring import Measuring
from shared.services.reconciling import Reconciler
from shared.services.resuming import ResumeService
from shared.services.screening import Screening
from shared.services.streams import StreamService
from shared.services.sweeping import SweepService
from shared.services.sweeps.runs import Sweeper
from shared.services.targets import TargetService
from shared.services.unsized import UnsizedService
from shared.services.uploads import UploadService
from shared.services.webhooks import WebhookService
from shared.services.weighing import Weighing
from shared.wiring import Services
from tests.support.builders import a_webhook
from tests.support.messes import RULES as SWEEP_RULES
from tests.support.straight import StraightObjects
from tests.support.workshop import ALICE, Bytes, EmptyBoard, RecordingDispatcher
from worker.processing import Processing

CLAIMS: Final = ClaimRules(timedelta(seconds=30), timedelta(seconds=10), max_attempts=3)
BY_ID: Final = Layout("{folder}/{id}_{name}")
UPLOADS: Final = UploadRules(
    staging_prefix=".staging/",
    chunk_size=8 * 1024**2,
    lifetime=timedelta(hours=1),
    layout=BY_ID,
    allow_empty=True,
)
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass
class SteppedBoard(EmptyBoard):
    """Shows nothing, but does what a test wants done just before a step begins."""

    shown: list[JobStatus] = field(default_factory=list)
    before: dict[str, Callable[[], object]] = field(default_factory=dict)

    def put(self, status: JobStatus) -> None:
        self.shown.append(status)
        done = self.before.pop(status.job.step or "", None)
        if done is not None:
            done()

    def steps(self) -> list[str]:
        return list(dict.fromkeys(each.job.step for each in self.shown if each.job.step))


@dataclass
class Bell(RecordingDispatcher):
    """A bell that only remembers; `waiting` is the length of every queue, None is silence."""

    waiting: int | None = 0
    is_deaf: bool = False

    def process(self, job_id: str) -> bool:
        return not self.is_deaf and super().process(job_id)

    def backlog(self, queue: str) -> int | None:
        del queue
        return self.waiting


@dataclass(frozen=True)
class Factory:
    folder: Path
    records: SqlRecords
    services: Services
    board: SteppedBoard
    bell: Bell
    staging: Staging
    objects: ObjectStore

    @property
    def claims(self) -> ClaimService:
        return self.services.claims

    # From bytes to a queued job, and on.

    def received(
        self, content: bytes, filename: str = "notes.txt", *, cut: int | None = None, **said: Any
    ) -> Job:
        """Receive a whole file, in chunks of `cut` bytes if that is said, and seal it."""
        upload = self.services.uploads.open(ALICE, NewUpload(filename, **said))
        for number, start in enumerate(range(0, len(content), cut or len(content) or 1)):
            body = content[start : start + (cut or len(content))]
            self.services.chunks.put(ALICE, upload.id, number, Bytes(body), None)
        return self.services.uploads.complete(ALICE, upload.id)

    def run(
        self,
        job: Job,
        *,
        worker: str = "worker",
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> Job:
        """Let a worker have the job once, due or not; return what became of it."""
        self.shift("jobs", "due_at", -timedelta(days=2), id=job.id)
        Processing(self.services, worker, is_stopping).process(job.id)
        return self.job(job)

    def claim(self, job: Job, worker: str = "another") -> Claim:
        claimed = self.claims.claim(job.id, worker)
        assert claimed is not None
        return claimed

    def take_over(self, job: Job) -> Claim:
        """Let its worker be taken for dead, and another claim the job."""
        self.lose(job)
        return self.claim(job)

    def lose(self, job: Job) -> None:
        """Let the job's lease run out, and a reconciler see it."""
        self.shift("jobs", "lease_until", -timedelta(days=1), id=job.id)
        with self.records.begin() as rows:
            assert rows.jobs.release([self.job(job)], self.claims.rules.lease) == [job.id]

    def with_objects(self, objects: ObjectStore) -> "Factory":
        return replace(self, services=replace(self.services, objects=objects), objects=objects)

    def with_settings(self, **said: Any) -> "Factory":
        settings = self.services.settings.model_copy(update=said)
        return replace(self, services=replace(self.services, settings=settings))

    def with_rules(self, **said: Any) -> "Factory":
        claims = replace(self.claims, rules=replace(self.claims.rules, **said))
        return replace(self, services=replace(self.services, claims=claims))

    def reconciler(self, holder: str = "one", **said: Any) -> Reconciler:
        facts = {"lease": timedelta(), "stale": timedelta()} | said
        facts.setdefault("echo", facts["stale"])
        services = self.services
        return Reconciler(self.records, self.bell, self.claims, services.jobs, holder, **facts)

    # What the rows, the folders and the store say.

    def job(self, job: Job) -> Job:
        with self.records.read() as rows:
            found = rows.jobs.find(job.id)
        assert found is not None
        return found

    def upload(self, job: Job) -> Upload:
        with self.records.read() as rows:
            found = rows.uploads.find(job.upload_id)
        assert found is not None
        return found

    def file(self, job: Job) -> File | None:
        with self.records.read() as rows:
            return rows.files.find(job.upload_id)

    def content(self, key: str) -> bytes:
        found = self.objects.find(key)
        assert found is not None
        return b"".join(self.objects.read(key, 0, found.size))

    def keys(self) -> set[str]:
        return {each.key for each in self.objects.listing()}

    def multiparts(self) -> list[str]:
        return [each.multipart_id for each in self.objects.open_multiparts()]

    def staged(self) -> list[Path]:
        return sorted(path for path in (self.folder / "staging").rglob("*") if path.is_file())

    def quota(self) -> tuple[int, int]:
        """Used and reserved bytes of the default tenant."""
        (row,) = self.query("SELECT used, reserved FROM quotas")
        return row["used"], row["reserved"]

    def events(self) -> list[str]:
        """The events owed to all webhooks, in order."""
        return [row["type"] for row in self.query("SELECT type FROM deliveries ORDER BY id")]

    def listen(self, **said: Any) -> None:
        with self.records.begin() as rows:
            rows.webhooks.add(a_webhook(**said))

    def snapshot(self) -> Mapping[str, Sequence[str]]:
        """Every row of every table, and all that is staged."""
        said = {
            name: sorted(repr(row) for row in self.query(f"SELECT * FROM {name}"))  # noqa: S608  # our tables
            for name in metadata.tables
        }
        return said | {"staging": [str(path) for path in self.staged()]}

    def query(self, statement: str) -> list[Mapping[str, Any]]:
        with self.records._engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(statement)).mappings()]

    def shift(self, table: str, column: str, by: timedelta, **where: str) -> None:
        """Move a time of these rows, in the database."""
        these = " AND ".join(f"{name} = :{name}" for name in where)
        statement = f"UPDATE {table} SET {column} = {column} + :by WHERE {these}"  # noqa: S608  # names from here
        with self.records._engine.begin() as connection:
            connection.execute(text(statement), {"by": by // _MILLISECOND, **where})


@contextmanager
def a_factory(
    folder: Path,
    database_url: str,
    *,
    objects: ObjectStore | None = None,
    staging: Staging | None = None,
    claims: ClaimRules = CLAIMS,
    uploads: UploadRules = UPLOADS,
) -> Iterator[Factory]:
    """A factory on a database with all tables; on disk is what no store or staging is given for."""
    store = objects or DiskObjects(folder / "objects", base_url="http://sluice", secret="s" * 32)
    records, staging = SqlRecords(database_url), staging or DiskStaging(folder / "staging")
    board, bell, clock = SteppedBoard(), Bell(), SystemClock()
    describing, notifier = Describing("http://sluice", store), HttpNotifier(allow_private=False)
    events = Events(describing)
    screening = Screening(_PROFILES, _SNIFFER, uploads.allow_empty)
    jobs = JobService(records, board, bell, clock)
    files = FileService(records, store, board, bell, events, clock)
    straight = store if isinstance(store, S3Objects | StraightObjects) else None
    direct = DirectService(records, store, straight, jobs)
    receiving = UploadService(records, staging, screening, jobs, direct, clock, uploads)
    sweeper = Sweeper(
        records, staging, store, board, bell, events, files, direct, clock, SWEEP_RULES
    )
    chunks = ChunkService(records, staging, screening, UPLOADS.chunk_size, UPLOADS.lifetime)
    targets = TargetService(records, direct, clock, timedelta(hours=1))
    weighing = Weighing(records, direct, screening, clock)
    services = Services(
        settings=Settings(_env_file=None, data_dir=folder),
        records=records,
        staging=staging,
        objects=store,
        board=board,
        clock=clock,
        screening=screening,
        describing=describing,
        uploads=receiving,
        targets=targets,
        unsized=UnsizedService(records, receiving, targets, direct, 100),
        grants=GrantService(records, clock, timedelta(hours=1)),
        adoption=Adoption(records, direct, weighing, clock, ".staging/", timedelta(0)),
        chunks=chunks,
        resuming=ResumeService(records, receiving, StreamService(chunks), jobs, files),
        jobs=jobs,
        claims=ClaimService(records, staging, board, bell, events, claims),
        files=files,
        changes=ChangeService(files, screening),
        copies=CopyService(files, screening, uploads),
        webhooks=WebhookService(records, notifier),
        deliveries=DeliveryService(records, notifier, clock),
        main_service=MainServiceNews(records, clock, None),
        sweeps=SweepService(sweeper),
        measuring=Measuring(records),
        assets=AssetService(receiving, jobs, describing),
        health=Health(records, staging, store, board, 0),
    )
    try:
        yield Factory(folder, records, services, board, bell, staging, store)
    finally:
        records.close()


_SNIFFER: Final = MagicSniffer()
_DEFAULT: Final = default_profile()
_GATEWAY: Final = GatewayRules(("image/jpeg", "application/pdf"), 10 * MIB)
_PROFILES: Final = MappingProxyType(
    {"default": _DEFAULT, **predecessors.profiles(_DEFAULT, _GATEWAY)}
)
