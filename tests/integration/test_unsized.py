"""Uploads in parts of sizes that nobody said: a store that fails, quotas, and who is too late."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest
import requests
from sqlalchemy import update

from shared.adapters.tables import quotas
from shared.errors import (
    ChunksMissing,
    NotFound,
    NotReceiving,
    QuotaExceeded,
    Unavailable,
    Unprocessable,
)
from shared.model.grant import Holder
from shared.model.job import Job
from shared.model.lifecycle import JobState
from shared.model.upload import NewUpload
from shared.services.unsized import Opened, UnsizedService
from tests.support.factory import Factory
from tests.support.weather import Weather, an_error, completes, the_answer_is_lost
from tests.support.workshop import ALICE

TEXT: Final = b"Some notes that are text.\n" * 20
FIVE: Final = 5 * 1024**2
NEW: Final = NewUpload("notes.txt")
SELF: Final = Holder(ALICE)


@pytest.fixture
def unsized(far: Factory) -> UnsizedService:
    return far.services.unsized


def sent(unsized: UnsizedService, opened: Opened, number: int, body: bytes = TEXT) -> str:
    """Send a part; return its ETag."""
    (target,) = unsized.sign_parts(SELF, opened, [number]).targets
    answer = requests.put(target.url, data=body, timeout=10)
    answer.raise_for_status()
    return answer.headers["ETag"].strip('"')


def told(far: Factory, opened: Opened) -> dict[str, Any]:
    status = far.services.uploads.status(ALICE, opened.upload.id)
    return far.services.describing.upload(status.upload, status.chunks, status.job)


def limited(far: Factory, to: int) -> None:
    with far.records.begin() as rows:
        rows.quotas.reserve("default", 0)
    with far.records._engine.begin() as connection:
        connection.execute(update(quotas).values(limit_bytes=to))


def test_its_parts_are_shown_like_chunks(far: Factory, unsized: UnsizedService) -> None:
    opened = unsized.open_parts(SELF, NEW)
    sent(unsized, opened, 2)

    assert (told(far, opened)["received_bytes"], told(far, opened)["size"]) == (len(TEXT), None)


def test_what_can_not_be_begun_leaves_no_upload_open(
    far: Factory, sky: Weather, unsized: UnsizedService
) -> None:
    sky.brings(an_error(503, "SlowDown"), times=None)

    with pytest.raises(Unavailable):
        unsized.open_parts(SELF, NEW)

    assert [row["state"] for row in far.query("SELECT state FROM uploads")] == ["cancelled"]


def test_an_answer_that_is_lost_joins_once(
    far: Factory, sky: Weather, unsized: UnsizedService
) -> None:
    opened = unsized.open_parts(SELF, NEW)
    etags = {1: sent(unsized, opened, 1)}
    sky.brings(the_answer_is_lost, to=completes, times=None)

    with pytest.raises(Unavailable):
        unsized.complete(SELF, opened, etags)
    sky.clears()
    job = unsized.complete(SELF, opened, etags)

    assert far.run(job).state is JobState.SUCCEEDED
    file = far.file(job)
    assert file is not None
    assert far.content(file.key) == TEXT


def test_of_many_that_complete_at_once_all_hear_of_one_job(
    far: Factory, unsized: UnsizedService
) -> None:
    opened = unsized.open_parts(SELF, NEW)
    etags = {1: sent(unsized, opened, 1, b"a" * FIVE), 2: sent(unsized, opened, 2)}
    together = threading.Barrier(4)

    def complete(_: int) -> Job:
        together.wait()
        return unsized.complete(SELF, opened, etags)

    with ThreadPoolExecutor(4) as pool:
        jobs = list(pool.map(complete, range(4)))

    assert len({job.id for job in jobs}) == 1
    assert far.run(jobs[0]).state is JobState.SUCCEEDED
    assert far.quota() == (FIVE + len(TEXT), 0)


def test_of_a_part_that_was_sent_twice_the_named_one_is_joined(
    far: Factory, unsized: UnsizedService
) -> None:
    opened = unsized.open_parts(SELF, NEW)
    sent(unsized, opened, 1)
    again = sent(unsized, opened, 1, TEXT + b"more")

    job = unsized.complete(SELF, opened, {1: again})

    far.run(job)
    file = far.file(job)
    assert file is not None
    assert far.content(file.key) == TEXT + b"more"


def test_what_is_not_there_as_named_is_told_by_its_number(unsized: UnsizedService) -> None:
    opened = unsized.open_parts(SELF, NEW)
    etag = sent(unsized, opened, 2)

    with pytest.raises(ChunksMissing) as refusal:
        unsized.complete(SELF, opened, {1: etag, 2: etag, 3: etag})

    assert refusal.value.facts == {"missing": [0, 2]}


def test_the_canonical_complete_joins_all_parts_without_a_gap(
    far: Factory, unsized: UnsizedService
) -> None:
    opened = unsized.open_parts(SELF, NEW)
    sent(unsized, opened, 2)
    with pytest.raises(ChunksMissing):
        far.services.uploads.complete(ALICE, opened.upload.id)
    sent(unsized, opened, 1, b"a" * FIVE)

    job = far.services.uploads.complete(ALICE, opened.upload.id)

    assert far.run(job).state is JobState.SUCCEEDED
    assert far.quota() == (FIVE + len(TEXT), 0)


def test_parts_that_are_too_small_to_be_joined_are_refused(
    far: Factory, unsized: UnsizedService
) -> None:
    opened = unsized.open_parts(SELF, NEW)
    etags = {number: sent(unsized, opened, number) for number in (1, 2)}

    with pytest.raises(Unprocessable):
        unsized.complete(SELF, opened, etags)
    with pytest.raises(Unprocessable):
        far.services.uploads.complete(ALICE, opened.upload.id)

    assert told(far, opened)["state"] == "receiving"


def test_there_is_no_room_for_parts_beyond_the_quota(far: Factory, unsized: UnsizedService) -> None:
    limited(far, 2 * FIVE)
    opened = unsized.open_parts(SELF, NEW)
    etags = {
        number: sent(unsized, opened, number, bytes([96 + number]) * (FIVE + 1))
        for number in (1, 2)
    }

    with pytest.raises(QuotaExceeded):
        unsized.sign_parts(SELF, opened, [3])
    with pytest.raises(QuotaExceeded):
        unsized.complete(SELF, opened, etags)

    assert told(far, opened)["state"] == "cancelled"
    assert far.quota() == (0, 0)
    far.services.sweeps.run("direct-leftovers")
    assert (far.keys(), far.multiparts()) == (set(), [])


def test_what_is_never_completed_expires_with_its_parts(
    far: Factory, unsized: UnsizedService
) -> None:
    opened = unsized.open_parts(SELF, NEW)
    sent(unsized, opened, 1)
    far.shift("uploads", "expires_at", -timedelta(days=2), id=opened.upload.id)

    far.services.sweeps.run("expired-uploads")
    far.services.sweeps.run("direct-leftovers")

    assert told(far, opened)["state"] == "expired"
    assert far.multiparts() == []
    now = unsized.find(SELF, opened.upload.id)
    for refused in (
        lambda: unsized.parts(now),
        lambda: unsized.sign_parts(SELF, now, [1]),
        lambda: unsized.complete(SELF, now, {1: "x"}),
    ):
        with pytest.raises(NotReceiving):
            refused()


def test_a_grant_reaches_only_its_own_uploads(far: Factory, unsized: UnsizedService) -> None:
    given = [far.services.grants.give(ALICE, None) for _ in range(2)]
    holders = [far.services.grants.enter(capability).holder for _, capability in given]
    opened = unsized.open_parts(holders[0], NEW)

    assert unsized.find(holders[0], opened.upload.id, opened.key).key == opened.key
    assert unsized.find(SELF, opened.upload.id).key == opened.key
    for holder, key in (
        (holders[1], opened.key),
        (holders[0], f"{opened.key}x"),
        (Holder(replace(ALICE, subject="bob")), opened.key),
    ):
        with pytest.raises(NotFound):
            unsized.find(holder, opened.upload.id, key)
