"""Objects written to an S3 bucket, and deleted there, under conditions.

Signature version 4 always; payloads are not signed but carry a CRC-64/NVME that the store checks,
because some stores accept a wrong payload hash. Whether a store knows a condition is learned from
its answers; where it does not, a HEAD before the request and the database's unique key stand in.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from io import BytesIO
from typing import Any, Final

from shared.adapters.acls_s3 import Acls
from shared.adapters.bucket_s3 import SeenBucket
from shared.adapters.client_s3 import (
    NoConditions,
    Patience,
    S3Place,
    begun,
    s3_client,
    translated,
    unconditionally,
)
from shared.adapters.digests_s3 import bare, base64_of
from shared.errors import KeyTaken, NotFound, Unavailable
from shared.model.digest import crc64
from shared.model.stored import UPLOAD_ID, Part, StoredObject

_DELETE: Final = "DeleteObject"
_DELETE_BATCH: Final = 1000
_SLOW_SECONDS: Final = 120.0  # a store may be silent for so long while it copies or joins


class S3Writes:
    def __init__(self, place: S3Place, patience: Patience) -> None:
        self._place = place
        self._client = s3_client(place, place.endpoint, patience)
        self._slow = s3_client(place, place.endpoint, replace(patience, read_seconds=_SLOW_SECONDS))
        self._acls = Acls(place, self._client, patience)
        self._unknown: set[str] = set()  # conditions, by the request they are of
        self._bucket = SeenBucket(self._ask_for_bucket)

    @property
    def place(self) -> S3Place:
        return self._place

    def put(
        self,
        key: str,
        body: bytes,
        *,
        content_type: str,
        upload_id: str,
        is_public: bool = False,
        over: str | None = None,
    ) -> str:
        def write(**condition: Any) -> str:
            answer = self._acls.sent(
                is_public,
                self._client.put_object,
                Bucket=self._place.bucket,
                Key=key,
                Body=body,
                ChecksumCRC64NVME=base64_of(crc64(body)),
                **self._facts(content_type, upload_id),
                **condition,
            )
            return bare(answer["ETag"])

        return self._write(key, write, over)

    def begin_multipart(
        self, key: str, *, content_type: str, upload_id: str, is_public: bool = False
    ) -> str:
        with unconditionally(), self._asking(key):
            answer = self._acls.sent(
                is_public,
                self._client.create_multipart_upload,
                Bucket=self._place.bucket,
                Key=key,
                ChecksumAlgorithm="CRC64NVME",
                ChecksumType="FULL_OBJECT",
                **self._facts(content_type, upload_id),
            )
            return answer["UploadId"]

    def put_part(
        self, key: str, multipart_id: str, number: int, offset: int, body: BytesIO
    ) -> Part:
        with body.getbuffer() as content:
            length, checksum = len(content), crc64(content)
        body.seek(0)
        with begun(), self._asking(key):
            answer = self._client.upload_part(
                Bucket=self._place.bucket,
                Key=key,
                UploadId=multipart_id,
                PartNumber=number,
                Body=body,
                ChecksumCRC64NVME=base64_of(checksum),
            )
        return Part(number, offset, length, bare(answer["ETag"]), checksum)

    def complete_multipart(
        self, key: str, multipart_id: str, parts: Sequence[Part], *, over: str | None = None
    ) -> str:
        listed = [
            {
                "PartNumber": part.number,
                "ETag": f'"{part.etag}"',
                "ChecksumCRC64NVME": base64_of(part.crc64),
            }
            for part in parts
        ]
        return self._completed(key, multipart_id, listed, over)

    def _completed(
        self,
        key: str,
        multipart_id: str,
        parts: Sequence[Mapping[str, Any]],
        over: str | None = None,
    ) -> str:
        listed: Any = parts

        def write(**condition: Any) -> str:
            answer = self._client.complete_multipart_upload(
                Bucket=self._place.bucket,
                Key=key,
                UploadId=multipart_id,
                MultipartUpload={"Parts": listed},
                **condition,
            )
            return bare(answer["ETag"])

        with begun():
            try:
                return self._write(key, write, over)
            except NotFound as error:
                # The answer to our own completion may have been lost: then the object is there.
                if self.find(key) is None:
                    raise
                raise taken(key) from error

    def abort_multipart(self, key: str, multipart_id: str) -> None:
        try:
            with self._asking(key):
                self._client.abort_multipart_upload(
                    Bucket=self._place.bucket, Key=key, UploadId=multipart_id
                )
        except NotFound:
            return

    @property
    def gives_away(self) -> bool:
        return self._place.public_acl

    def set_public(self, key: str, *, is_public: bool) -> None:
        self._acls.put(key, is_public=is_public)

    def find(self, key: str) -> StoredObject | None:
        head = self._head(key)
        if head is None:
            return None
        return StoredObject(
            key,
            head["ContentLength"],
            bare(head["ETag"]),
            head["ContentType"],
            head["LastModified"],
            head["Metadata"],
        )

    def delete(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), _DELETE_BATCH):
            batch: Any = [{"Key": key} for key in keys[start : start + _DELETE_BATCH]]
            with self._asking("delete"):
                answer = self._client.delete_objects(
                    Bucket=self._place.bucket, Delete={"Objects": batch, "Quiet": True}
                )
            if answer.get("Errors"):
                raise Unavailable("objects", "The object store kept some objects.")

    def delete_seen(self, seen: StoredObject) -> bool:
        said: dict[str, Any] = {"Bucket": self._place.bucket, "Key": seen.key}
        if _DELETE not in self._unknown:
            try:
                with self._asking(seen.key):
                    return _at_once(self._client.delete_object(**said, IfMatch=f'"{seen.etag}"'))
            except NoConditions:
                self._unknown.add(_DELETE)
            except (KeyTaken, NotFound):
                return False
        if self.find(seen.key) != seen:
            return False
        with self._asking(seen.key):
            return _at_once(self._client.delete_object(**said))

    def _facts(self, content_type: str, upload_id: str) -> dict[str, Any]:
        facts = {"ContentType": content_type, "Metadata": {UPLOAD_ID: upload_id}}
        return facts | self._place.encryption

    def _head(self, key: str, **how: Any) -> Mapping[str, Any] | None:
        try:
            with self._asking(key):
                return dict(self._client.head_object(Bucket=self._place.bucket, Key=key, **how))
        except NotFound:
            self._bucket.refuse_lost()
            return None

    def _ask_for_bucket(self) -> None:
        """Raise `Unavailable`, `AccessDenied` among them, unless the bucket is there."""
        try:
            with self._asking(self._place.bucket):
                self._client.head_bucket(Bucket=self._place.bucket)
        except NotFound as error:
            raise Unavailable("objects", "The bucket does not exist.") from error

    def _write(self, key: str, write: Any, over: str | None) -> str:
        condition, said = ("IfNoneMatch", "*") if over is None else ("IfMatch", f'"{over}"')
        if condition not in self._unknown:
            try:
                with self._asking(key):
                    return str(write(**{condition: said}))
            except NoConditions:
                self._unknown.add(condition)
            except NotFound as error:
                if over is None:
                    raise
                raise taken(key) from error
        there = self.find(key)
        if over != (None if there is None else there.etag):
            raise taken(key)
        with unconditionally(), self._asking(key):
            return str(write())

    def _asking(self, key: str) -> AbstractContextManager[None]:
        return translated(key)


def _at_once(answer: Any) -> bool:
    """Say whether the first request was answered: otherwise it may be obeyed after the second."""
    return bool(answer["ResponseMetadata"]["RetryAttempts"] == 0)


def taken(key: str) -> KeyTaken:
    return KeyTaken("There is another object under this key, or none.", key=key)
