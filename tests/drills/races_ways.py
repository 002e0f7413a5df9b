"""Races on the other ways in: addresses that uploads go on at, and straight to the store."""

from collections.abc import Callable
from functools import partial
from typing import Final, cast

from shared.errors import Conflict, NotFound, NotReceiving, OffsetMismatch
from shared.model.job import Job
from shared.model.lifecycle import UploadState
from shared.model.resumable import Capability
from shared.model.upload import NewUpload, Receipt, Transfer, Upload
from shared.services.joining import Parts
from tests.drills.arena import Arena
from tests.drills.asking import CALLER
from tests.support.straight import StraightObjects
from tests.support.workshop import Bytes

Race = Callable[[Arena], None]


def streams_go_on_at_one_address(arena: Arena) -> None:
    contents = [arena.content() for _ in range(6)]
    new = NewUpload("notes.txt", len(contents[0]), transfer=Transfer.STREAM)
    opened = arena.calm.services.resuming.open(CALLER, new, None).capability
    upload = _upload(arena, opened.upload_id)

    def append(content: bytes) -> Receipt:
        return arena.factory.services.resuming.append(CALLER, upload, 0, Bytes(content))

    outcomes = arena.race(
        [partial(append, content) for content in contents], OffsetMismatch, NotReceiving
    )

    assert sum(isinstance(each, Receipt) for each in outcomes) == 1
    assert _made(arena, upload.id) in contents
    assert not _staged(arena, upload.id), "the losers left their bytes"


def joins_meet(arena: Arena) -> None:
    parts, content = _parts(arena)

    capabilities = arena.race([partial(_join, arena, parts)] * 6)

    assert len({each.upload_id for each in capabilities}) == 1
    assert _made(arena, capabilities[0].upload_id) == content


def a_join_meets_the_end_of_a_part(arena: Arena) -> None:
    parts, content = _parts(arena)
    ended = _upload(arena, parts[1])
    join = partial(_join, arena, parts)
    end = partial(arena.factory.services.resuming.end, CALLER, ended)

    outcomes = arena.race([join, end, join], Conflict, NotFound)

    joined = {each.upload_id for each in outcomes if isinstance(each, Capability)}
    assert len(joined) == (0 if None in outcomes else 1), "one of them wins"
    states = {upload_id: _upload(arena, upload_id).state for upload_id in parts}
    if joined:
        assert set(states.values()) == {UploadState.JOINED}
        assert _made(arena, joined.pop()) == content
    else:
        assert states == {parts[0]: UploadState.RECEIVING, parts[1]: UploadState.CANCELLED}
        assert _staged(arena, parts[1]) == []


def a_complete_meets_an_adoption(arena: Arena) -> None:
    upload, content = _sent(arena)
    services, rung = arena.factory.services, len(arena.calm.bell.processed)
    complete = partial(services.uploads.complete, CALLER, upload.id)
    adopt = partial(services.adoption.direct.adopt, upload)

    outcomes = arena.race([complete, adopt, services.adoption.round, complete, adopt])

    jobs = {each.id for each in outcomes if isinstance(each, Job)}
    assert arena.calm.bell.processed[rung:] == list(jobs), "one job, and one bell"
    assert _made(arena, upload.id) == content


def a_cancel_meets_an_adoption(arena: Arena) -> None:
    upload, _ = _sent(arena)
    services = arena.factory.services
    cancel = partial(services.uploads.cancel, CALLER, upload.id)
    adopt = partial(services.adoption.direct.adopt, upload)

    arena.race([adopt, cancel, services.adoption.round, adopt])

    assert _upload(arena, upload.id).state is UploadState.CANCELLED
    arena.calm.services.sweeps.run("direct-leftovers")
    assert arena.calm.objects.find(f".staging/direct/{upload.id}") is None


def _sent(arena: Arena) -> tuple[Upload, bytes]:
    services, content = arena.calm.services, arena.content()
    new = NewUpload("notes.txt", len(content), transfer=Transfer.DIRECT)
    upload = services.uploads.open(CALLER, new)
    (target,) = services.targets.sign(CALLER, upload.id).targets
    cast("StraightObjects", arena.calm.objects).take(target.url, content)
    return upload, content


def _parts(arena: Arena) -> tuple[list[str], bytes]:
    """Send two partial uploads whole; return them in order, and what they are together."""
    bodies = [arena.content(), arena.content()]
    open_one = arena.calm.services.resuming.open
    new = NewUpload("part", len(bodies[0]), transfer=Transfer.PART)
    opened = [open_one(CALLER, new, None, Bytes(body)) for body in bodies]
    return [each.capability.upload_id for each in opened], b"".join(bodies)


def _join(arena: Arena, parts: list[str]) -> Capability:
    resuming = arena.factory.services.resuming
    return resuming.join(CALLER, NewUpload("notes.txt"), None, Parts(parts, "final;")).capability


def _made(arena: Arena, upload_id: str) -> bytes:
    """Let a worker have the job, and return the bytes of its file."""
    job = arena.calm.services.uploads.status(CALLER, upload_id).job
    assert job is not None
    file = arena.calm.file(arena.calm.run(job))
    assert file is not None
    return arena.calm.content(file.key)


def _upload(arena: Arena, upload_id: str) -> Upload:
    return arena.calm.services.uploads.status(CALLER, upload_id).upload


def _staged(arena: Arena, upload_id: str) -> list[str]:
    return [each.name for each in arena.calm.staging.listing() if each.upload_id == upload_id]


RACES: Final[tuple[Race, ...]] = (
    streams_go_on_at_one_address,
    joins_meet,
    a_join_meets_the_end_of_a_part,
    a_complete_meets_an_adoption,
    a_cancel_meets_an_adoption,
)
