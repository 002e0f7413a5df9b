"""Races for what a client sends: each function is one race, and asserts how it may have ended."""

from collections.abc import Callable
from functools import partial
from typing import Final

from shared.errors import (
    ChunkConflict,
    ChunksMissing,
    NotFound,
    NotReceiving,
    OffsetMismatch,
    QuotaExceeded,
)
from shared.model.job import Job
from shared.model.lifecycle import UploadState
from shared.model.upload import NewUpload, Receipt, Upload
from tests.drills.arena import Arena
from tests.drills.asking import CALLER
from tests.support.streams import append as stream
from tests.support.workshop import Bytes

Race = Callable[[Arena], None]


def fifty_send_the_same_chunk(arena: Arena) -> None:
    content = arena.content()
    upload = arena.opened(content)

    receipts = arena.race([partial(_put, arena, upload, content)] * 50)

    assert sum(not receipt.repeated for receipt in receipts) == 1
    assert _received(arena, upload) == content
    assert len(_staged(arena, upload)) == 1, "the losers left their bytes"


def eight_send_other_bytes_as_one_chunk(arena: Arena) -> None:
    contents = [arena.content() for _ in range(8)]
    upload = arena.opened(contents[0], sha256=None)

    outcomes = arena.race(
        [partial(_put, arena, upload, content) for content in contents], ChunkConflict
    )

    won = [contents[n] for n in range(8) if _received(arena, upload) == contents[n]]
    assert sum(isinstance(each, Receipt) for each in outcomes) == 1
    assert len(won) == 1
    assert len(_staged(arena, upload)) == 1, "the losers left their bytes"


def streams_append_at_one_offset(arena: Arena) -> None:
    contents = [arena.content() for _ in range(6)]
    upload = arena.opened(contents[0], size=None)

    def append(content: bytes) -> Receipt:
        return stream(arena.factory.services, CALLER, upload.id, 0, Bytes(content))

    outcomes = arena.race([partial(append, content) for content in contents], OffsetMismatch)

    assert sum(isinstance(each, Receipt) for each in outcomes) == 1
    assert _received(arena, upload) in contents
    assert len(_staged(arena, upload)) == 3, "the losers left their bytes"


def twenty_complete(arena: Arena) -> None:
    upload = arena.filled(arena.content())
    rung = len(arena.calm.bell.processed)

    jobs = arena.race([partial(_complete, arena, upload)] * 20)

    assert len({job.id for job in jobs}) == 1
    assert arena.calm.bell.processed[rung:] == [jobs[0].id]


def sixty_four_open_at_the_quota(arena: Arena) -> None:
    arena.filled(arena.content())
    (quota,) = arena.calm.query("SELECT used, reserved FROM quotas")
    limit = quota["used"] + quota["reserved"] + 10 * 900 + 899
    arena.execute("UPDATE quotas SET limit_bytes = :limit", limit=limit)

    def opened() -> Upload:
        new = NewUpload("notes.txt", size=900)
        return arena.factory.services.uploads.open(CALLER, new)

    outcomes = arena.race([opened] * 64, QuotaExceeded)

    arena.execute("UPDATE quotas SET limit_bytes = NULL")
    made = [each for each in outcomes if isinstance(each, Upload)]
    assert len(made) == 10, f"{len(made)} uploads had room for 10"
    arena.race([partial(_cancel, arena, upload) for upload in made])


def eight_open_with_one_key(arena: Arena) -> None:
    new, key = NewUpload("notes.txt", size=900), arena.content(20).decode()
    uploads = arena.factory.services.uploads

    opened = arena.race([lambda: uploads.open(CALLER, new, idempotency_key=key)] * 8)

    assert len({upload.id for upload in opened}) == 1
    arena.race([partial(_cancel, arena, opened[0])] * 2)


def a_cancel_meets_a_complete(arena: Arena) -> None:
    upload = arena.filled(arena.content())
    complete, cancel = partial(_complete, arena, upload), partial(_cancel, arena, upload)

    outcomes = arena.race([complete, cancel, complete, cancel], NotReceiving)

    assert sum(each is None for each in outcomes) == 2, "whoever cancels before the end is obeyed"
    assert _state(arena, upload) is UploadState.CANCELLED
    assert _staged(arena, upload) == []


