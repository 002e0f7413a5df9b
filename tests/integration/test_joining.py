"""Partial uploads that become one: whoever is quicker, whatever fails, each byte is one file's."""

import hashlib
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.errors import Conflict, NotFound
from shared.model.caller import Caller, Scope
from shared.model.job import Job
from shared.model.lifecycle import Event, JobState, UploadState
from shared.model.resumable import Capability, Resumable
from shared.model.upload import NewUpload, Transfer, Upload
from shared.services import resuming
from shared.services.joining import Parts
from shared.services.resumption import is_over, lasts_until
from tests.support.ages import behind
from tests.support.factory import Factory, a_factory
from tests.support.grounds import DAY, HOUR, Grounds
from tests.support.races import at_once
from tests.support.workshop import ALICE, Bytes

ADMIN = Caller(ALICE.subject, ALICE.tenant, frozenset({Scope.ADMIN}))

TEXTS = (b"The first line.\n", b"The second, which is longer.\n", b"And the last.\n")
WHOLE = b"".join(TEXTS)


@pytest.fixture
def factory(tmp_path: Path, database_url: str) -> Iterator[Factory]:
    with a_factory(tmp_path, database_url) as made:
        yield made


@pytest.fixture
def grounds(factory: Factory) -> Grounds:
    return Grounds(factory)


def far_ahead_with_another(factory: Factory, size: int) -> Upload:
    """Return a part that a clock put far ahead; the other, and what joins both, should be over."""
    far, other = part(factory, size), part(factory, 5)
    final = joined(factory, [far, other])
    factory.shift("uploads", "expires_at", 400 * DAY, id=far.id)
    for each in (other, final):
        factory.shift("uploads", "expires_at", -2 * HOUR, id=each.id)
    return far


def part(factory: Factory, size: int | None) -> Upload:
    new = NewUpload("upload", size, transfer=Transfer.PART)
    return entered(factory, factory.services.resuming.open(ALICE, new, None).capability)


def entered(factory: Factory, capability: Capability) -> Upload:
    return factory.services.resuming.enter(capability)


def send(factory: Factory, upload: Upload, content: bytes) -> None:
    factory.services.resuming.append(ALICE, upload, 0, Bytes(content))


def joined(factory: Factory, parts: list[Upload]) -> Upload:
    named = Parts([each.id for each in parts], "final;…")
    opened = factory.services.resuming.join(ALICE, NewUpload("notes.txt"), None, named)
    return entered(factory, opened.capability)


def whole(factory: Factory) -> Upload:
    parts = [part(factory, len(text)) for text in TEXTS]
    for each, text in zip(parts, TEXTS, strict=True):
        send(factory, each, text)
    return joined(factory, parts)


def job_of(factory: Factory, upload: Upload) -> Job:
    with factory.records.read() as rows:
        job = rows.jobs.of_upload(upload.id)
    assert job is not None
    return job


def states(factory: Factory) -> list[str]:
    return [row["state"] for row in factory.query("SELECT state FROM uploads ORDER BY id")]


def test_parts_that_are_whole_at_once_queue_one_job(factory: Factory) -> None:
    for _ in range(8):
        parts = [part(factory, len(text)) for text in TEXTS]
        final = joined(factory, parts)

        def sending(upload: Upload, text: bytes) -> None:
            send(factory, upload, text)

        pairs = zip(parts, TEXTS, strict=True)
        at_once([lambda each=each, text=text: sending(each, text) for each, text in pairs])  # type: ignore[misc]

        job = job_of(factory, final)
        assert factory.run(job).state is JobState.SUCCEEDED
        file = factory.file(job)
        assert file is not None
        assert file.sha256 == hashlib.sha256(WHOLE).hexdigest()
    assert factory.staged() == []


def test_of_two_that_join_one_part_one_has_it(factory: Factory) -> None:
    shared, one, other = (part(factory, 5) for _ in range(3))
    finals = [joined(factory, [shared, one]), joined(factory, [other, shared])]
    send(factory, one, b"hello")
    send(factory, other, b"world")

    send(factory, shared, b" and ")

    assert sorted(entered_state(factory, each) for each in finals) == ["receiving", "sealed"]
    assert len(factory.query("SELECT id FROM jobs")) == 1
    with pytest.raises(Conflict):
        joined(factory, [shared])


def entered_state(factory: Factory, upload: Upload) -> str:
    with factory.records.read() as rows:
        found = rows.uploads.find(upload.id)
    assert found is not None
    return str(found.state)


