"""Sabotages of what keeps bytes, rows and room: each turns one defence of the services off."""

from collections.abc import Callable, Sequence
from typing import Any, Final


def bytes_not_synced() -> None:
    """A chunk is acknowledged before its bytes are on durable storage."""
    from shared.adapters.staging_disk import DiskChunkWriter

    DiskChunkWriter.keep = DiskChunkWriter._close  # type: ignore[method-assign]


def names_not_synced() -> None:
    """A chunk is acknowledged before the entries of its folders are on durable storage."""
    from shared.adapters import staging_disk

    staging_disk.sync = lambda path: None  # type: ignore[attr-defined]  # a name it imports


def intents_not_written() -> None:
    """Objects are begun that no row knows."""
    from shared.services.claims import ClaimService

    ClaimService.intend = lambda self, claim, keys: None  # type: ignore[method-assign]


def staging_cleared_early() -> None:
    """Staging is cleared before the commit that makes the file."""
    from shared.services.claims import ClaimService

    publish = ClaimService.publish

    def early(self: ClaimService, claim: Any, file: Any) -> None:
        self.staging.clear(claim.upload.id)
        publish(self, claim, file)

    ClaimService.publish = early  # type: ignore[method-assign]


def sent_cleared_early() -> None:
    """What a client sent to the store goes as soon as it is copied, before the commit."""
    from worker.steps import publish

    copied = publish._copied

    def early(draft: Any, bench: Any, *said: Any) -> str:
        etag = copied(draft, bench, *said)
        bench.objects.delete([draft.claim.direct.key])
        return etag

    publish._copied = early  # type: ignore[assignment]  # it passes on what it got


def leftovers_kept() -> None:
    """Nobody clears what was sent to the store when its worker did not."""
    from shared.services.sweeping import SweepService

    run = SweepService.run

    def blind(self: SweepService, name: str, **said: Any) -> dict[str, Any]:
        return {} if name == "direct-leftovers" else run(self, name, **said)

    SweepService.run = blind  # type: ignore[method-assign]  # it passes on what it got


def etags_forgotten() -> None:
    """Workers take what lies in the store now for what was sealed."""
    from worker.source import Source

    head = Source.head

    def anything(self: Source, claim: Any, size: int) -> bytes:
        there = None if claim.direct is None else self.objects.find(claim.direct.key)
        if there is not None:
            object.__setattr__(claim.direct, "etag", there.etag)
        return head(self, claim, size)

    Source.head = anything  # type: ignore[method-assign]


def nobody_adopts() -> None:
    """What lies in the store waits for its client to say so."""
    from shared.services.adopting import Adoption

    Adoption.round = lambda self: 0  # type: ignore[method-assign]


def unknown_means_no() -> None:
    """What follows a commit without an answer is done as if it had not happened."""
    from shared.services.intake import Intake

    leave = Intake.__exit__

    Intake.__exit__ = lambda self, *why: leave(self, None, None, None)  # type: ignore[method-assign]


def keys_not_remembered() -> None:
    """A repeated request is a new one."""
    from shared.services import uploads

    uploads.first_result = lambda *said: None  # type: ignore[attr-defined]  # where it is called


def room_not_released() -> None:
    """What has ended keeps its room."""
    from shared.adapters.records_sql_quotas import SqlQuotaRows

    SqlQuotaRows.release = lambda self, tenant, size: None  # type: ignore[method-assign]


def quota_not_asked() -> None:
    """Room is given whether it is there or not: it was looked for before."""
    from shared.adapters.records_sql_quotas import SqlQuotaRows

    asked = SqlQuotaRows.reserve

    def reserve(self: SqlQuotaRows, tenant: str, size: int) -> bool:
        asked(self, tenant, 0)
        self._add(tenant, used=0, reserved=size)
        return True

    SqlQuotaRows.reserve = reserve  # type: ignore[method-assign]


