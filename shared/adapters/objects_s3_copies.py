"""Objects copied inside an S3 bucket: the store moves the bytes, we send none.

One request, or above a size parts of that size: S3 copies at most 5 GiB at once, and what would be
one answer after minutes is many after seconds. A store that refuses a copy with a condition gets
parts, too, because the completion of a multipart upload has a condition of its own.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from operator import itemgetter
from typing import Any, Final

from shared.adapters.client_s3 import NoConditions, Patience, S3Place, unconditionally
from shared.adapters.digests_s3 import bare, told
from shared.adapters.objects_s3_writes import S3Writes, taken
from shared.errors import AppError, KeyTaken, NotFound, Unavailable

COPIED_AT_ONCE: Final = 256 * 1024**2  # bytes
_COPY: Final = "CopyObject"
_MOST_PARTS: Final = 10_000
_THREADS: Final = 4
_LOOK_SECONDS: Final = 1.0


class S3Copies(S3Writes):
    """Up to `copied_at_once` bytes are copied by one request; S3 wants from 5 MiB to 5 GiB."""

    def __init__(
        self, place: S3Place, patience: Patience, copied_at_once: int = COPIED_AT_ONCE
    ) -> None:
        super().__init__(place, patience)
        self._copied_at_once = copied_at_once

    def copy(
        self,
        source: str,
        key: str,
        *,
        etag: str,
        size: int,
        content_type: str,
        upload_id: str,
        is_public: bool = False,
        note: Callable[[str], object] | None = None,
        check: Callable[[], object] | None = None,
    ) -> str:
        facts: Any = {"content_type": content_type, "upload_id": upload_id, "is_public": is_public}
        self._refuse_another(source, etag)
        # Asked for, too: a store may have conditions of a PUT and ignore those of a copy.
        if self.find(key) is not None:
            raise taken(key)
        if size == 0:
            return self.put(key, b"", **facts)
        said = {
            "CopySource": {"Bucket": self._place.bucket, "Key": source},
            "CopySourceIfMatch": f'"{etag}"',
        }
        with self._sourced(source, etag):
            if size <= self._copied_at_once and _COPY not in self._unknown:
                try:
                    return self._copied(key, said, **facts)
                except NoConditions:
                    self._unknown.add(_COPY)
            multipart_id = self.begin_multipart(key, **facts)
            return self._copied_in_parts(key, multipart_id, said, size=size, note=note, check=check)

    def _copied(
        self, key: str, said: Any, *, content_type: str, upload_id: str, is_public: bool
    ) -> str:
        with self._asking(key):
            answer = self._acls.sent(
                is_public,
                self._slow.copy_object,
                Bucket=self._place.bucket,
                Key=key,
                MetadataDirective="REPLACE",
                ChecksumAlgorithm="CRC64NVME",
                IfNoneMatch="*",
                **self._facts(content_type, upload_id),
                **said,
            )
        return bare(answer["CopyObjectResult"]["ETag"])

    def _copied_in_parts(
        self,
        key: str,
        multipart_id: str,
        said: Any,
        *,
        size: int,
        note: Callable[[str], object] | None,
        check: Callable[[], object] | None,
    ) -> str:
        length = max(self._copied_at_once, -(-size // _MOST_PARTS))

        def part(start: int) -> dict[str, Any]:
            with unconditionally(), self._asking(key):
                answer = self._slow.upload_part_copy(
                    Bucket=self._place.bucket,
                    Key=key,
                    UploadId=multipart_id,
                    PartNumber=start // length + 1,
                    CopySourceRange=f"bytes={start}-{min(start + length, size) - 1}",
                    **said,
                )
            return {"PartNumber": start // length + 1, **told(answer["CopyPartResult"])}

        threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="copy")
        try:
            if note is not None:
                note(multipart_id)
            waiting = {threads.submit(part, start) for start in range(0, size, length)}
            parts: list[dict[str, Any]] = []
            while waiting:
                done, waiting = wait(waiting, _LOOK_SECONDS, FIRST_COMPLETED)
                parts += [each.result() for each in done]
                if check is not None:
                    check()
            parts.sort(key=itemgetter("PartNumber"))
            return self._completed(key, multipart_id, parts)
        except AppError:
            # Before the abort, which would miss parts on their way.
            threads.shutdown(cancel_futures=True)
            with suppress(Unavailable):  # then a sweep aborts it
                self.abort_multipart(key, multipart_id)
            raise
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def _sourced(self, source: str, etag: str) -> Iterator[None]:
        """Tell a source that is gone from a key that is taken: of one request S3 says both alike."""
        try:
            yield
        except (KeyTaken, NotFound) as refusal:
            self._refuse_another(source, etag)
            if isinstance(refusal, NotFound):
                raise Unavailable("objects", "The multipart upload is gone.") from refusal
            raise

    def _refuse_another(self, source: str, etag: str) -> None:
        there = self.find(source)
        if there is None or there.etag != etag:
            raise NotFound("object")
