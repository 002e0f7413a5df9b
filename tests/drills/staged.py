"""What lies in staging, seen from outside: a folder, or keys of a bucket."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MARK: Final = ".sluice"  # says whose staging it is
_BLOCK: Final = 1024 * 1024


class Staged(Protocol):
    """Bytes under the upload that they came with, and a name."""

    def names(self) -> Iterator[tuple[str, str]]:
        """Yield the upload and the name of all that lies there."""

    def content(self, place: str, name: str) -> Iterator[bytes]:
        """Yield these bytes. Raises `KeyError` when there are none."""


@dataclass(frozen=True)
class StagedInFolder:
    root: Path

    def names(self) -> Iterator[tuple[str, str]]:
        for path in self.root.rglob("*"):
            if path.is_file() and path.name != _MARK:
                yield path.parent.name, path.name

    def content(self, place: str, name: str) -> Iterator[bytes]:
        try:
            with (self.root / place[-2:] / place / name).open("rb") as source:
                while block := source.read(_BLOCK):
                    yield block
        except FileNotFoundError:
            raise KeyError(name) from None


@dataclass(frozen=True)
class StagedInBucket:
    """`prefix` is where chunks lie in the bucket."""

    s3: "S3Client"
    bucket: str
    prefix: str

    def names(self) -> Iterator[tuple[str, str]]:
        pages = self.s3.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix):
            for each in page.get("Contents", []):
                place, _, name = each["Key"].removeprefix(self.prefix).rpartition("/")
                if name != _MARK:
                    yield place, name

    def content(self, place: str, name: str) -> Iterator[bytes]:
        try:
            key = f"{self.prefix}{place}/{name}"
            body = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"]
        except self.s3.exceptions.NoSuchKey:
            raise KeyError(name) from None
        yield from body.iter_chunks(_BLOCK)