def offsets_not_compared() -> None:
    """A stream goes on wherever the upload is."""
    from shared.adapters.records_sql_uploads import SqlUploadRows

    add_bytes = SqlUploadRows.add_bytes

    def anywhere(self: SqlUploadRows, upload_id: str, length: int, **said: Any) -> bool:
        return add_bytes(self, upload_id, length, **(said | {"at": None}))

    SqlUploadRows.add_bytes = anywhere  # type: ignore[method-assign]  # it passes on what it got


def doubles_not_seen() -> None:
    """A chunk that is there already is counted again."""
    from shared.adapters.records_sql_uploads import SqlChunkRows

    add = SqlChunkRows.add

    def seen_as_new(self: SqlChunkRows, new: Sequence[Any]) -> bool:
        add(self, new)
        return True

    SqlChunkRows.add = seen_as_new  # type: ignore[method-assign]


def states_not_asked() -> None:
    """An upload is moved by whoever saw it in a state that it may have left."""
    from sqlalchemy import update

    from shared.adapters.records_sql_uploads import SqlUploadRows
    from shared.adapters.tables import uploads
    from shared.model.lifecycle import upload_change

    def advance(self: SqlUploadRows, upload_id: str, event: Any) -> bool:
        _, target = upload_change(event)
        statement = update(uploads).where(uploads.c.id == upload_id).values(state=target)
        return self._connection.execute(statement).rowcount == 1

    SqlUploadRows.advance = advance  # type: ignore[method-assign]


def claims_not_exclusive() -> None:
    """A job that somebody holds can be claimed."""
    from sqlalchemy import true

    from shared.adapters import records_sql_jobs

    records_sql_jobs._free = true


def objects_left() -> None:
    """Nobody looks for objects that belong to no file, nor for open multipart uploads."""
    from shared.services.sweeping import SweepService

    run = SweepService.run

    def blind(self: SweepService, name: str, **said: Any) -> dict[str, Any]:
        return {} if name in {"object-orphans", "multiparts"} else run(self, name, **said)

    SweepService.run = blind  # type: ignore[method-assign]  # it passes on what it got


def rows_not_asked() -> None:
    """The sweep of staging takes whatever is old."""
    from shared.adapters.records_sql_uploads import SqlChunkRows

    SqlChunkRows.names = lambda self, upload_id: set()  # type: ignore[method-assign]


def bodies_wait_for_ever() -> None:
    """Who sends a body may take as long as it likes."""
    from web.server.body import Reader

    allow = Reader.allow

    def for_ever(self: Reader, length: int | None, grace: float, **said: Any) -> None:
        del grace
        allow(self, length, float("inf"), **said)

    Reader.allow = for_ever  # type: ignore[method-assign]  # it passes on what it got


def readers_wait_for_ever() -> None:
    """Who is sent a file may take as long as it likes."""
    from web.server.line import Line

    send = Line._send_until

    def for_ever(self: Line, piece: memoryview, until: float) -> None:
        del until
        send(self, piece, float("inf"))

    Line._send_until = for_ever  # type: ignore[method-assign]  # it passes on what it got


SABOTAGES: Final[dict[str, Callable[[], None]]] = {
    "bytes-not-synced": bytes_not_synced,
    "names-not-synced": names_not_synced,
    "intents-not-written": intents_not_written,
    "staging-cleared-early": staging_cleared_early,
    "sent-cleared-early": sent_cleared_early,
    "leftovers-kept": leftovers_kept,
    "etags-forgotten": etags_forgotten,
    "nobody-adopts": nobody_adopts,
    "unknown-means-no": unknown_means_no,
    "keys-not-remembered": keys_not_remembered,
    "room-not-released": room_not_released,
    "quota-not-asked": quota_not_asked,
    "offsets-not-compared": offsets_not_compared,
    "doubles-not-seen": doubles_not_seen,
    "states-not-asked": states_not_asked,
    "claims-not-exclusive": claims_not_exclusive,
    "objects-left": objects_left,
    "rows-not-asked": rows_not_asked,
    "bodies-wait-for-ever": bodies_wait_for_ever,
    "readers-wait-for-ever": readers_wait_for_ever,
}
