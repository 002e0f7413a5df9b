"""The JSON forms of uploads, jobs and files: the same in answers, events and webhooks.

Times are RFC 3339 in UTC with a `Z`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from shared.model import direct
from shared.model.coverage import missing, received_ranges
from shared.model.direct import Targets
from shared.model.file import File, Thumbnail
from shared.model.job import Job, JobStatus, StepRun
from shared.model.lifecycle import FINAL_UPLOADS, UploadState
from shared.model.upload import Chunk, Upload
from shared.ports import Cdn, ObjectStore

_WHOLE = frozenset({UploadState.SEALED, UploadState.PROCESSING, UploadState.READY})


@dataclass(frozen=True, slots=True)
class Describing:
    """`base_url` is where clients reach us, without a slash at the end.

    `folder` is where objects lie on this host, if they do.
    """

    base_url: str
    objects: ObjectStore
    folder: Path | None = None
    cdn: Cdn | None = None

    def upload(
        self, upload: Upload, chunks: Sequence[Chunk] | None, job: Job | None
    ) -> dict[str, Any]:
        """Describe an upload; of chunks that are None nobody knows which have arrived."""
        whole, ended = upload.state in _WHOLE, upload.state in FINAL_UPLOADS
        here, is_known = chunks or (), chunks is not None
        ranges = [(0, upload.size)] if whole else received_ranges(upload, here)
        # Of what ended otherwise only the chunks that are kept are here, and none is waited for.
        kept = upload.received if whole else sum(chunk.length for chunk in here)
        return {
            "id": upload.id,
            "state": upload.state,
            "filename": upload.filename,
            "size": upload.size,
            "chunk_size": upload.chunk_size,
            "received": [list(each) for each in ranges] if is_known else None,
            "received_bytes": kept if is_known else None,
            "missing": [] if whole or ended else _missing(upload, chunks),
            "created_at": when(upload.created_at),
            "expires_at": when(upload.expires_at),
            "job_id": None if job is None else job.id,
            "file_id": upload.id if upload.state is UploadState.READY else None,
            "transfer": upload.transfer,
        }

    def targets(self, handed: Targets) -> dict[str, Any]:
        targets = [
            {
                "number": target.number,
                "method": "PUT",
                "url": target.url,
                "headers": dict(target.headers),
                "offset": target.offset,
                "size": target.size,
            }
            for target in handed.targets
        ]
        return {"targets": targets, "targets_expire_at": when(handed.expires_at)}

    def job(self, status: JobStatus) -> dict[str, Any]:
        job = status.job
        described = {
            "id": job.id,
            "kind": job.kind,
            "state": job.state,
            "step": job.step,
            "progress": {"done": job.done, "total": job.total, "percent": job.percent},
            "attempt": job.attempts,
            "upload_id": job.upload_id,
            "file_id": None if status.file is None else status.file.id,
            "created_at": when(job.created_at),
            "started_at": when(job.started_at),
            "updated_at": when(job.updated_at),
            "finished_at": when(job.finished_at),
        }
        if status.visible_file is not None:
            described["file"] = self.file(status.visible_file)
        if job.error is not None:
            described["error"] = dict(job.error)
        return described

    def step_run(self, run: StepRun) -> dict[str, Any]:
        return {
            "step": run.step,
            "run": run.run,
            "attempt": run.attempt,
            "worker": run.worker,
            "outcome": run.outcome,
            "error": None if run.error is None else dict(run.error),
            "started_at": when(run.started_at),
            "finished_at": when(run.finished_at),
            "took_ms": None if run.took is None else run.took // timedelta(milliseconds=1),
        }

    def file(self, file: File) -> dict[str, Any]:
        return {
            "id": file.id,
            "filename": file.filename,
            "folder": file.folder,
            "description": file.description,
            "size": file.size,
            "content_type": file.content_type,
            "declared_type": file.declared_type,
            "category": file.category,
            "sha256": file.sha256,
            "etag": file.etag,
            "s3_key": file.key,
            "url": self._url(file),
            "cdn_url": self._cdn_url(file),
            "is_public": file.is_public,
            "width": file.width,
            "height": file.height,
            "duration": None,
            "thumbnails": [
                self._thumbnail(file, each) for each in sorted(file.thumbnails, key=_by_size)
            ],
            "metadata": dict(file.attributes),
            "tags": list(file.tags),
            "reference": file.reference,
            "owner": file.owner,
            "created_at": when(file.created_at),
            "updated_at": when(file.updated_at),
            "expires_at": when(file.expires_at),
            "deleted_at": when(file.deleted_at),
        }

    def place(self, file: File) -> str:
        """Return the object's URL, or its path on this host: for the one dialect that says paths."""
        return self.objects.url(file.key) if self.folder is None else str(self.folder / file.key)

    def stored(self, file: File) -> dict[str, Any]:
        """What the main service hears of a file beside what it knows."""
        return {
            "file_path_on_upload_service": self.place(file),
            "size": file.size,
            "sha256": file.sha256,
            "content_type": file.content_type,
        }

    def unfinished(self, upload: Upload, job: Job) -> dict[str, Any]:
        """The file that did not come to be, as its webhook tells of it."""
        return {
            "id": upload.id,
            "filename": upload.filename,
            "folder": upload.folder,
            "size": upload.size,
            "declared_type": upload.declared_type,
            "metadata": dict(upload.attributes),
            "tags": list(upload.tags),
            "reference": upload.reference,
            "owner": upload.owner,
            "job_id": job.id,
            "error": None if job.error is None else dict(job.error),
        }

    def job_url(self, job_id: str) -> str:
        return f"{self.base_url}/api/v1/jobs/{job_id}"

    def upload_url(self, upload_id: str) -> str:
        return f"{self.base_url}/api/v1/uploads/{upload_id}"

    def file_url(self, file_id: str) -> str:
        return f"{self.base_url}/api/v1/files/{file_id}"

    def _url(self, file: File) -> str:
        if file.is_public:
            return self.objects.public_url(file.key) or self._own_url(file)
        return self.objects.url(file.key)

    def _own_url(self, file: File) -> str:
        place = f"{file.id}/{quote(file.filename, safe='')}"
        return f"{self.base_url}/public/{quote(file.key) if file.is_known_by_key else place}"

    def _cdn_url(self, file: File) -> str | None:
        if self.cdn is None or file.deleted_at is not None:
            return None
        return self.cdn.url(file.key, is_public=file.is_public)

    def _thumbnail(self, file: File, small: Thumbnail) -> dict[str, Any]:
        return {
            "name": small.name,
            "url": f"{self.file_url(file.id)}/thumbnails/{small.name}",
            "width": small.width,
            "height": small.height,
            "content_type": small.content_type,
            "size": small.size,
        }


def _missing(upload: Upload, chunks: Sequence[Chunk] | None) -> list[int] | None:
    if chunks is None:
        return None
    if upload.is_stream:
        return []  # which is sent at its offset
    return direct.missing(upload, chunks) if upload.is_direct else missing(upload, chunks)


def _by_size(small: Thumbnail) -> tuple[int, int, str]:
    # The board and the database keep them in orders of their own.
    return small.width, small.height, small.name


def when(time: datetime | None) -> str | None:
    if time is None:
        return None
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
