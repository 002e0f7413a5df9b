"""What the service keeps: rows, staged files, objects and their parts, counted from outside.

What is refused inside `with books.unchanged():` has to leave nothing behind.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from tests.support.stack import Stack
from tests.support.waiting import eventually

_TABLES: Final = (
    "uploads",
    "chunks",
    "jobs",
    "files",
    "thumbnails",
    "file_tags",
    "objects",
    "idempotency",
    "webhooks",
    "deliveries",
)
_AT_WORK: Final = """
    SELECT (SELECT count(*) FROM jobs WHERE state IN ('queued', 'running'))
         + (SELECT count(*) FROM objects WHERE state = 'deleting')
"""


@dataclass(frozen=True)
class Page:
    rows: dict[str, int]
    quotas: dict[str, tuple[int, int]]
    staged: frozenset[str]
    objects: frozenset[str]
    parts: frozenset[str]


@dataclass(frozen=True)
class Books:
    stack: Stack

    def page(self) -> Page:
        """Return what there is now; tenants that hold nothing are left out."""
        bucket = self.stack.env["S3_BUCKET_NAME"]
        pending = self.stack.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        quotas = self._asked("SELECT tenant, used, reserved FROM quotas WHERE used + reserved > 0")
        return Page(
            rows={name: self.count(name) for name in _TABLES},
            quotas={tenant: (used, reserved) for tenant, used, reserved in quotas},
            staged=self.staged(),
            objects=self.objects(),
            parts=frozenset(each["UploadId"] for each in pending),
        )

    def count(self, table: str, **where: str) -> int:
        conditions = " AND ".join(f"{name} = ?" for name in where) or "1"
        question = f"SELECT count(*) FROM {table} WHERE {conditions}"  # noqa: S608  # our own names
        return int(self._asked(question, *where.values())[0][0])

    def staged(self) -> frozenset[str]:
        """Return everything in staging but the folders that only spread the others."""
        root = self.stack.staging
        return frozenset(str(path.relative_to(root)) for path in root.glob("*/**/*"))

    def objects(self, prefix: str = "") -> frozenset[str]:
        """Return the keys of all objects whose key has `prefix`."""
        pages = self.stack.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.stack.env["S3_BUCKET_NAME"], Prefix=prefix
        )
        return frozenset(each["Key"] for page in pages for each in page.get("Contents", []))

    @contextmanager
    def unchanged(self, **more: int) -> Iterator[None]:
        """Fail when what is kept after the block is not what was kept before it.

        `more` is how many rows of a table are to come: `uploads=1` lets one upload be left.
        """
        eventually(lambda: self._asked(_AT_WORK)[0][0] == 0, 30, says="jobs do not end")
        found = self._settled()
        expected = {name: count + more.get(name, 0) for name, count in found.rows.items()}
        before = replace(found, rows=expected)
        yield

        def same() -> bool:
            changes = _changes(before, self.page())
            assert not changes, "\n".join(changes)
            return True

        eventually(same, 5)

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
        said += [f"{name} of {key}: {was.get(key)} -> {now.get(key)}" for key in sorted(keys)]
    for name in ("staged", "objects", "parts"):
        was, now = getattr(before, name), getattr(after, name)
        said += [f"{name}: gone {each}" for each in sorted(was - now)]
        said += [f"{name}: come {each}" for each in sorted(now - was)]
    return said
