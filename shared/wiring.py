"""Puts the application together: from settings to services. The only place that names adapters."""

from dataclasses import dataclass

from celery import Celery

from shared.adapters.board_redis import RedisBoard, redis_client
from shared.adapters.clock_system import SystemClock
from shared.adapters.dispatch_celery import CeleryDispatcher, ringing_app
from shared.adapters.notify_http import HttpNotifier
from shared.adapters.records_sql import SqlRecords
from shared.adapters.sniff_magic import MagicSniffer
from shared.config import Settings
from shared.ports import Board, Clock, ObjectStore, Staging
from shared.records import Records
from shared.services.adopting import Adoption
from shared.services.assets import AssetService
from shared.services.changes import ChangeService
from shared.services.chunks import ChunkService
from shared.services.claims import ClaimService
from shared.services.copies import CopyService
from shared.services.deliveries import DeliveryService
from shared.services.describing import Describing
from shared.services.events import Events
from shared.services.files import FileService
from shared.services.grants import GrantService
from shared.services.health import Health
from shared.services.identity import StagingIdentity
from shared.services.jobs import JobService
from shared.services.main_service import MainServiceNews
from shared.services.measuring import Measuring
from shared.services.resuming import ResumeService
from shared.services.screening import Screening
from shared.services.streams import StreamService
from shared.services.sweeping import SweepService
from shared.services.sweeps.runs import Sweeper
from shared.services.targets import TargetService
from shared.services.unsized import UnsizedService
from shared.services.uploads import UploadService
from shared.services.webhooks import WebhookService
from shared.wiring_parts import (
    adoption_of,
    all_profiles,
    build_objects,
    build_staging,
    cdn_of,
    claim_rules,
    direct_uploads,
    final_folder,
    main_service_of,
    seconds,
    sweep_rules,
    upload_rules,
)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a front door or a worker may call, and the parts they stand on."""

    settings: Settings
    records: Records
    staging: Staging
    objects: ObjectStore
    board: Board
    clock: Clock
    screening: Screening
    describing: Describing
    uploads: UploadService
    targets: TargetService
    unsized: UnsizedService
    grants: GrantService
    adoption: Adoption
    chunks: ChunkService
    resuming: ResumeService
    jobs: JobService
    claims: ClaimService
    files: FileService
    changes: ChangeService
    copies: CopyService
    webhooks: WebhookService
    deliveries: DeliveryService
    main_service: MainServiceNews
    sweeps: SweepService
    health: Health
    measuring: Measuring
    assets: AssetService


def build(settings: Settings, *, celery: Celery | None = None, hurried: bool = False) -> Services:
    """Return the services of one process. Never call it before a fork.

    `hurried` where clients wait for what the object store says.
    """
    records, clock = SqlRecords(settings.database), SystemClock()
    settle = StagingIdentity(records).settle
    objects = build_objects(settings, hurried=hurried, settle=settle)
    staging = build_staging(settings, objects, settle)
    board = RedisBoard(redis_client(settings.redis_url))
    dispatcher = CeleryDispatcher(celery or ringing_app(settings.redis_url))
    cdn = cdn_of(settings, clock)
    describing = Describing(settings.public_url, objects, final_folder(settings), cdn)
    main = main_service_of(settings)
    events = Events(describing, tells=main is not None)
    screening = Screening(all_profiles(settings), MagicSniffer(), settings.allow_empty_files)
    notifier = HttpNotifier(allow_private=settings.webhook_allow_private)
    jobs = JobService(records, board, dispatcher, clock)
    direct = direct_uploads(settings, records, objects, jobs)
    claims = ClaimService(records, staging, board, dispatcher, events, claim_rules(settings))
    files = FileService(records, objects, board, dispatcher, events, clock)
    rules = upload_rules(settings)
    chunks = ChunkService(records, staging, screening, settings.chunk_size, rules.lifetime)
    uploads = UploadService(records, staging, screening, jobs, direct, clock, rules)
    targets = TargetService(records, direct, clock, seconds(settings.presigned_url_expiry))
    return Services(
        settings=settings,
        records=records,
        staging=staging,
        objects=objects,
        board=board,
        clock=clock,
        screening=screening,
        describing=describing,
        uploads=uploads,
        targets=targets,
        unsized=UnsizedService(records, uploads, targets, direct, settings.max_open_unsized),
        grants=GrantService(records, clock, rules.lifetime),
        adoption=adoption_of(settings, direct, screening, clock),
        chunks=chunks,
        resuming=ResumeService(records, uploads, StreamService(chunks), jobs, files),
        jobs=jobs,
        claims=claims,
        files=files,
        changes=ChangeService(files, screening),
        copies=CopyService(files, screening, rules),
        webhooks=WebhookService(records, notifier),
        deliveries=DeliveryService(
            records, notifier, clock, main, HttpNotifier(allow_private=True)
        ),
        main_service=MainServiceNews(records, clock, main),
        sweeps=SweepService(
            Sweeper(
                *(records, staging, objects, board, dispatcher, events, files, direct, clock),
                sweep_rules(settings),
            )
        ),
        measuring=Measuring(records),
        assets=AssetService(uploads, jobs, describing),
        health=Health(records, staging, objects, board, settings.staging_floor),
    )
