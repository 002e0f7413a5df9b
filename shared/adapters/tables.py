"""The tables."""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from shared.adapters.sql_time import Instant

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_ID: Final = String(36)
# In the order of bytes, as stores list them, whatever order the database has for other text.
_KEY: Final = Text().with_variant(Text(collation="C"), "postgresql")
_HAS_ROOM: Final = text("reserved != 0")

uploads = Table(
    "uploads",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("owner", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("filename", Text, nullable=False),
    Column("folder", Text),
    Column("description", Text),
    Column("size", BigInteger),
    Column("chunk_size", BigInteger, nullable=False),
    Column("declared_type", String(255)),
    Column("sha256", String(64)),
    Column("attributes", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("is_public", Boolean, nullable=False),
    Column("expires_in", BigInteger),
    Column("reference", String(255)),
    Column("profile", String(64), nullable=False),
    Column("key", Text, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("transfer", String(16), nullable=False, server_default="chunked"),
    Column("replaces", _ID),
    Index(None, "tenant", "owner", "state"),
    Index(None, "state", "expires_at"),
    Index(None, "state", "updated_at"),
    Index(
        "ix_uploads_hoarding",
        *("state", "updated_at"),
        sqlite_where=_HAS_ROOM,
        postgresql_where=_HAS_ROOM,
    ),
)

chunks = Table(
    "chunks",
    metadata,
    Column("upload_id", _ID, ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("length", BigInteger, nullable=False),
    Column("crc64", String(16), nullable=False),
    Column("name", String(80), nullable=False),
    Column("home", _ID),  # the upload it came with, where that is another one
    Index(None, "home"),
)

resumables = Table(
    "resumables",
    metadata,
    Column("upload_id", _ID, ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True),
    Column("secret_sha256", String(64), nullable=False),
    Column("said", Text),
    Column("concat", Text),
)

joins = Table(
    "joins",
    metadata,
    Column("upload_id", _ID, ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("part_id", _ID, nullable=False, index=True),
)

direct = Table(
    "direct",
    metadata,
    Column("upload_id", _ID, ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("multipart_id", Text),
    Column("etag", String(255)),
    Column("is_cleared", Boolean, nullable=False),
    Column("links_until", Instant),
    Column("grant_id", _ID, index=True),
    Index(None, "is_cleared", "links_until"),  # of those to clear
)

grants = Table(
    "grants",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("owner", String(255), nullable=False),
    Column("secret_sha256", String(64), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("owner", String(255), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("upload_id", _ID, nullable=False, index=True),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("upload_id", _ID, nullable=False, unique=True),
    Column("tenant", String(64), nullable=False),
    Column("owner", String(255), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("step", String(32)),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("outages", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("error", JSON(none_as_null=True)),
    Column("worker", String(255)),
    Column("due_at", Instant, nullable=False),
    Column("lease_until", Instant),
    Column("dispatched_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("updated_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Index(None, "state", "due_at"),
    Index(None, "finished_at"),
)

job_steps = Table(
    "job_steps",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("job_id", _ID, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("step", String(32), nullable=False),
    Column("run", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("worker", String(255)),
    Column("outcome", String(16)),
    Column("error", JSON(none_as_null=True)),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Index(None, "job_id", "id"),
)

files = Table(
    "files",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("upload_id", _ID, unique=True),
    Column("tenant", String(64), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("owner", String(255), nullable=False),
    Column("filename", Text, nullable=False),
    Column("folder", Text),
    Column("description", Text),
    Column("size", BigInteger, nullable=False),
    Column("content_type", String(255), nullable=False),
    Column("declared_type", String(255)),
    Column("category", String(16), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("etag", String(255), nullable=False),
    Column("key", _KEY, nullable=False, unique=True),
    Column("is_public", Boolean, nullable=False),
    Column("width", Integer),
    Column("height", Integer),
    Column("attributes", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("reference", String(255)),
    Column("profile", String(64), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("expires_at", Instant, index=True),
    Column("deleted_at", Instant, index=True),
    Index(None, "tenant", "owner", "created_at", "id"),
    Index(None, "tenant", "owner", "filename", "id"),
    Index(None, "tenant", "owner", "size", "id"),
    Index(None, "tenant", "owner", "key", "id"),
    # For those who see the whole tenant.
    Index(None, "tenant", "created_at", "id"),
    Index(None, "tenant", "filename", "id"),
    Index(None, "tenant", "size", "id"),
    Index(None, "tenant", "key", "id"),
    Index(None, "tenant", "reference"),
    # For those that are kept for so many days.
    Index(None, "profile", "deleted_at", "created_at"),
    Index(None, "tenant", "number", unique=True),
)

file_tags = Table(
    "file_tags",
    metadata,
    Column("file_id", _ID, ForeignKey("files.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", String(128), primary_key=True),
)

thumbnails = Table(
    "thumbnails",
    metadata,
    Column("file_id", _ID, ForeignKey("files.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("key", _KEY, nullable=False, index=True),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("content_type", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
)

objects = Table(
    "objects",
    metadata,
    Column("key", _KEY, primary_key=True),
    Column("upload_id", _ID, nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("multipart_id", Text),
    Column("updated_at", Instant, nullable=False),
    Column("successor", _ID, index=True),
    Column("checked", JSON(none_as_null=True)),
    Index(None, "state", "updated_at"),
)

quotas = Table(
    "quotas",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("limit_bytes", BigInteger),
    Column("used", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("last_number", BigInteger, nullable=False, server_default="0"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("tenant", String(64), nullable=False, index=True),
    Column("created_by", String(255), nullable=False),
    Column("owner", String(255)),
    Column("url", Text, nullable=False),
    Column("events", JSON, nullable=False),
    Column("description", Text),
    Column("enabled", Boolean, nullable=False),
    Column("disabled_reason", Text),
    Column("secret", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("event_id", String(64), nullable=False),
    Column(
        "webhook_id", _ID, ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    Column("type", String(32), nullable=False),
    Column("payload", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("lease_until", Instant),
    Column("response_status", Integer),
    Column("error", Text),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("delivered_at", Instant),
    UniqueConstraint("webhook_id", "event_id"),
    Index(None, "state", "due_at"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(255)),
    Column("lease_until", Instant),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("result", JSON(none_as_null=True)),
)

sightings = Table(
    "sightings",
    metadata,
    Column("kind", String(32), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("first_seen_at", Instant, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
)
