"""Services put together by hand: a real database and staging, a bell that only remembers."""

from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from pathlib import Path

from pydantic import SecretStr

from shared.adapters.clock_system import SystemClock
from shared.adapters.objects_disk import DiskObjects
from shared.adapters.records_sql import SqlRecords, engine
from shared.adapters.sniff_magic import MagicSniffer
from shared.adapters.staging_disk import DiskStaging
from shared.adapters.tables import metadata
from shared.config import Settings
from shared.model.caller import Caller
from shared.model.job import JobStatus, Shown
from shared.model.layout import Layout
from shared.model.policy import default_profile
from shared.model.upload import NewUpload, Upload
from shared.services.chunks import ChunkService
from shared.services.claims import ClaimRules, ClaimService
from shared.services.describing import Describing
from shared.services.direct import DirectService
from shared.services.drafting import UploadRules
from shared.services.events import Events
from shared.services.files import FileService
from shared.services.jobs import JobService
from shared.services.screening import Screening
from shared.services.uploads import UploadService
from web.app import SluiceApp, create_app

ALICE = Caller("alice")
BOB = Caller("bob")
BY_ID = Layout("{folder}/{id}_{name}")
RULES = UploadRules(chunk_size=1024, lifetime=timedelta(hours=1), layout=BY_ID)
CLAIMS = ClaimRules(lease=timedelta(seconds=30), heartbeat=timedelta(seconds=10), max_attempts=3)


@dataclass
class RecordingDispatcher:
    """Remembers who was called, and calls nobody."""

    processed: list[str] = field(default_factory=list)
    delivered: list[str] = field(default_factory=list)

    def process(self, job_id: str) -> bool:
        self.processed.append(job_id)
        return True

    def deliver(self, delivery_id: str) -> bool:
        self.delivered.append(delivery_id)
        return True

    def backlog(self, queue: str) -> int | None:
        del queue
        return 0


@dataclass
class EmptyBoard:
    """A board that has forgotten everything, as Redis may at any time."""

    def put(self, status: JobStatus) -> None: ...

    def find(self, job_ids: object) -> dict[str, Shown]:
        del job_ids
        return {}

    def forget(self, job_ids: object) -> None: ...

    def beat(self, worker: str) -> None: ...

    def workers(self) -> list[str]:
        return []

    def check(self) -> None: ...


class Bytes:
    """A request's body. With `cut`, it ends there."""

    def __init__(
        self, content: bytes, *, declared: int | None = -1, cut: int | None = None
    ) -> None:
        self._stream = BytesIO(content if cut is None else content[:cut])
        self.length = len(content) if declared == -1 else declared
        self.is_cut = False

    def read(self, size: int, /) -> bytes:
        return self._stream.read(size)


@dataclass(frozen=True)
class Workshop:
    records: SqlRecords
    staging: DiskStaging
    objects: DiskObjects
    dispatcher: RecordingDispatcher
    uploads: UploadService
    chunks: ChunkService
    jobs: JobService
    claims: ClaimService
    files: FileService

    def opened(self, filename: str = "notes.txt", **said: object) -> Upload:
        return self.uploads.open(ALICE, NewUpload(filename, **said))  # type: ignore[arg-type]  # a builder

    def staged_bytes(self, upload_id: str) -> bytes:
        """What a worker would read, in the file's order."""
        with self.records.read() as rows:
            chunks = rows.chunks.of(upload_id)
        return b"".join(block for chunk in chunks for block in self.staging.read(chunk, 100))

    def staged_names(self) -> list[str]:
        return [staged.name for staged in self.staging.listing()]


def a_workshop(
    folder: Path, *, database: str | None = None, rules: UploadRules = RULES
) -> Workshop:
    url = database or f"sqlite:///{folder / 'sluice.db'}"
    made = engine(url)
    metadata.create_all(made)
    made.dispose()
    records = SqlRecords(url)
    staging = DiskStaging(folder / "staging")
    objects = DiskObjects(folder / "objects", base_url="http://sluice", secret="s" * 32)
    board, dispatcher, clock = EmptyBoard(), RecordingDispatcher(), SystemClock()
    screening = Screening({"default": default_profile()}, MagicSniffer(), rules.allow_empty)
    events = Events(Describing("http://sluice", objects))
    jobs = JobService(records, board, dispatcher, clock)
    direct = DirectService(records, objects, None, jobs)
    return Workshop(
        records=records,
        staging=staging,
        objects=objects,
        dispatcher=dispatcher,
        uploads=UploadService(records, staging, screening, jobs, direct, clock, rules),
        chunks=ChunkService(records, staging, screening, rules.chunk_size, rules.lifetime),
        jobs=jobs,
        claims=ClaimService(records, staging, board, dispatcher, events, CLAIMS),
        files=FileService(records, objects, board, dispatcher, events, clock),
    )


def an_app(folder: Path) -> SluiceApp:
    """The web application of a folder, with no broker and no store to reach."""
    return create_app(Settings(jwt_secret_key=SecretStr("s" * 32), data_dir=folder))
