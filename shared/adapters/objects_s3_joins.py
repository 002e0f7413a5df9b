"""Objects made of parts of others: the store copies them into a multipart upload by itself.

Stores differ here. Some know no `UploadPartCopy`, some deny it, some take it for an empty part, some
complete only parts of one length, or none that were copied. The first refusal is believed for the
process; whoever asked sends the bytes.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from botocore.exceptions import ClientError

from shared.adapters.client_s3 import Patience, S3Place, begun, unconditionally
from shared.adapters.digests_s3 import bare, base64_of, told
from shared.adapters.objects_s3_writes import S3Writes
from shared.errors import AccessDenied, AppError, NotJoined, Unavailable
from shared.model.stored import Part

log = logging.getLogger(__name__)

_REFUSED: Final = frozenset({400, 405, 411, 415, 422, 501})  # statuses
# Of a completion these come with 200, too, once it has begun; the SDK makes 500 of that.
_CODES: Final = frozenset(
    {"EntityTooSmall", "InvalidPart", "InvalidPartOrder", "InvalidRequest", "NotImplemented"}
)
_WRONG: Final = frozenset({"BadDigest", "XAmzContentChecksumMismatch"})  # no word on copies
_AGAIN: Final = frozenset({"RequestTimeout", "IncompleteBody"})  # 400, and no refusal


class S3Joins(S3Writes):
    def __init__(self, place: S3Place, patience: Patience) -> None:
        super().__init__(place, patience)
        self._joins = True
        self._learning = threading.Lock()

    @property
    def joins(self) -> bool:
        """Whether the store copies parts, as far as is known."""
        return self._joins

    def copy_part(
        self, source: str, start: int | None, key: str, multipart_id: str, part: Part
    ) -> Part:
        """Make `part` of an object's bytes from `start`, or of all of them; return it with its ETag.

        What the store says of the bytes is held against the part's checksum, if it says anything.
        """
        ranged: Any = {}
        if start is not None:
            ranged = {"CopySourceRange": f"bytes={start}-{start + part.length - 1}"}
        try:
            with begun(), unconditionally(), self._asking(key):
                answer = self._client.upload_part_copy(
                    Bucket=self._place.bucket,
                    Key=key,
                    UploadId=multipart_id,
                    PartNumber=part.number,
                    CopySource={"Bucket": self._place.bucket, "Key": source},
                    **ranged,
                )
        except Unavailable as refusal:
            if _is_refused(refusal) or self._is_denied(refusal, source):
                raise self._learned("UploadPartCopy", _code(refusal)) from refusal
            raise
        said = told(answer.get("CopyPartResult", {}))
        if "ETag" not in said:  # it was an empty part to this store
            raise self._learned("UploadPartCopy", None)
        if said.get("ChecksumCRC64NVME") not in {None, base64_of(part.crc64)}:
            raise NotJoined("The object store copied other bytes.")
        return replace(part, etag=bare(said["ETag"]), is_copied=True)

    def complete_multipart(
        self, key: str, multipart_id: str, parts: Sequence[Part], *, over: str | None = None
    ) -> str:
        before = frozenset(self._unknown)
        try:
            return super().complete_multipart(key, multipart_id, parts, over=over)
        except Unavailable as refusal:
            if any(part.is_copied for part in parts) and _code(refusal) in _WRONG:
                raise NotJoined("The object store has other bytes.") from refusal
            if any(part.is_copied for part in parts) and _is_refused(refusal):
                self._unknown &= before  # it was not for the condition
                raise self._learned("CompleteMultipartUpload", _code(refusal)) from refusal
            raise

    def _is_denied(self, refusal: Unavailable, source: str) -> bool:
        """Say whether it is the copy that is denied, and not everything."""
        if not isinstance(refusal, AccessDenied):
            return False
        try:
            return self.find(source) is not None
        except AppError:
            return False

    def _learned(self, operation: str, code: str | None) -> NotJoined:
        with self._learning:
            if self._joins:
                self._joins = False
                log.warning("store_does_not_join", extra={"operation": operation, "code": code})
        return NotJoined("The object store does not join what lies in it.")


def _is_refused(error: BaseException) -> bool:
    """Say whether the store has understood the request, and does not do such a thing."""
    answer = _answer(error)
    code, status = _code(error), answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if isinstance(error, AccessDenied) or code in _AGAIN:
        return False
    return code in _CODES or status in _REFUSED


def _code(error: BaseException) -> str | None:
    code: str | None = _answer(error).get("Error", {}).get("Code")
    return code


def _answer(error: BaseException | None) -> Any:
    """Return what the store said, of whichever error of ours it has become."""
    while error is not None:
        if isinstance(error, ClientError):
            return error.response
        error = error.__cause__
    return {}
