"""What the service keeps: rows, staged files, objects and their parts, counted from outside.

What is refused inside `with books.unchanged():` has to leave nothing behind. Objects come from jobs
alone, so that the whole bucket is looked through once, when all tests have run: see `strays`.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from shared.model.naming import HIGH_WATER
from tests.support.stack import Stack
from tests.support.waiting import eventually

_TABLES: Final = (
    "uploads",
    "chunks",
    "direct",
    "jobs",
    "files",
    "thumbnails",
    "file_tags",
    "objects",
    "idempotency",
    "webhooks",
    "deliveries",
)
_ROWS: Final = ", ".join(f"(SELECT count(*) FROM {name}) AS {name}" for name in _TABLES)  # noqa: S608  # our own names
_AT_WORK: Final = """
    SELECT (SELECT count(*) FROM jobs WHERE state IN ('queued', 'running'))
         + (SELECT count(*) FROM objects WHERE state = 'deleting')
"""
_KNOWN: Final = "SELECT key FROM files UNION ALL SELECT key FROM thumbnails"
_WAITING: Final = "SELECT key FROM direct"
# What staging owes to uploads that go on. All else there may go at any time: what is cleared after a
# job, and the bytes of a request that is not answered.
_OWED: Final = """
    SELECT coalesce(home, upload_id), name FROM chunks JOIN uploads ON uploads.id = upload_id
    WHERE state IN ('receiving', 'sealed', 'processing', 'failed')
"""


@dataclass(frozen=True)
class Page:
    rows: dict[str, int]
    quotas: dict[str, tuple[int, int]]
    staged: frozenset[str]
    owed: frozenset[str]


@dataclass(frozen=True)
class Books:
    stack: Stack

    def page(self) -> Page:
        """Return what there is now; tenants that hold nothing are left out."""
        rows = self._asked(f"SELECT {_ROWS}")[0]  # our own names
        quotas = self._asked("SELECT tenant, used, reserved FROM quotas WHERE used + reserved > 0")
        return Page(
            rows=dict(zip(_TABLES, rows, strict=True)),
            quotas={tenant: (used, reserved) for tenant, used, reserved in quotas},
            staged=self.staged(),
            owed=frozenset(f"{place[-2:]}/{place}/{name}" for place, name in self._asked(_OWED)),
        )

    def count(self, table: str, **where: str) -> int:
        conditions = " AND ".join(f"{name} = ?" for name in where) or "1"
        question = f"SELECT count(*) FROM {table} WHERE {conditions}"  # noqa: S608  # our own names
        return int(self._asked(question, *where.values())[0][0])

    def staged(self) -> frozenset[str]:
        """Return everything in staging but the folders that only spread the others.

        The names of folders end with a slash.
        """
        root = self.stack.staging
        return frozenset(
            f"{path.relative_to(root)}{'' if path.is_file() else '/'}"
            for path in root.glob("*/**/*")
        )

    def objects(self, prefix: str = "") -> frozenset[str]:
        """Return the keys of all objects whose key has `prefix`, but for what is kept beside them."""
        pages = self.stack.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.stack.env["S3_BUCKET_NAME"], Prefix=prefix
        )
        keys = (each["Key"] for page in pages for each in page.get("Contents", []))
        return frozenset(key for key in keys if not key.startswith(HIGH_WATER))

    def strays(self) -> list[str]:
        """Return what the store has that no row knows, or lacks, once no job runs any more."""
        self._wait_for_jobs()
        bucket = self.stack.env["S3_BUCKET_NAME"]
        pending = self.stack.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        known = {key for (key,) in self._asked(_KNOWN)}
        waiting = {key for (key,) in self._asked(_WAITING)}
        there = self.objects() - waiting
        return [
            *(f"object {key} of no file" for key in sorted(there - known)),
            *(f"no object {key}" for key in sorted(known - there)),
            *(
                f"unfinished parts of {each['Key']}"
                for each in pending
                if each["Key"] not in waiting
            ),
        ]

    @contextmanager
    def unchanged(self, **more: int) -> Iterator[None]:
        """Fail when what is kept after the block is not what was kept before it.

        `more` is how many rows of a table are to come: `uploads=1` lets one upload be left.
        """
        self._wait_for_jobs()
        found = self._settled()
        expected = {name: count + more.get(name, 0) for name, count in found.rows.items()}
        before = replace(found, rows=expected)
        yield

        def same() -> bool:
            changes = _changes(before, self.page())
            assert not changes, "\n".join(changes)
            return True

        eventually(same, 5)

    def _wait_for_jobs(self) -> None:
        eventually(lambda: self._asked(_AT_WORK)[0][0] == 0, 30, says="jobs do not end")

    def _settled(self) -> Page:
        """Return what there is once nothing moves any more: staging is cleared after a job ended."""
        seen = [self.page()]

        def still() -> bool:
            seen.append(self.page())
            return seen[-1] == seen[-2]

        eventually(still)
        return seen[-1]

    def _asked(self, question: str, *values: str) -> list[Any]:
        path = self.stack.data_dir / "sluice.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return database.execute(question, values).fetchall()


def _changes(before: Page, after: Page) -> list[str]:
    """Say what is no longer as it was."""
    said: list[str] = []
    for name in ("rows", "quotas"):
        was, now = getattr(before, name), getattr(after, name)
        keys = {key for key in (*was, *now) if was.get(key) != now.get(key)}
        # A sweep forgets what was sent straight to the store for an upload that ended before.
        if name == "rows" and now.get("direct", 0) < was.get("direct", 0):
            keys.discard("direct")
        said += [f"{name} of {key}: {was.get(key)} -> {now.get(key)}" for key in sorted(keys)]
    said += [f"gone from staging: {each}" for each in sorted(before.owed - after.staged)]
    said += [f"come to staging: {each}" for each in sorted(after.staged - before.staged)]
    return said
