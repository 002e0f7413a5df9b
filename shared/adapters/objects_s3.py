"""Objects in one S3 bucket, and whatever speaks S3: what is read, listed and linked.

How they are written and deleted is `objects_s3_writes`, how they are copied `objects_s3_copies`,
how one is made of parts of others `objects_s3_joins`.
"""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from shared.adapters.client_s3 import PATIENT, Patience, S3Place
from shared.adapters.digests_s3 import bare, expected
from shared.adapters.objects_s3_copies import COPIED_AT_ONCE, S3Copies
from shared.adapters.objects_s3_direct import S3Direct
from shared.adapters.objects_s3_joins import S3Joins
from shared.errors import KeyTaken
from shared.model.naming import HIGH_WATER
from shared.model.stored import UPLOAD_ID, OpenMultipart, StoredObject, Written


class S3Objects(S3Copies, S3Direct, S3Joins):
    def __init__(
        self,
        place: S3Place,
        patience: Patience = PATIENT,
        *,
        copied_at_once: int = COPIED_AT_ONCE,
    ) -> None:
        super().__init__(place, patience, copied_at_once)

    def holds(self, key: str, upload_id: str, written: Written) -> str | None:
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

    def read(self, key: str, start: int, stop: int, *, etag: str | None = None) -> Iterator[bytes]:
        with self._asking(key):
            answer = self._client.get_object(
                Bucket=self._place.bucket, Key=key, Range=f"bytes={start}-{stop - 1}"
            )
        if etag not in {None, bare(answer["ETag"])}:
            answer["Body"].close()
            raise KeyTaken("There is another object under this key.", key=key)
        return self._blocks(key, answer["Body"])

    def listing(self, *, after: str = "") -> Iterator[StoredObject]:
        found = self._listed(StartAfter=after)
        return (each for each in found if not each.key.startswith(HIGH_WATER))

    def waiting(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        return self._listed(Prefix=prefix, StartAfter=after)

    def open_multiparts(self) -> Iterator[OpenMultipart]:
        paginator = self._client.get_paginator("list_multipart_uploads")
        with self._asking("list"):
            for page in paginator.paginate(Bucket=self._place.bucket):
                for each in page.get("Uploads", []):
                    yield OpenMultipart(each["Key"], each["UploadId"], each["Initiated"])

    def presign(self, key: str, lifetime: timedelta, *, disposition: str, content_type: str) -> str:
        return self._signed(
            "get_object",
            key,
            lifetime,
            ResponseContentDisposition=disposition,
            ResponseContentType=content_type,
        )

    def url(self, key: str) -> str:
        endpoint = self._place.public_endpoint or self._place.endpoint
        path = quote(key, safe="/~")
        if endpoint is None:
            return f"https://{self._place.bucket}.s3.{self._place.region}.amazonaws.com/{path}"
        return f"{endpoint.rstrip('/')}/{self._place.bucket}/{path}"

    def public_url(self, key: str) -> str | None:
        return self.url(key) if self._acls.are_honoured() else None

    def check(self) -> None:
        self._ask_for_bucket()

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

    def _listed(self, **which: Any) -> Iterator[StoredObject]:
        paginator = self._client.get_paginator("list_objects_v2")
        with self._asking("list"):
            for page in paginator.paginate(Bucket=self._place.bucket, **which):
                for each in page.get("Contents", []):
                    yield StoredObject(
                        each["Key"], each["Size"], bare(each["ETag"]), "", each["LastModified"], {}
                    )

    def _blocks(self, key: str, body: Any) -> Iterator[bytes]:
        with self._asking(key), body:
            yield from body.iter_chunks(256 * 1024)
