"""What answers look like: documented by these models, and tests hold real answers against them."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Output(BaseModel):
    model_config = ConfigDict(extra="forbid")


class UploadOut(Output):
    id: str
    state: str
    filename: str
    size: int | None
    chunk_size: int
    received: list[tuple[int, int]] | None
    received_bytes: int | None
    missing: list[int] | None
    created_at: datetime
    expires_at: datetime
    job_id: str | None
    file_id: str | None
    transfer: str


class TargetOut(Output):
    number: int
    method: str
    url: str
    headers: dict[str, str]
    offset: int
    size: int | None


class TargetsOut(Output):
    targets: list[TargetOut]
    targets_expire_at: datetime


class OpenedOut(UploadOut):
    targets: list[TargetOut] | None = None
    targets_expire_at: datetime | None = None


class GrantOut(Output):
    id: str
    companion_url: str
    sign_url: str
    created_at: datetime
    expires_at: datetime


class ReceiptOut(Output):
    number: int
    length: int
    repeated: bool


class ThumbnailOut(Output):
    name: str
    url: str
    width: int
    height: int
    content_type: str
    size: int


class FileOut(Output):
    id: str
    filename: str
    folder: str | None
    description: str | None
    size: int
    content_type: str
    declared_type: str | None
    category: str
    sha256: str
    etag: str
    s3_key: str
    url: str
    cdn_url: str | None
    is_public: bool
    width: int | None
    height: int | None
    duration: float | None
    thumbnails: list[ThumbnailOut]
    metadata: dict[str, Any]
    tags: list[str]
    reference: str | None
    owner: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    deleted_at: datetime | None


class MetadataOut(FileOut):
    file_size: int
    last_modified: datetime


class FilesOut(Output):
    items: list[FileOut]
    next_cursor: str | None
    total: int | None = None
    limit: int | None = None
    offset: int | None = None


class LinkOut(Output):
    url: str
    expires_at: datetime


class ProgressOut(Output):
    done: int
    total: int
    percent: int


class JobErrorOut(BaseModel):
    model_config = ConfigDict(extra="allow")
    code: str
    detail: str


class DeletionOut(Output):
    id: str
    deleted: bool
    error: JobErrorOut | None


class DeletionsOut(Output):
    items: list[DeletionOut]


class StepRunOut(Output):
    step: str
    run: int
    attempt: int
    worker: str | None
    outcome: (
        Literal[
            "finished",
            "rejected",
            "failed",
            "interrupted",
            "put_off",
            "handed_back",
            "cancelled",
            "lost",
        ]
        | None
    )
    error: JobErrorOut | None
    started_at: datetime
    finished_at: datetime | None
    took_ms: int | None


class JobOut(Output):
    id: str
    kind: str
    state: Literal["queued", "running", "succeeded", "rejected", "failed", "cancelled"]
    step: str | None
    progress: ProgressOut
    attempt: int
    upload_id: str
    file_id: str | None
    file: FileOut | None = None
    error: JobErrorOut | None = None
    timeline: list[StepRunOut] | None = None
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    finished_at: datetime | None


class JobsOut(Output):
    items: list[JobOut]
    next_cursor: None


class HealthOut(Output):
    status: Literal["ok"]


class CheckOut(Output):
    ok: bool
    detail: str | None = None


class ReadyOut(Output):
    status: Literal["ready", "not ready"]
    checks: dict[str, CheckOut]


class Problem(BaseModel):
    """RFC 9457; more members may follow."""

    model_config = ConfigDict(extra="allow")
    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str | None