def a_cancel_meets_chunks(arena: Arena) -> None:
    content = arena.content(4000)
    upload = arena.opened(content, chunk_size=1000)

    def put(number: int) -> None:
        body = Bytes(content[number * 1000 : (number + 1) * 1000])
        arena.factory.services.chunks.put(CALLER, upload.id, number, body, None)

    puts = [partial(put, number) for number in range(4)]
    arena.race([*puts, partial(_cancel, arena, upload), *puts], NotReceiving)

    assert _state(arena, upload) is UploadState.CANCELLED
    assert _received(arena, upload) == b""


def a_complete_meets_the_last_chunk(arena: Arena) -> None:
    content = arena.content()
    upload = arena.opened(content)
    complete = partial(_complete, arena, upload)

    outcomes = arena.race(
        [complete, partial(_put, arena, upload, content), complete], ChunksMissing
    )

    jobs = {job.id for job in outcomes if isinstance(job, Job)}
    assert len(jobs) <= 1
    assert _received(arena, upload) == content
    arena.race([complete])


def an_end_of_time_meets_a_complete(arena: Arena) -> None:
    upload = arena.filled(arena.content())
    arena.execute("UPDATE uploads SET expires_at = 0 WHERE id = :id", id=upload.id)
    sweeps = arena.factory.services.sweeps
    expire = partial(sweeps.run, "expired-uploads")

    outcomes = arena.race([expire, partial(_complete, arena, upload), expire], NotReceiving)

    was_sealed = any(isinstance(each, Job) for each in outcomes)
    assert (_state(arena, upload) is not UploadState.EXPIRED) == was_sealed


def a_revoke_meets_a_complete(arena: Arena) -> None:
    """Whoever has been answered with a job has one that ends, also when its grant is gone."""
    grant, capability = arena.calm.services.grants.give(CALLER, None)
    upload = arena.sent(arena.calm.services.grants.enter(capability).holder, arena.content())
    revoke = partial(arena.factory.services.grants.revoke, CALLER, grant.id)

    outcomes = arena.race(
        [partial(_complete, arena, upload), revoke, partial(_complete, arena, upload), revoke],
        NotReceiving,
        NotFound,
    )

    jobs = {job.id for job in outcomes if isinstance(job, Job)}
    assert len(jobs) <= 1
    assert _state(arena, upload) is (UploadState.SEALED if jobs else UploadState.CANCELLED)


def _put(arena: Arena, upload: Upload, content: bytes) -> Receipt:
    return arena.factory.services.chunks.put(CALLER, upload.id, 0, Bytes(content), None)


def _complete(arena: Arena, upload: Upload) -> Job:
    return arena.factory.services.uploads.complete(CALLER, upload.id)


def _cancel(arena: Arena, upload: Upload) -> None:
    arena.factory.services.uploads.cancel(CALLER, upload.id)


def _state(arena: Arena, upload: Upload) -> UploadState:
    return arena.calm.services.uploads.status(CALLER, upload.id).upload.state


def _received(arena: Arena, upload: Upload) -> bytes:
    """Read back what the rows say has arrived."""
    with arena.calm.records.read() as rows:
        now, chunks = rows.uploads.find(upload.id), rows.chunks.of(upload.id)
    body = b"".join(b"".join(arena.calm.staging.read(chunk, 100_000)) for chunk in chunks)
    assert now is not None
    if now.state is UploadState.RECEIVING:
        assert now.received == len(body), "the count is not what is there"
    return body


def _staged(arena: Arena, upload: Upload) -> list[str]:
    return [each.name for each in arena.calm.staging.listing() if each.upload_id == upload.id]


RACES: Final[tuple[Race, ...]] = (
    fifty_send_the_same_chunk,
    eight_send_other_bytes_as_one_chunk,
    streams_append_at_one_offset,
    twenty_complete,
    sixty_four_open_at_the_quota,
    eight_open_with_one_key,
    a_cancel_meets_a_complete,
    a_cancel_meets_chunks,
    a_complete_meets_the_last_chunk,
    an_end_of_time_meets_a_complete,
    a_revoke_meets_a_complete,
)
