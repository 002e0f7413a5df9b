"""Uploads and their jobs: states that go together, a job for what is sealed, room for what is open."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Final

from shared.model.lifecycle import FINAL_JOBS, FINAL_UPLOADS, JobState, UploadState
from shared.model.upload import Upload
from shared.records import AuditedJob, AuditedUpload, Transaction
from shared.services.auditing.audit import BATCH, Audit
from shared.services.auditing.findings import Kind
from shared.services.ending import OVER

_REFUSED: Final = timedelta(days=1)  # so long the end of one waits that the store does not show
_WAITING: Final = frozenset({UploadState.SEALED, UploadState.PROCESSING})
_IDLE: Final = frozenset(
    {UploadState.RECEIVING, UploadState.SEALED}
)  # a worker has what it claimed
_NEEDLESS: Final = FINAL_UPLOADS - {UploadState.FAILED}
_TOGETHER: Final[Mapping[UploadState, frozenset[JobState | None]]] = {
    UploadState.RECEIVING: frozenset({None}),
    UploadState.SEALED: frozenset({JobState.QUEUED}),
    UploadState.PROCESSING: frozenset({JobState.RUNNING}),
    UploadState.READY: frozenset({JobState.SUCCEEDED}),
    UploadState.REJECTED: frozenset({JobState.REJECTED}),
    UploadState.FAILED: frozenset({JobState.FAILED}),
    UploadState.CANCELLED: frozenset({JobState.CANCELLED, None}),
    UploadState.EXPIRED: frozenset({None}),
    UploadState.JOINED: frozenset({None}),
}


def uploads(audit: Audit) -> None:
    """Hold each upload against its job, its chunks and its reservation."""
    for page in audit.pages(lambda after: _uploads(audit, after), lambda each: each.id):
        for each in page:
            _job(audit, each)
            _bytes(audit, each)
            _reservation(audit, each)
            _overdue(audit, each)


def lone_jobs(audit: Audit) -> None:
    """Report jobs whose upload has no row: nobody can claim them."""
    for page in audit.pages(lambda after: _jobs(audit, after), lambda each: each.id):
        for each in page:
            if not each.has_upload:
                audit.found(Kind.UPLOAD_MISSING, each.id, f"its upload {each.upload_id} has no row")


def _uploads(audit: Audit, after: str) -> list[AuditedUpload]:
    with audit.parts.records.read() as rows:
        return rows.audits.uploads(after, BATCH)


def _jobs(audit: Audit, after: str) -> list[AuditedJob]:
    with audit.parts.records.read() as rows:
        return rows.audits.jobs(after, BATCH)


def _job(audit: Audit, each: AuditedUpload) -> None:
    if each.job_state in _TOGETHER[each.state]:
        return
    if each.job_state is not None:
        detail = f"the upload is {each.state}, its job {each.job_state}"
        over = _end if each.state in OVER and each.job_state not in FINAL_JOBS else None
        audit.found(Kind.STATES_CONTRADICT, each.id, detail, over)
        return
    again = _queue if each.state in _WAITING else None
    audit.found(Kind.JOB_MISSING, each.id, f"the upload is {each.state} and has no job", again)


def _queue(audit: Audit, upload_id: str) -> bool:
    return audit.parts.jobs.queue_missing(upload_id)


def _end(audit: Audit, upload_id: str) -> bool:
    return audit.parts.ending.left_behind(upload_id)


def _bytes(audit: Audit, each: AuditedUpload) -> None:
    if each.state in FINAL_UPLOADS and not each.chunks:
        return
    if each.state in _NEEDLESS and not each.is_direct:
        if each.updated_at <= audit.latest:
            detail = f"the upload is {each.state}, and {each.chunks} of its chunks are kept"
            audit.found(Kind.CHUNKS_LEFT, each.id, detail, _forget_chunks)
    elif each.received != each.staged:
        detail = f"{each.received} bytes were received, its chunks have {each.staged}"
        audit.found(Kind.RECEIVED_WRONG, each.id, detail)
    elif each.state in _WAITING and each.size != each.received:
        detail = f"it was sealed with {each.received} bytes of {each.size}"
        audit.found(Kind.RECEIVED_WRONG, each.id, detail)


def _forget_chunks(audit: Audit, upload_id: str) -> bool:
    """Their bytes are then nobody's, and `staging-orphans` sees to them."""
    with audit.parts.records.begin() as rows:
        if _held(rows, upload_id, _NEEDLESS) is None:
            return False
        rows.chunks.drop(upload_id)
    return True


def _reservation(audit: Audit, each: AuditedUpload) -> None:
    if each.state in _IDLE and each.size and not each.reserved:
        detail = f"the upload is {each.state}, and holds no room for its {each.size} bytes"
        audit.found(Kind.RESERVATION_MISSING, each.id, detail, _reserve)
    can_be_retried = each.state is UploadState.FAILED and each.chunks
    if each.reserved and each.state in FINAL_UPLOADS and not can_be_retried:
        detail = f"the upload is {each.state} and holds {each.reserved} bytes of its quota"
        audit.found(Kind.RESERVATION_LEAKED, each.id, detail, _release)


def _reserve(audit: Audit, upload_id: str) -> bool:
    """Also beyond its tenant's limit: it was promised that room."""
    return _settled(audit, upload_id, _IDLE)


def _overdue(audit: Audit, each: AuditedUpload) -> None:
    """Report what a sweep should have ended, or cleared of what a retry would need, long ago."""
    if each.state is UploadState.RECEIVING and each.expires_at <= audit.latest - _REFUSED:
        detail = f"it still receives, and its time was over at {each.expires_at:%Y-%m-%d %H:%M}"
        audit.found(Kind.UPLOAD_OVERDUE, each.id, detail)
    if each.state is UploadState.FAILED and each.reserved and each.updated_at <= audit.given_up:
        detail = f"it failed at {each.updated_at:%Y-%m-%d %H:%M}, and is still kept for a retry"
        audit.found(Kind.UPLOAD_OVERDUE, each.id, detail)


def _release(audit: Audit, upload_id: str) -> bool:
    return _settled(audit, upload_id, FINAL_UPLOADS)


def _settled(audit: Audit, upload_id: str, states: AbstractSet[UploadState]) -> bool:
    """Let an upload in one of these states hold its room, or none once it has ended."""
    with audit.parts.records.begin() as rows:
        upload = _held(rows, upload_id, states)
        if upload is None:
            return False
        reserved = 0 if upload.state in FINAL_UPLOADS else upload.size
        rows.uploads.settle(upload_id, reserved=reserved)
        # Whether its quota knows of it is anybody's guess: to count is safe, to subtract is not.
        rows.audits.recount(upload.tenant)
    return True


def _held(rows: Transaction, upload_id: str, states: AbstractSet[UploadState]) -> Upload | None:
    """Hold an upload that is in one of these states; None when it is not."""
    upload = rows.uploads.find(upload_id)
    if upload is None or upload.state not in states:
        return None
    return upload if rows.uploads.hold(upload_id, upload.state) else None
