"""Objects in one S3 bucket, and whatever speaks S3.

Signature version 4 always; payloads are not signed but carry a CRC-64/NVME that the store checks,
because some stores accept a wrong payload hash. Where a store has no conditional writes, a HEAD
before the write and the database's unique key stand in.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from io import BytesIO
from typing import Any, Final

from shared.adapters.client_s3 import (
    PATIENT,
    NoConditions,
    Patience,
    S3Place,
    begun,
    s3_client,
    translated,
)
from shared.adapters.digests_s3 import bare, base64_of, expected
from shared.errors import KeyTaken, NotFound, Unavailable
from shared.model.digest import crc64
from shared.model.stored import UPLOAD_ID, OpenMultipart, Part, StoredObject

_DELETE_BATCH: Final = 1000


class S3Objects:
    def __init__(self, place: S3Place, patience: Patience = PATIENT) -> None:
        self._place = place
        self._client = s3_client(place, place.endpoint, patience)
        public = place.public_endpoint
        self._signer = s3_client(place, public) if public else self._client
        self._conditional = True

    def put(self, key: str, body: bytes, *, content_type: str, upload_id: str) -> str:
        def write(**condition: Any) -> str:
            answer = self._client.put_object(
                Bucket=self._place.bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                Metadata={UPLOAD_ID: upload_id},
                ChecksumCRC64NVME=base64_of(crc64(body)),
                **condition,
            )
            return bare(answer["ETag"])

        return self._create_only(key, write)

    def begin_multipart(self, key: str, *, content_type: str, upload_id: str) -> str:
        with self._asking(key):
            answer = self._client.create_multipart_upload(
                Bucket=self._place.bucket,
                Key=key,
                ContentType=content_type,
                Metadata={UPLOAD_ID: upload_id},
                ChecksumAlgorithm="CRC64NVME",
                ChecksumType="FULL_OBJECT",
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

    def complete_multipart(self, key: str, multipart_id: str, parts: Sequence[Part]) -> str:
        listed: Any = [
            {
                "PartNumber": part.number,
                "ETag": f'"{part.etag}"',
                "ChecksumCRC64NVME": base64_of(part.crc64),
            }
            for part in parts
        ]

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
                return self._create_only(key, write)
            except NotFound as error:
                # The answer to our own completion may have been lost: then the object is there.
                if self.find(key) is None:
                    raise
                raise KeyTaken("There is an object under this key.", key=key) from error

    def abort_multipart(self, key: str, multipart_id: str) -> None:
        try:
            with self._asking(key):
                self._client.abort_multipart_upload(
                    Bucket=self._place.bucket, Key=key, UploadId=multipart_id
                )
        except NotFound:
            return

    def holds(self, key: str, upload_id: str, written: bytes | Sequence[Part]) -> str | None:
        head = self._head(key, ChecksumMode="ENABLED")
        if head is None or head["Metadata"].get(UPLOAD_ID) != upload_id:
            return None
        etag, size, checksum = expected(written)
        if head["ContentLength"] != size:
            return None
        there = bare(head["ETag"])
        # An object that is encrypted with a key of KMS has an ETag that says nothing of its bytes.
        said = head.get("ChecksumCRC64NVME")
        agrees = there == etag if said is None else said == checksum
        return there if agrees else None

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

    def read(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        with self._asking(key):
            answer = self._client.get_object(
                Bucket=self._place.bucket, Key=key, Range=f"bytes={start}-{stop - 1}"
            )
        return self._blocks(key, answer["Body"])

    def delete(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), _DELETE_BATCH):
            batch: Any = [{"Key": key} for key in keys[start : start + _DELETE_BATCH]]
            with self._asking("delete"):
                answer = self._client.delete_objects(
                    Bucket=self._place.bucket, Delete={"Objects": batch, "Quiet": True}
                )
            if answer.get("Errors"):
                raise Unavailable("objects", "The object store kept some objects.")

    def listing(self, *, after: str = "") -> Iterator[StoredObject]:
        paginator = self._client.get_paginator("list_objects_v2")
        pages = paginator.paginate(Bucket=self._place.bucket, StartAfter=after)
        with self._asking("list"):
            for page in pages:
                for each in page.get("Contents", []):
                    yield StoredObject(
                        each["Key"], each["Size"], bare(each["ETag"]), "", each["LastModified"], {}
                    )

    def open_multiparts(self) -> Iterator[OpenMultipart]:
        paginator = self._client.get_paginator("list_multipart_uploads")
        with self._asking("list"):
            for page in paginator.paginate(Bucket=self._place.bucket):
                for each in page.get("Uploads", []):
                    yield OpenMultipart(each["Key"], each["UploadId"], each["Initiated"])

    def presign(self, key: str, lifetime: timedelta, *, disposition: str, content_type: str) -> str:
        url: str = self._signer.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self._place.bucket,
                "Key": key,
                "ResponseContentDisposition": disposition,
                "ResponseContentType": content_type,
            },
            ExpiresIn=int(lifetime.total_seconds()),
        )
        return url

    def url(self, key: str) -> str:
        endpoint = self._place.public_endpoint or self._place.endpoint
        if endpoint is None:
            return f"https://{self._place.bucket}.s3.{self._place.region}.amazonaws.com/{key}"
        return f"{endpoint.rstrip('/')}/{self._place.bucket}/{key}"

    def check(self) -> None:
        try:
            with self._asking(self._place.bucket):
                self._client.head_bucket(Bucket=self._place.bucket)
        except NotFound as error:
            raise Unavailable("objects", "The bucket does not exist.") from error

    def make_bucket(self, origins: Sequence[str]) -> None:
        """Make the bucket unless it is there, and let browsers of `origins` use it."""
        bucket = self._place.bucket
        with contextlib.suppress(KeyTaken), self._asking(bucket):
            self._client.create_bucket(Bucket=bucket)
        rule: Any = {
            "AllowedMethods": ["GET", "HEAD", "PUT", "POST", "DELETE"],
            "AllowedOrigins": list(origins),
            "AllowedHeaders": ["*"],
            "ExposeHeaders": ["ETag"],
            "MaxAgeSeconds": 3600,
        }
        with self._asking(bucket):
            self._client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})

    def _head(self, key: str, **how: Any) -> Mapping[str, Any] | None:
        try:
            with self._asking(key):
                return dict(self._client.head_object(Bucket=self._place.bucket, Key=key, **how))
        except NotFound:
            return None

    def _create_only(self, key: str, write: Any) -> str:
        if self._conditional:
            try:
                with self._asking(key):
                    return str(write(IfNoneMatch="*"))
            except NoConditions:
                self._conditional = False
        if self.find(key) is not None:
            raise KeyTaken("There is an object under this key.", key=key)
        with self._asking(key):
            return str(write())

    def _asking(self, key: str) -> contextlib.AbstractContextManager[None]:
        return translated(key)

    def _blocks(self, key: str, body: Any) -> Iterator[bytes]:
        with self._asking(key), body:
            yield from body.iter_chunks(256 * 1024)