def test_bytes_and_room_of_the_parts_are_the_whole_ones(factory: Factory) -> None:
    job = job_of(factory, whole(factory))

    assert factory.quota() == (0, len(WHOLE))
    assert factory.run(job).state is JobState.SUCCEEDED
    assert factory.quota() == (len(WHOLE), 0)
    assert factory.staged() == []
    assert sorted(states(factory)) == ["joined", "joined", "joined", "ready"]


def test_a_failed_join_keeps_its_bytes_and_can_be_retried(factory: Factory) -> None:
    job = job_of(factory, whole(factory))
    claim = factory.claim(job)
    factory.claims.give_up(claim, {"code": "x", "detail": "y"})
    assert len(factory.staged()) == 3

    again = factory.services.jobs.retry(ADMIN, job.id)

    assert factory.run(again).state is JobState.SUCCEEDED
    assert factory.staged() == []


def test_a_cancelled_join_leaves_nothing(factory: Factory) -> None:
    final = whole(factory)

    factory.services.uploads.cancel(ALICE, final.id)

    assert factory.staged() == []
    assert factory.query("SELECT * FROM chunks") == []
    assert factory.quota() == (0, 0)


def test_what_is_joined_is_no_orphan_and_no_damage(grounds: Grounds) -> None:
    factory = grounds.factory
    whole(factory)
    long_ago = time.time() - 10 * 24 * 3600
    for path in factory.staged():
        for each in (path, path.parent):
            os.utime(each, (long_ago, long_ago))

    swept = [grounds.run("staging-orphans", grace=timedelta()) for _ in range(2)]

    assert [(each["removed"], each.get("waiting", 0)) for each in swept] == [(0, 0), (0, 0)]
    assert len(factory.staged()) == 3
    assert grounds.found() == set()


def test_parts_that_never_come_expire_and_so_does_what_waits_for_them(grounds: Grounds) -> None:
    factory = grounds.factory
    first, second = part(factory, 5), part(factory, 5)
    send(factory, first, b"hello")
    joined(factory, [first, second])
    for upload in factory.query("SELECT id FROM uploads"):
        factory.shift("uploads", "expires_at", -timedelta(days=2), id=upload["id"])

    grounds.run("expired-uploads")

    assert states(factory) == [UploadState.EXPIRED] * 3
    assert factory.staged() == []
    assert factory.quota() == (0, 0)


def test_what_is_to_be_joined_waits_for_the_last_of_it(grounds: Grounds) -> None:
    factory = grounds.factory
    first, second = part(factory, 5), part(factory, 200_000)
    send(factory, first, b"hello")
    opened = factory.services.resuming.join(
        ALICE, NewUpload("notes.txt"), None, Parts([first.id, second.id], "final;…")
    )
    for upload in factory.query("SELECT id FROM uploads"):
        factory.shift("uploads", "expires_at", -timedelta(days=2), id=upload["id"])
    send(factory, second, b"a" * 100_000)
    final = entered(factory, opened.capability)  # its address is not over

    grounds.run("expired-uploads")
    second = factory.services.uploads.status(ALICE, second.id).upload
    factory.services.resuming.append(ALICE, second, 100_000, Bytes(b"a" * 100_000))
    factory.run(job_of(factory, final))

    file = factory.file(job_of(factory, final))
    assert file is not None
    assert factory.content(file.key) == b"hello" + b"a" * 200_000


