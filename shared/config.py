"""Settings: environment variables, or lines of `.env`. The only reader of the environment.

Every setting is in `docs/settings.md` and `.env.example`; sizes are bytes or `8MiB`, durations are
seconds unless the name says otherwise.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, cast

from pydantic import ByteSize, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from shared.aliases import Disagreement, agreed
from shared.model.layout import Layout, layout_of
from shared.model.media import by_name, canonical
from shared.setting_kinds import (
    Days,
    Host,
    Lower,
    Names,
    Number,
    Origins,
    Pages,
    Pem,
    Rate,
    Secret,
    SigningSecret,
    Text,
    Upper,
    Url,
)

_SHORTEST_SECRET: Final = 32
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


class Settings(BaseSettings):
    """All settings of all processes."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # there are none
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources = (cast("EnvSettingsSource", each) for each in (dotenv_settings, env_settings))
        said = agreed({name: text for each in sources for name, text in each.env_vars.items()})
        environment = {name.lower(): text for name, text in said.items()}
        return init_settings, InitSettingsSource(settings_cls, environment)

    port: int = Field(8080, ge=1, le=65535, description="Where the web listens.")
    bind: str = Field("127.0.0.1", description="The address the web listens on.")
    base_url: Text = Field(
        None, description="Where clients reach us; http://127.0.0.1:PORT unless set."
    )
    data_dir: Path = Field(
        Path("data"), description="Where the embedded parts and staging keep theirs."
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Upper] = Field(
        "INFO", description="What is logged."
    )
    log_format: Annotated[Literal["json", "text"], Lower] = Field(
        "json", description="JSON lines, or readable columns."
    )

    database_url: Text = Field(
        None, description="SQLite or PostgreSQL; sqlite in DATA_DIR unless set."
    )
    redis_url: str = Field("redis://127.0.0.1:6379/0", description="The broker and the job board.")

    storage_backend: Annotated[Literal["s3", "local"], Lower] = Field(
        "s3", description="Where files end: S3, or the folder STAGING_DIR/final."
    )
    s3_enabled: bool = Field(
        True, description="Whether /api/v1/upload serves; S3 is chosen by STORAGE_BACKEND."
    )
    s3_bucket_name: str = Field("uploads", description="The bucket.")
    s3_region: str = Field("us-east-1", description="Its region.")
    s3_endpoint_url: Text = Field(None, description="Any store that speaks S3; AWS unless set.")
    s3_public_endpoint_url: Text = Field(
        None, description="The same as clients reach it, for presigned links."
    )
    s3_access_key_id: Text = Field(None, description="Credentials; the SDK's own chain unless set.")
    s3_secret_access_key: Secret = Field(None, description="Credentials.")
    s3_session_token: Secret = Field(None, description="For temporary credentials.")
    s3_encrypt_at_rest: bool = Field(
        False, description="Ask S3 to encrypt objects; what can't takes none. AWS always does."
    )
    s3_kms_key_id: Text = Field(None, description="Encrypt with this key of KMS; asks for it, too.")
    s3_copy_part_size: ByteSize = Field(
        ByteSize(256 * 1024**2),
        ge=5 * 1024**2,
        le=5 * 1024**3,
        description="The most that S3 copies in one request; what is larger is copied in parts.",
    )
    s3_credentials_secret: Text = Field(
        None,
        description="Credentials in AWS Secrets Manager: the name or ARN of a secret in JSON.",
    )
    s3_credentials_seconds: float = Field(
        300, ge=1, description="How often that secret is read again."
    )
    s3_public_acl: bool = Field(
        False,
        description="Objects of public files get the ACL public-read; their url is then the store's.",
    )
    cloudfront_domain: Host = Field(
        None, description="A CloudFront domain before the bucket: files then have a cdn_url."
    )
    cloudfront_key_pair_id: Text = Field(
        None, description="Signs the cdn_url of private files: the id of the public key."
    )
    cloudfront_private_key: Secret = Field(
        None, description="And the private one, RSA in PEM; line ends may be written as \\n."
    )
    staging_backend: Annotated[Literal["disk", "s3"], Lower] = Field(
        "disk",
        description="Where chunks wait: STAGING_DIR, or the bucket, below S3_STAGING_PREFIX.",
    )
    staging_dir: Path | None = Field(
        None, description="Where chunks wait; DATA_DIR/staging unless set."
    )
    staging_floor: ByteSize = Field(
        ByteSize(256 * 1024**2),
        description="Disk space that is never used; with the embedded S3 at least 2 % of the disk.",
    )

    s3_staging_prefix: str = Field(
        ".staging/",
        pattern="^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*/$",
        description="Where in the bucket lies what is not checked yet; of no other service.",
    )
    s3_max_file_size_mb: Number = Field(
        None, ge=1, description="The largest file of the profile `default`, in MiB."
    )
    s3_allowed_extensions: Names = Field(
        [], description="The only extensions of the profile `default`, with commas between."
    )
    s3_allowed_mime_types: Names = Field(
        [], description="The only types of the profile `default`, with commas between."
    )
    s3_use_uuid_prefix: bool = Field(True, description="Keys begin with the file's id.")
    s3_preserve_filename: bool = Field(True, description="Keys end with the file's name.")
    s3_folder_structure: str = Field(
        "{year}/{month}/{day}",
        description="Where files lie that name no folder; {year} {month} {day} {hour}, or nothing.",
    )

    jwt_algorithm: Annotated[Literal["HS256", "RS256", "ES256"], Upper] = Field(
        "HS256", description="The one accepted algorithm."
    )
    jwt_secret_key: Secret = Field(None, description="For HS256; at least 32 characters.")
    jwt_public_key: Pem = Field(
        None, description="For RS256 and ES256, in PEM; in one line with \\n for its ends of lines."
    )
    jwt_jwks_url: Text = Field(None, description="Or where the issuer publishes its keys.")
    jwt_issuer: Text = Field(None, description="Checked when set.")
    jwt_audience: Text = Field(None, description="Checked when set.")

    link_secret_key: Secret = Field(
        None, description="Signs the links of STORAGE_BACKEND=local; JWT_SECRET_KEY unless set."
    )

    chunk_size: ByteSize = Field(
        ByteSize(8 * 1024**2), ge=1024, description="Of chunks, when the client names none."
    )
    upload_expiry_minutes: int = Field(
        1440, ge=1, description="How long an upload waits for its next bytes."
    )
    max_open_unsized: int = Field(
        1000,
        ge=1,
        description="How many uploads by /s3 a user may have open at once, and each of its grants.",
    )
    allow_empty_files: bool = Field(False, description="Let files of no bytes through.")
    max_size_image: ByteSize = Field(ByteSize(100 * 1024**2), description="The largest image.")
    max_size_audio: ByteSize = Field(ByteSize(5 * 1024**3), description="The largest audio file.")
    max_size_video: ByteSize = Field(ByteSize(50 * 1024**3), description="The largest video.")
    max_size_document: ByteSize = Field(ByteSize(5 * 1024**3), description="The largest document.")
    profiles_file: Path | None = Field(
        None, description="TOML with profiles that narrow or widen the types."
    )
    thumbnail_sizes: str = Field(
        "small=150,medium=400,large=1024", description="Names and longer sides in pixels."
    )
    max_pixels: int = Field(50_000_000, ge=1, description="The largest image that is decoded.")
    gateway_allow_anonymous: bool = Field(
        False, description="Whether /api/v1/upload serves who sends no token, all as one user."
    )
    tus_require_token: bool = Field(
        False, description="Whether each request of /tus needs a token, beside its address."
    )
    tus_without: Names = Field(
        [], description="Extensions of tus that are not offered, with commas between."
    )
    trusted_proxies: int = Field(
        0, ge=0, le=8, description="How many proxies stand in front, whose X-Forwarded-* are true."
    )
    max_file_size: ByteSize = Field(
        ByteSize(10 * 1024**2), ge=1, description="The largest file of /api/v1/upload."
    )
    allowed_file_types: Names = Field(
        ["image/jpeg", "image/png", "image/gif", "application/pdf"],
        min_length=1,
        description="What /api/v1/upload takes.",
    )
    file_cleanup_days: Days = Field(
        None, gt=0, le=36500, description="When files of /api/v1/upload expire; never unless set."
    )
    presigned_url_expiry: int = Field(
        3600, ge=1, le=604800, description="Of links, when none is asked for."
    )

    download_url_expiry: int = Field(
        300, ge=1, le=604800, description="The same of links that force a download."
    )

    lease_seconds: float = Field(30, gt=0, description="How long a silent worker keeps its job.")
    heartbeat_seconds: float = Field(8, gt=0, description="How often a worker extends its lease.")
    max_attempts: int = Field(3, ge=1, description="How often a job is tried.")
    reconcile_seconds: float = Field(5, gt=0, description="How often forgotten work is looked for.")
    adopt_seconds: float = Field(
        15,
        gt=0,
        le=30,
        description="How often what lies in the store uncalled-for is looked for, and its least age.",
    )
    redispatch_seconds: float = Field(
        15, gt=0, description="When a job in a busy queue counts as forgotten."
    )
    failed_upload_days: float = Field(
        7, gt=0, description="How long a failed upload can be retried."
    )
    deleted_file_days: float = Field(
        30, gt=0, description="When a deleted file is removed for good."
    )
    job_record_days: float = Field(
        30, gt=0, description="How long ended uploads and jobs are kept."
    )
    sweep_grace_hours: float = Field(
        24, ge=0, description="Age and time between two sightings of an orphan."
    )
    sweep_cap: int = Field(1000, ge=1, description="How many things one run of a sweep removes.")
    audit_reread_bytes: ByteSize = Field(
        ByteSize(10 * 1024**3), description="How much one run of `reread` reads again."
    )

    webhook_allow_private: bool = Field(
        False, description="Webhooks may go to private addresses: tests only."
    )
    main_service_notify_url: Url = Field(
        None, description="Where a main service hears of the uploads that it has numbered."
    )
    main_service_notify_secret: SigningSecret = Field(
        None, description="Signs for it, whsec_ and base64; unsigned unless set."
    )
    cors_origins: Pages = Field(["*"], description="Browsers' origins that may call the API.")
    tenant_origins: Origins = Field(
        {},
        description="The only origins of some tenants: acme=https://a.example https://b.example, …",
    )

    rate_limits: Annotated[Literal["on", "off"], Lower] = Field(
        "on", description="Whether requests are counted per user; off switches all of these off."
    )
    rate_limit_numbered_upload: Rate = Field("10/minute", description="Of /api/files/upload.")
    rate_limit_numbered_list: Rate = Field("100/minute", description="Of GET /api/files.")
    rate_limit_numbered_delete: Rate = Field("50/minute", description="Of DELETE /api/files/….")
    rate_limit_read: Rate = Field(
        "off", description="Of a user's other requests that only read: 600/minute, say."
    )
    rate_limit_write: Rate = Field(
        "off", description="Of a user's other requests that write; each chunk is one."
    )

    web_workers: int = Field(2, ge=1, description="Processes of the web.")
    web_threads: int = Field(64, ge=4, description="Threads of each.")
    web_head_seconds: float = Field(
        10, gt=0, description="How long a request's head may take, and a body of up to 16 KiB."
    )
    web_grace_seconds: float = Field(
        30, gt=0, description="Of a body, beside a second for 16 KiB; of the reader of a block."
    )
    web_silence_seconds: float = Field(60, gt=0, description="How long no more of a body may come.")
    worker_concurrency: int = Field(2, ge=1, description="Jobs a worker runs at once.")
    parallel_parts: int = Field(3, ge=1, le=16, description="S3 parts a job sends at once.")
    flower_url: Text = Field(None, description="Where operators reach Flower; shown, not used.")

    @field_validator("allowed_file_types")
    @classmethod
    def _refuse_unknown_types(cls, names: list[str]) -> list[str]:
        if unknown := [name for name in names if by_name(canonical(name)) is None]:
            raise ValueError(f"unknown types: {', '.join(unknown)}")
        return names

    @model_validator(mode="after")
    def _refuse_what_contradicts(self) -> Self:
        if self.lease_seconds < 3 * self.heartbeat_seconds:
            raise ValueError("LEASE_SECONDS is less than three HEARTBEAT_SECONDS")
        if self.staging_backend == "s3" and self.storage_backend != "s3":
            raise ValueError("STAGING_BACKEND=s3 wants STORAGE_BACKEND=s3")
        secret = self.jwt_secret_key
        if self.jwt_algorithm == "HS256":
            if secret is not None and len(secret.get_secret_value()) < _SHORTEST_SECRET:
                raise ValueError(f"JWT_SECRET_KEY is shorter than {_SHORTEST_SECRET} characters")
        elif self.jwt_public_key is None and self.jwt_jwks_url is None:
            raise ValueError(f"{self.jwt_algorithm} wants JWT_PUBLIC_KEY or JWT_JWKS_URL")
        if self.cloudfront_domain and not _HOST.fullmatch(self.cloudfront_domain):
            raise ValueError("CLOUDFRONT_DOMAIN: is a host name, without a path")
        pair = (self.cloudfront_key_pair_id, self.cloudfront_private_key)
        if any(pair) and not (all(pair) and self.cloudfront_domain):
            raise ValueError(
                "CLOUDFRONT_KEY_PAIR_ID and CLOUDFRONT_PRIVATE_KEY go together, with CLOUDFRONT_DOMAIN"
            )
        try:
            where = f"{self.layout.structure}/"
        except ValueError as error:
            raise ValueError(f"S3_FOLDER_STRUCTURE: {error}") from None
        if where.startswith(self.s3_staging_prefix):
            raise ValueError("S3_FOLDER_STRUCTURE: S3_STAGING_PREFIX is the service's own")
        return self

    @property
    def rates(self) -> dict[str, str]:
        """Requests per time by what is counted, without what is not limited."""
        if self.rate_limits == "off":
            return {}
        said = {
            "numbered_upload": self.rate_limit_numbered_upload,
            "numbered_list": self.rate_limit_numbered_list,
            "numbered_delete": self.rate_limit_numbered_delete,
            "read": self.rate_limit_read,
            "write": self.rate_limit_write,
        }
        return {name: each for name, each in said.items() if each != "off"}

    @property
    def layout(self) -> Layout:
        return layout_of(
            structure=self.s3_folder_structure,
            uuid_prefix=self.s3_use_uuid_prefix,
            preserve_filename=self.s3_preserve_filename,
        )

    @property
    def browser_origins(self) -> list[str]:
        """Those that somebody may ask from: which tenant does, a preflight does not say."""
        theirs = {each for origins in self.tenant_origins.values() for each in origins}
        return [*self.cors_origins, *sorted(theirs - set(self.cors_origins))]

    @property
    def public_url(self) -> str:
        return (self.base_url or f"http://127.0.0.1:{self.port}").rstrip("/")

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'sluice.db'}"

    @property
    def staging(self) -> Path:
        return self.staging_dir or self.data_dir / "staging"


class BadSettings(Exception):  # as all our errors
    """The settings can't be used; the message is one line and names no value."""


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process, read once. Raises `BadSettings`."""
    return read_settings()


def read_settings(**overrides: Any) -> Settings:
    try:
        return Settings(**overrides)
    except ValidationError as error:
        said = [
            f"{'.'.join(str(part) for part in each['loc']).upper() or 'settings'}: {each['msg']}"
            for each in error.errors()
        ]
        raise BadSettings("; ".join(said)) from None
    except Disagreement as error:
        raise BadSettings(str(error)) from None
