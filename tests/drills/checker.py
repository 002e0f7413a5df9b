"""The judge of a real stack: its bucket and its staging, asked as anybody may ask them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.model.naming import HIGH_WATER
from tests.drills.invariants import Judge

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Checker(Judge):
    """Objects below the prefixes `kept` are no files', and to stay."""

    s3: "S3Client"
    bucket: str
    kept: tuple[str, ...] = (HIGH_WATER,)

    def begun(self) -> Iterator[str]:
        pending = self.s3.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
        return (each["Key"] for each in pending)

    def content(self, key: str) -> Iterator[bytes]:
        try:
            body = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"]
        except self.s3.exceptions.NoSuchKey:
            raise KeyError(key) from None
        yield from body.iter_chunks(1024 * 1024)

    def sizes(self) -> Mapping[str, int]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        found = [each for page in pages for each in page.get("Contents", [])]
        return {
            each["Key"]: each["Size"] for each in found if not each["Key"].startswith(self.kept)
        }
