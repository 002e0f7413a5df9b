"""The release whose newest migration is 0004, at work: its transactions, statement by statement.

In the order in which it locks tables. What a client asks for is repeated as long as it is answered 503.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import text

from shared.adapters.records_sql import SqlRecords
from shared.errors import Unavailable
from tests.support.races import at_once

_UPLOAD: Final = "SELECT id, state, key, received FROM uploads WHERE id = :id"
VERBS: Final = {
    "open": (
        "INSERT INTO quotas (tenant, used, reserved) VALUES ('default', 0, 0) ON CONFLICT DO NOTHING",
        "UPDATE quotas SET reserved = reserved + 7 WHERE tenant = 'default'",
        (
            "INSERT INTO objects (key, upload_id, state, updated_at) VALUES (:key, :id, 'intended', 1)"
            " ON CONFLICT DO NOTHING"
        ),
        "UPDATE objects SET updated_at = 2 WHERE key = :key AND upload_id = :id",
        (
            "INSERT INTO uploads (id, tenant, owner, state, filename, chunk_size, attributes, tags,"
            " is_public, profile, key, received, reserved, created_at, updated_at, expires_at) VALUES"
            " (:id, 'default', 'a', 'receiving', 'n', 7, '{}', '[]', false, 'default', :key, 0, 7, 1, 1, 1)"
        ),
    ),
    "put": (
        _UPLOAD,
        "UPDATE uploads SET received = received + 7 WHERE id = :id AND state = 'receiving'",
        "INSERT INTO chunks VALUES (:id, 0, 0, 7, '0', 'name')",
    ),
    "complete": (
        _UPLOAD,
        "UPDATE uploads SET state = 'sealed' WHERE id = :id AND state = 'receiving'",
        'SELECT upload_id, number, "offset", length, crc64, name FROM chunks WHERE upload_id = :id',
        (
            "INSERT INTO jobs (id, upload_id, tenant, owner, kind, state, done, total, attempts, outages,"
            " fence, version, due_at, created_at, updated_at)"
            " VALUES (:id, :id, 'default', 'a', 'process', 'queued', 0, 7, 0, 0, 0, 1, 1, 1, 1)"
        ),
    ),
    "claim": (
        "SELECT id, state FROM jobs WHERE id = :id",
        "UPDATE uploads SET state = 'processing' WHERE id = :id AND state = 'sealed'",
        "UPDATE jobs SET state = 'running', fence = fence + 1 WHERE id = :id AND state = 'queued'",
        _UPLOAD,
        'SELECT upload_id, number, "offset", length, crc64, name FROM chunks WHERE upload_id = :id',
    ),
    "publish": (
        "UPDATE uploads SET state = 'ready' WHERE id = :id AND state = 'processing'",
        "UPDATE jobs SET state = 'succeeded' WHERE id = :id AND fence = 1",
        "UPDATE quotas SET last_number = last_number + 1 WHERE tenant = 'default'",
        (
            "INSERT INTO files (id, upload_id, tenant, number, owner, filename, size, content_type, category,"
            " sha256, etag, key, is_public, attributes, tags, profile, created_at, updated_at) SELECT"
            " :id, :id, 'default', last_number, 'a', 'n', 7, 't', 'c', 's', 'e', :key, false, '{}', '[]',"
            " 'default', 1, 1 FROM quotas WHERE tenant = 'default'"
        ),
        "INSERT INTO thumbnails VALUES (:id, 'small', :key || '.small', 1, 1, 't', 1)",
        "UPDATE objects SET state = 'linked' WHERE key = :key",
        "UPDATE quotas SET used = used + 7, reserved = reserved - 7 WHERE tenant = 'default'",
        "UPDATE uploads SET reserved = 0 WHERE id = :id",
        "DELETE FROM chunks WHERE upload_id = :id",
    ),
    "delete": (
        "SELECT id, number FROM files WHERE id = :id",
        "SELECT name FROM thumbnails WHERE file_id = :id",
        "DELETE FROM files WHERE id = :id",
        "UPDATE objects SET state = 'deleting' WHERE key = :key",
        "UPDATE quotas SET used = used - 7 WHERE tenant = 'default'",
        "SELECT id, state FROM jobs WHERE upload_id = :id",
        "DELETE FROM objects WHERE key = :key",
    ),
}


@dataclass
class OldRelease:
    """`kept` files are there, `deleted` are not; `refused` counts what was answered 503, by its cause."""

    records: SqlRecords
    kept: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    def upload(self, *, deletes: bool) -> None:
        """Tell an upload from its opening to its file, and perhaps to this one's end."""
        upload_id = str(uuid4())
        said = {"id": upload_id, "key": f"default/{upload_id}"}
        for verb in ("open", "put", "complete", "claim", "publish"):
            self._ask(verb, said)
        if deletes:
            self._ask("delete", said)
        (self.deleted if deletes else self.kept).append(upload_id)

    def _ask(self, verb: str, said: dict[str, Any]) -> None:
        while True:
            began = time.monotonic()
            try:
                with self.records.begin() as rows:
                    for statement in VERBS[verb]:
                        rows._connection.execute(text(statement), said)  # type: ignore[attr-defined]  # SQL's
            except Unavailable as error:
                self.refused[f"{verb}: {error.__cause__}"] += 1
            else:
                return
            finally:
                self.slowest = max(self.slowest, time.monotonic() - began)


@contextmanager
def at_work(url: str, *, clients: int = 4) -> Iterator[OldRelease]:
    """Let clients upload as long as the block lasts; raises what one of them was answered 500 for."""
    release, is_over = OldRelease(SqlRecords(url)), threading.Event()

    def client() -> None:
        while not is_over.is_set():
            release.upload(deletes=len(release.kept) > 3 * len(release.deleted))

    errors: list[BaseException] = []

    def run() -> None:
        try:
            at_once([client] * clients)
        except BaseException as error:  # noqa: BLE001  # raised below
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield release
    finally:
        is_over.set()
        thread.join()
        release.records.close()
    if errors:
        raise errors[0]
