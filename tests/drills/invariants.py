"""The invariants, decided from outside: rows, the bucket, staging, and what clients were told.

Knows the tables and the bucket, and nothing of the product's own code that it judges.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from awscrt.checksums import crc64nvme
from sqlalchemy import Engine, text

from tests.drills.ledger import Entry
from tests.drills.staged import Staged

_FINAL_JOBS: Final = frozenset({"succeeded", "rejected", "failed", "cancelled"})
_OPEN_UPLOADS: Final = "('receiving', 'sealed', 'processing', 'failed')"
_HELD: Final = f"SELECT id FROM uploads WHERE state IN {_OPEN_UPLOADS}"  # noqa: S608  # our own words
_KEYS: Final = "SELECT key FROM files UNION SELECT key FROM thumbnails"
# What has a length may become as long, what has none yet is as long as what has come. One that failed
# and can't be retried any more has given its room back.
_WITHOUT_ROOM: Final = f"SELECT id, state, reserved FROM uploads WHERE state IN {_OPEN_UPLOADS} AND reserved < COALESCE(size, received) AND (state != 'failed' OR id IN (SELECT upload_id FROM chunks))"  # noqa: S608  # our own words
_CHUNKS: Final = 'SELECT * FROM chunks ORDER BY upload_id, number, "offset"'


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
    """Holds the rows against staging and a store, which those who derive from it know how to look into."""

    engine: Engine
    staging: Staged

    def check(self, entries: Sequence[Entry]) -> Verdict:
        """Hold everything against the invariants, once nothing is at work any more."""
        verdict = Verdict()
        for name, breaches in (
            ("I1", self._lost(entries, verdict.counts)),
            ("I1", self._spoilt(entries, verdict.counts)),
            ("I2", self._doubled(entries, verdict.counts)),
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

    def _spoilt(self, entries: Sequence[Entry], counts: Counter[str]) -> Iterator[str]:
        """I1: chunks can be read back as they were acknowledged, until there is a file of them."""
        there: defaultdict[tuple[str, int], Any] = defaultdict(hashlib.sha256)
        for row in self.rows(_CHUNKS):
            counts["chunks"] += 1
            whole, length, crc = there[row["upload_id"], row["number"]], 0, 0
            with suppress(KeyError):
                for block in self.staging.content(*_place(row)):
                    whole.update(block)
                    length, crc = length + len(block), crc64nvme(block, crc)
            if (length, f"{crc:016x}") != (row["length"], row["crc64"]):
                yield f"chunk {row['number']} of {row['upload_id']} has a row and not its bytes"
        held, jobs = self._ids(_HELD), self._ids("SELECT upload_id AS id FROM jobs")
        for entry in entries:
            upload_id = entry.upload_id or ""
            if entry.cancelled or (upload_id in jobs and upload_id not in held):
                continue
            for number, sha256 in sorted(entry.chunks.items()):
                found = there.get((upload_id, number))
                if found is None or found.hexdigest() != sha256:
                    yield f"{entry.name} has lost its chunk {number}"

    def _doubled(self, entries: Sequence[Entry], counts: Counter[str]) -> Iterator[str]:
        """I2: one request, one upload; one upload, one file, one object."""
        counts["jobs"] = len(self.rows("SELECT id FROM jobs"))
        for table in ("files", "jobs"):
            twice = f"SELECT upload_id FROM {table} GROUP BY upload_id HAVING count(*) > 1"  # noqa: S608  # our own names
            for row in self.rows(twice):
                yield f"{row['upload_id']} has several {table}"
        named = defaultdict(set)
        for row in self.rows("SELECT id, filename FROM uploads"):
            named[row["filename"]].add(row["id"])
        for entry in entries:
            of_entry = named[entry.name] | ({entry.upload_id} - {None})
            if len(of_entry) > 1:
                yield f"{entry.name} has {len(of_entry)} uploads"

    def _stray(self, counts: Counter[str]) -> Iterator[str]:
        """I3: nothing in the bucket or staging that no row knows, no parts, no rows of nothing."""
        known = {row["key"] for row in self.rows(_KEYS)}
        there = self.sizes().keys()
        counts["objects"] = len(there)
        for key in sorted(there - known):
            yield f"object {key} of no file"
        for key in self.begun():
            yield f"unfinished parts of {key}"
        for place, name in sorted(set(self.staging.names()) - {*map(_place, self.rows(_CHUNKS))}):
            yield f"{place}/{name} in staging belongs to no chunk"
        held = self._ids(_HELD)
        for row in self.rows("SELECT key, state, upload_id FROM objects"):
            is_wanted = row["state"] == "intended" and row["upload_id"] in held
            is_linked = row["state"] == "linked" and row["key"] in known
            if not (is_wanted or is_linked):
                yield f"the row of object {row['key']} is {row['state']} for ever"

    def _hollow(self, counts: Counter[str]) -> Iterator[str]:
        """I4: every file has its object, byte for byte, and its thumbnails."""
        files = self.rows("SELECT key, sha256, size FROM files")
        counts["files"] = len(files)
        with ThreadPoolExecutor(8) as pool:
            yield from filter(None, pool.map(self._damage, files))
        there = self.sizes()
        for row in self.rows("SELECT key, size FROM thumbnails"):
            if there.get(row["key"]) != row["size"]:
                found = there.get(row["key"], "none")
                yield f"thumbnail {row['key']} has {row['size']} bytes, and there are {found}"

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
        quotas = self.rows("SELECT tenant, used, reserved FROM quotas")
        for row in quotas:
            said = (row["used"], row["reserved"])
            real = (used.get(row["tenant"], 0), reserved.get(row["tenant"], 0))
            if said != real:
                yield f"the quota of {row['tenant']} says {said}, and is {real}"
        tenants = self.rows("SELECT tenant FROM files UNION SELECT tenant FROM uploads")
        for tenant in {row["tenant"] for row in tenants} - {row["tenant"] for row in quotas}:
            yield f"{tenant} has files or uploads, and no quota"
        for row in self.rows(_WITHOUT_ROOM):
            yield f"upload {row['id']} is {row['state']}, and has reserved {row['reserved']} bytes"

    def _ids(self, question: str) -> set[str]:
        return {row["id"] for row in self.rows(question)}

    def sizes(self) -> Mapping[str, int]:
        """Return the keys of all objects, and how long these are."""
        raise NotImplementedError

    def begun(self) -> Iterator[str]:
        """Yield the keys of multipart uploads that are open."""
        raise NotImplementedError

    def content(self, key: str) -> Iterator[bytes]:
        """Yield the bytes of an object. Raises `KeyError` when there is none."""
        raise NotImplementedError


def _place(chunk: Mapping[str, Any]) -> tuple[str, str]:
    """Return where a chunk lies in staging: the upload that it came with, and its name."""
    return chunk["home"] or chunk["upload_id"], chunk["name"]
