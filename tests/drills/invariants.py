"""The invariants, decided from outside: rows, the bucket, staging, and what clients were told.

Knows the tables and the bucket, and nothing of the product's own code that it judges.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Engine, text

from shared.model.naming import HIGH_WATER
from tests.drills.ledger import Entry

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_FINAL_JOBS: Final = frozenset({"succeeded", "rejected", "failed", "cancelled"})
_OPEN_UPLOADS: Final = "('receiving', 'sealed', 'processing', 'failed')"


@dataclass
class Verdict:
    """`breaches` is empty when all is well; `counts` says how much was looked at."""

    breaches: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        counted = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))
        return f"{len(self.breaches)} breaches; {counted}"


@dataclass(frozen=True)
class Judge:
    """Holds the rows against a store, which those who derive from it know how to look into."""

    engine: Engine

    def check(self, entries: Sequence[Entry]) -> Verdict:
        """Hold everything against the invariants, once nothing is at work any more."""
        verdict = Verdict()
        for name, breaches in (
            ("I1", self._lost(entries, verdict.counts)),
            ("I2", self._doubled(verdict.counts)),
            ("I3", self._stray(verdict.counts)),
            ("I4", self._hollow(verdict.counts)),
            ("I5", self._unfinished(verdict.counts)),
            ("I8", self._miscounted(verdict.counts)),
        ):
            verdict.breaches += [f"{name}: {said}" for said in breaches]
        return verdict

    def open_jobs(self) -> int:
        rows = self.rows("SELECT count(*) AS n FROM jobs WHERE state IN ('queued', 'running')")
        return int(rows[0]["n"])

    def rows(self, question: str, **said: Any) -> list[Mapping[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(question), said).mappings()]

    def _lost(self, entries: Sequence[Entry], counts: Counter[str]) -> Iterator[str]:
        """I1: what was acknowledged is there, and is what was sent."""
        files = {row["id"]: row for row in self.rows("SELECT id, sha256, size FROM files")}
        jobs = {row["upload_id"]: row for row in self.rows("SELECT upload_id, state FROM jobs")}
        chunks: dict[str, set[int]] = {}
        for row in self.rows("SELECT upload_id, number FROM chunks"):
            chunks.setdefault(row["upload_id"], set()).add(row["number"])
        for entry in entries:
            counts["uploads"] += 1
            upload_id = entry.upload_id or ""
            if entry.sealed and not entry.cancelled:
                file, job = files.get(upload_id), jobs.get(upload_id)
                if job is None:
                    yield f"{entry.name} was sealed and has no job"
                elif file is None:
                    yield f"{entry.name} is no file; its job is {job['state']}"
                elif (file["sha256"], file["size"]) != (entry.sha256, entry.size):
                    yield f"{entry.name} is not what was sent"
            elif entry.chunks and not entry.cancelled and upload_id not in jobs:
                gone = entry.chunks - chunks.get(upload_id, set())
                if gone:
                    yield f"{entry.name} has lost its chunks {sorted(gone)}"

    def _doubled(self, counts: Counter[str]) -> Iterator[str]:
        """I2: one upload, one file, one object."""
        counts["jobs"] = len(self.rows("SELECT id FROM jobs"))
        for table in ("files", "jobs"):
            twice = f"SELECT upload_id FROM {table} GROUP BY upload_id HAVING count(*) > 1"  # noqa: S608  # our own names
            for row in self.rows(twice):
                yield f"{row['upload_id']} has several {table}"

    def _stray(self, counts: Counter[str]) -> Iterator[str]:
        """I3: nothing in the bucket that no row knows, and no parts of nothing."""
        known = {row["key"] for row in self.rows("SELECT key FROM files")}
        known |= {row["key"] for row in self.rows("SELECT key FROM thumbnails")}
        there = set(self.keys())
        counts["objects"] = len(there)
        for key in sorted(there - known):
            yield f"object {key} of no file"
        for key in self.begun():
            yield f"unfinished parts of {key}"

    def _hollow(self, counts: Counter[str]) -> Iterator[str]:
        """I4: every file has its object, byte for byte, and its thumbnails."""
        files = self.rows("SELECT key, sha256, size FROM files")
        counts["files"] = len(files)
        with ThreadPoolExecutor(8) as pool:
            yield from filter(None, pool.map(self._damage, files))
        there = set(self.keys())
        for row in self.rows("SELECT key FROM thumbnails"):
            if row["key"] not in there:
                yield f"no thumbnail {row['key']}"

    def _damage(self, file: Mapping[str, Any]) -> str | None:
        hashed, size = hashlib.sha256(), 0
        try:
            for block in self.content(file["key"]):
                hashed.update(block)
                size += len(block)
        except KeyError:
            return f"no object {file['key']}"
        if (hashed.hexdigest(), size) != (file["sha256"], file["size"]):
            return f"object {file['key']} is not what its row says"
        return None

    def _unfinished(self, counts: Counter[str]) -> Iterator[str]:
        """I5: every job has ended, and its upload with it."""
        for row in self.rows("SELECT id, state, attempts FROM jobs"):
            counts[f"jobs {row['state']}"] += 1
            counts["most attempts"] = max(counts["most attempts"], row["attempts"])
            if row["state"] not in _FINAL_JOBS:
                yield f"job {row['id']} is {row['state']} after {row['attempts']} attempts"
        for row in self.rows(
            "SELECT id, state FROM uploads WHERE state IN ('sealed', 'processing')"
        ):
            yield f"upload {row['id']} is {row['state']}"

    def _miscounted(self, counts: Counter[str]) -> Iterator[str]:
        """I8: used is what the files hold, reserved what open uploads may come to."""
        del counts
        used = {
            row["tenant"]: row["n"]
            for row in self.rows("SELECT tenant, sum(size) AS n FROM files GROUP BY tenant")
        }
        reserved = {
            row["tenant"]: row["n"]
            for row in self.rows(
                f"SELECT tenant, sum(reserved) AS n FROM uploads WHERE state IN {_OPEN_UPLOADS}"  # noqa: S608  # our own words
                " GROUP BY tenant"
            )
        }
        for row in self.rows("SELECT tenant, used, reserved FROM quotas"):
            said = (row["used"], row["reserved"])
            real = (used.get(row["tenant"], 0), reserved.get(row["tenant"], 0))
            if said != real:
                yield f"the quota of {row['tenant']} says {said}, and is {real}"

    def keys(self) -> Iterator[str]:
        """Yield the keys of all objects."""
        raise NotImplementedError

    def begun(self) -> Iterator[str]:
        """Yield the keys of multipart uploads that are open."""
        raise NotImplementedError

    def content(self, key: str) -> Iterator[bytes]:
        """Yield the bytes of an object. Raises `KeyError` when there is none."""
        raise NotImplementedError


@dataclass(frozen=True)
class Checker(Judge):
    """The judge of a real stack: its bucket, asked as anybody may ask it.

    Objects of the keys `kept` are no file's, and to stay.
    """

    s3: "S3Client"
    bucket: str
    kept: frozenset[str] = frozenset()

    def begun(self) -> Iterator[str]:
        pending = self.s3.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
        return (each["Key"] for each in pending)

    def content(self, key: str) -> Iterator[bytes]:
        try:
            body = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"]
        except self.s3.exceptions.NoSuchKey:
            raise KeyError(key) from None
        yield from body.iter_chunks(1024 * 1024)

    def keys(self) -> Iterator[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        found = (each["Key"] for page in pages for each in page.get("Contents", []))
        return (key for key in found if key not in self.kept and not key.startswith(HIGH_WATER))
