"""What the settings say, as parts and as rules: the half of the wiring that reads them."""

from datetime import timedelta
from pathlib import Path
from typing import Final

from shared.adapters.board_redis import redis_client
from shared.adapters.cdn_cloudfront import CloudFront, SignedCloudFront
from shared.adapters.client_s3 import Patience, S3Place
from shared.adapters.credentials_secret import SecretUnread, with_secret
from shared.adapters.objects_disk import DiskObjects
from shared.adapters.objects_disk_marked import MarkedDiskObjects
from shared.adapters.objects_s3 import S3Objects
from shared.adapters.objects_s3_hurried import HurriedS3Objects
from shared.adapters.profiles_toml import load_profiles
from shared.adapters.rates_redis import RedisRates
from shared.adapters.staging_disk import DiskStaging
from shared.adapters.staging_mark import Settle, StagingMark
from shared.adapters.staging_s3 import S3Staging
from shared.config import BadSettings, Settings
from shared.model import predecessors
from shared.model.main_service import MainService
from shared.model.media import Category
from shared.model.naming import high_water
from shared.model.narrowing import narrowed
from shared.model.policy import MIB, Profile, default_profile
from shared.model.webhook import LEASE
from shared.ports import Cdn, Clock, ObjectStore, Rates, Staging
from shared.records import Records
from shared.services.adopting import Adoption
from shared.services.claims import ClaimRules
from shared.services.direct import DirectService
from shared.services.drafting import UploadRules
from shared.services.jobs import JobService
from shared.services.screening import Screening
from shared.services.sweeps.runs import SweepRules
from shared.services.weighing import Weighing

_COUNTED_WITHIN_SECONDS: Final = 0.25  # else a request goes on without
_STAGED_WITHIN: Final = Patience(connect_seconds=2, read_seconds=10, attempts=2)
_CONNECTIONS: Final = 32
_FORGOTTEN: Final = 20  # times of REDISPATCH_SECONDS: the reconciler must have seen it


def build_objects(
    settings: Settings, *, hurried: bool = False, settle: Settle | None = None
) -> ObjectStore:
    """Return the store; with `settle` a folder is known to be ours before anything is missing in it."""
    if settings.storage_backend == "local":
        secret = settings.link_secret_key or settings.jwt_secret_key
        if secret is None:
            raise BadSettings("LINK_SECRET_KEY: wanted for STORAGE_BACKEND=local")
        root, folder = settings.staging.absolute() / "objects", final_folder(settings)
        base, key = settings.public_url, secret.get_secret_value()
        if settle is None:
            return DiskObjects(root, base_url=base, secret=key, folder=folder)
        mark = StagingMark(settings.staging, settle)
        return MarkedDiskObjects(root, base_url=base, secret=key, folder=folder, mark=mark)
    secret_key, token = settings.s3_secret_access_key, settings.s3_session_token
    place = S3Place(
        bucket=settings.s3_bucket_name,
        region=settings.s3_region,
        endpoint=settings.s3_endpoint_url,
        public_endpoint=settings.s3_public_endpoint_url,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=secret_key.get_secret_value() if secret_key else None,
        session_token=token.get_secret_value() if token else None,
        public_acl=settings.s3_public_acl,
        encrypts=settings.s3_encrypt_at_rest,
        kms_key_id=settings.s3_kms_key_id,
        # Each thread of the web may wait for the store; jobs ask with few.
        connections=max(_CONNECTIONS, settings.web_threads) if hurried else _CONNECTIONS,
    )
    if settings.s3_credentials_secret is not None:
        every = timedelta(seconds=settings.s3_credentials_seconds)
        try:
            place = with_secret(place, settings.s3_credentials_secret, every)
        except SecretUnread as error:
            raise BadSettings(f"S3_CREDENTIALS_SECRET: {error}") from error
    at_once = settings.s3_copy_part_size
    if hurried:
        return HurriedS3Objects(place, copied_at_once=at_once)
    return S3Objects(place, copied_at_once=at_once)


def build_staging(settings: Settings, objects: ObjectStore, settle: Settle) -> Staging:
    if settings.staging_backend == "disk":
        return DiskStaging(settings.staging, floor=settings.staging_floor, settle=settle)
    if not isinstance(objects, S3Objects):
        raise BadSettings("STAGING_BACKEND=s3 wants STORAGE_BACKEND=s3")
    if isinstance(objects, HurriedS3Objects):
        # It takes whole chunks, which their clients would have to send again.
        objects = HurriedS3Objects(objects.place, _STAGED_WITHIN)
    return S3Staging(objects, settings.s3_staging_prefix, settle=settle)