@pytest.mark.parametrize("asked", ["part", "final"])
def test_one_that_is_asked_after_while_its_last_part_joins_is_not_over(
    factory: Factory, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    new = NewUpload("upload", 5, transfer=Transfer.PART)
    first, second = (factory.services.resuming.open(ALICE, new, None).capability for _ in range(2))
    send(factory, entered(factory, first), b"hello")
    parts = Parts([first.upload_id, second.upload_id], "final;…")
    final = factory.services.resuming.join(ALICE, NewUpload("notes.txt"), None, parts).capability
    last = entered(factory, second)
    address = {"part": first, "final": final}[asked]

    def joins_meanwhile(*said: Any) -> bool:
        send(factory, last, b"world")
        return is_over(*said)

    with monkeypatch.context() as patch:
        patch.setattr(resuming, "is_over", joins_meanwhile)
        seen = entered(factory, address)

    assert seen.state is UploadState.RECEIVING
    assert states(factory) == ["joined", "joined", "sealed"]
    assert entered(factory, address).state in {UploadState.JOINED, UploadState.SEALED}


def test_the_end_of_what_has_just_been_joined_is_what_it_was(factory: Factory) -> None:
    upload = part(factory, 5)
    final = joined(factory, [upload])
    send(factory, upload, b"hello")

    with factory.records.begin() as rows:
        lasts = [lasts_until(rows, each, rows.now(), HOUR) for each in (upload, final)]

    assert lasts == [upload.expires_at, final.expires_at]


def test_what_waits_for_parts_ends_when_these_do_by_both_clocks(grounds: Grounds) -> None:
    factory, service = grounds.factory, grounds.sweeps()
    parts = [part(factory, 5), part(factory, 5)]
    final = joined(factory, parts)
    for each in parts:
        factory.shift("uploads", "expires_at", -2 * HOUR, id=each.id)
    factory.shift("uploads", "expires_at", -30 * HOUR, id=final.id)

    swept = [behind(service, 25 * HOUR).run("expired-uploads") for _ in range(2)]

    # The second time it is known to last as long as its parts, and not looked at.
    assert [(each["seen"], each["removed"]) for each in swept] == [(1, 0), (0, 0)]
    assert states(factory) == ["receiving"] * 3
    assert service.run("expired-uploads")["removed"] == 3


def test_what_a_clock_put_far_ahead_keeps_no_other(grounds: Grounds) -> None:
    factory = grounds.factory
    far_ahead_with_another(factory, 5)

    grounds.run("expired-uploads")

    assert states(factory) == ["receiving", "expired", "expired"]


def test_what_a_clock_put_far_ahead_is_waited_for_once_bytes_brought_it_back(
    grounds: Grounds,
) -> None:
    factory = grounds.factory
    far = far_ahead_with_another(factory, 200_000)
    send(factory, far, b"a" * 100_000)

    grounds.run("expired-uploads")

    assert states(factory) == ["receiving"] * 3
    assert len(factory.query("SELECT DISTINCT expires_at FROM uploads")) == 1


def test_nobody_reads_the_addresses_of_parts_in_the_rows(factory: Factory) -> None:
    new = NewUpload("upload", 5, transfer=Transfer.PART)
    opened = [factory.services.resuming.open(ALICE, new, None) for _ in range(2)]
    capabilities = [each.capability for each in opened]
    named = "final;" + " ".join(f"/tus/{each}" for each in capabilities)
    parts = Parts([each.upload_id for each in capabilities], named)

    first = factory.services.resuming.join(ALICE, NewUpload("notes.txt"), None, parts).capability
    again = factory.services.resuming.join(ALICE, NewUpload("notes.txt"), None, parts).capability
    with pytest.raises(NotFound):  # whoever was let in before it was renewed
        factory.services.resuming.status(ALICE, first)

    rows = repr(factory.snapshot())
    assert [each.secret in rows for each in (*capabilities, first, again)] == [False] * 4
    row = factory.services.resuming.status(ALICE, again).resumable
    assert row.named(again) == named


def test_addresses_of_parts_that_were_kept_as_they_came_are_still_told() -> None:
    final = Capability.new("x")

    row = Resumable("x", final.secret_sha256, None, "final;/tus/a /tus/b", ("a", "b"))

    assert row.named(final) == "final;/tus/a /tus/b"


def test_an_upload_that_ended_and_kept_its_room_gives_its_parts_bytes_back_too(
    grounds: Grounds,
) -> None:
    factory = grounds.factory
    final = whole(factory)
    with factory.records.begin() as rows:
        rows.uploads.advance(final.id, Event.CANCEL)  # and whoever did so died before the rest
    factory.shift("uploads", "updated_at", -timedelta(hours=1), id=final.id)

    done = factory.reconciler(stale=timedelta(seconds=1)).round()

    assert done is not None
    assert done.released == 1
    for path in factory.staged():
        grounds.touch(path, timedelta(days=3))
        grounds.touch(path.parent, timedelta(days=3))
    for _ in range(2):
        grounds.run("staging-orphans", grace=timedelta())
    assert factory.staged() == []


def test_a_part_that_kept_room_does_not_take_the_bytes_of_what_joined_it(factory: Factory) -> None:
    final = whole(factory)
    with factory.records.read() as rows:
        row = rows.resumables.find(final.id)
    assert row is not None
    for part_id in row.parts:
        with factory.records.begin() as rows:
            rows.uploads.settle(part_id, reserved=5)
        factory.shift("uploads", "updated_at", -timedelta(hours=1), id=part_id)

    done = factory.reconciler(stale=timedelta(seconds=1)).round()

    assert done is not None
    assert done.released == 3
    assert factory.run(job_of(factory, final)).state is JobState.SUCCEEDED
    assert factory.staged() == []