def direct_uploads(
    settings: Settings, records: Records, objects: ObjectStore, jobs: JobService
) -> DirectService:
    straight = objects if isinstance(objects, S3Objects) else None
    return DirectService(records, objects, straight, jobs, settings.allow_empty_files)


def adoption_of(
    settings: Settings, direct: DirectService, screening: Screening, clock: Clock
) -> Adoption:
    prefix, patience = settings.s3_staging_prefix, seconds(settings.adopt_seconds)
    weighing = Weighing(direct.records, direct, screening, clock)
    return Adoption(direct.records, direct, weighing, clock, prefix, patience)


def seconds(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def final_folder(settings: Settings) -> Path | None:
    """Return the folder of objects, if they lie in one; its name is a predecessor's."""
    local = settings.storage_backend == "local"
    return settings.staging.absolute() / "final" if local else None


def main_service_of(settings: Settings) -> MainService | None:
    url, secret = settings.main_service_notify_url, settings.main_service_notify_secret
    if url is None:
        return None
    return MainService(url, None if secret is None else secret.get_secret_value())


def build_rates(settings: Settings) -> Rates:
    client = redis_client(settings.redis_url, seconds=_COUNTED_WITHIN_SECONDS)
    return RedisRates(client, settings.rates)


def cdn_of(settings: Settings, clock: Clock) -> Cdn | None:
    domain, key_id = settings.cloudfront_domain, settings.cloudfront_key_pair_id
    private_key = settings.cloudfront_private_key
    if domain is None:
        return None
    if key_id is None or private_key is None:
        return CloudFront(domain)
    try:
        return SignedCloudFront(
            domain,
            key_id=key_id,
            private_key=private_key.get_secret_value(),
            lifetime=timedelta(seconds=settings.presigned_url_expiry),
            clock=clock,
        )
    except ValueError as error:
        raise BadSettings(f"CLOUDFRONT_PRIVATE_KEY: {error}") from error


def all_profiles(settings: Settings) -> dict[str, Profile]:
    sizes = {
        Category.IMAGE: settings.max_size_image,
        Category.AUDIO: settings.max_size_audio,
        Category.VIDEO: settings.max_size_video,
        Category.DOCUMENT: settings.max_size_document,
    }
    default = default_profile(sizes)
    gateway = predecessors.GatewayRules(settings.allowed_file_types, settings.max_file_size)
    known = {default.name: default, **predecessors.profiles(default, gateway)}
    if settings.profiles_file is not None:
        try:
            known |= load_profiles(settings.profiles_file, default)
        except (OSError, ValueError) as error:
            raise BadSettings(f"PROFILES_FILE: {error}") from error
    return known | {default.name: _as_the_settings_narrow(known[default.name], settings)}


def _as_the_settings_narrow(profile: Profile, settings: Settings) -> Profile:
    megabytes = settings.s3_max_file_size_mb
    try:
        return narrowed(
            profile,
            types=settings.s3_allowed_mime_types,
            extensions=settings.s3_allowed_extensions,
            most=None if megabytes is None else megabytes * MIB,
        )
    except ValueError as error:
        raise BadSettings(f"S3_ALLOWED_MIME_TYPES, S3_ALLOWED_EXTENSIONS: {error}") from error


def upload_rules(settings: Settings) -> UploadRules:
    return UploadRules(
        chunk_size=settings.chunk_size,
        lifetime=timedelta(minutes=settings.upload_expiry_minutes),
        layout=settings.layout,
        allow_empty=settings.allow_empty_files,
        staging_prefix=_staging_prefix(settings),
    )


def _staging_prefix(settings: Settings) -> str | None:
    return settings.s3_staging_prefix if settings.storage_backend == "s3" else None


def claim_rules(settings: Settings) -> ClaimRules:
    return ClaimRules(
        lease=timedelta(seconds=settings.lease_seconds),
        heartbeat=timedelta(seconds=settings.heartbeat_seconds),
        max_attempts=settings.max_attempts,
    )


def sweep_rules(settings: Settings) -> SweepRules:
    days = settings.file_cleanup_days
    return SweepRules(
        grace=timedelta(hours=settings.sweep_grace_hours),
        failed_uploads=timedelta(days=settings.failed_upload_days),
        deleted_files=timedelta(days=settings.deleted_file_days),
        job_records=timedelta(days=settings.job_record_days),
        lifetime=upload_rules(settings).lifetime,
        gateway_files=None if days is None else timedelta(days=days),
        cap=settings.sweep_cap,
        stuck=_FORGOTTEN * timedelta(seconds=settings.redispatch_seconds),
        lease=max(LEASE, timedelta(seconds=settings.lease_seconds)),
        reread_bytes=settings.audit_reread_bytes,
        staging_prefix=_staging_prefix(settings),
        high_water=high_water(settings.s3_staging_prefix),
    )
