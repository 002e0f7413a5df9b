"""What becomes of uploads that lie in the store: adopted, swept, audited, tried again."""

from datetime import timedelta
from typing import Any, Final

import pytest
import requests

from shared.model.caller import Caller, Scope
from shared.model.job import Job
from shared.model.lifecycle import JobState, UploadState
from shared.model.upload import NewUpload, Transfer, Upload
from tests.support.factory import Factory
from tests.support.weather import Call, Weather, an_error, copies, reads, the_answer_is_lost
from tests.support.workshop import ALICE

TEXT: Final = b"Some notes that are text.\n" * 20
ADMIN: Final = Caller("root", scopes=frozenset({Scope.ADMIN}))
DAY: Final = timedelta(days=1)
FIVE: Final = 5 * 1024**2


def opened(far: Factory, **said: Any) -> Upload:
    new = NewUpload("notes.txt", transfer=Transfer.DIRECT, **said)
    return far.services.uploads.open(ALICE, new)


def sent(far: Factory, upload: Upload, body: bytes = TEXT) -> None:
    handed = far.services.targets.sign(ALICE, upload.id)
    for target in handed.targets:
        stop = None if target.size is None else target.offset + target.size
        requests.put(target.url, data=body[target.offset : stop], timeout=10).raise_for_status()


def sealed(far: Factory, upload: Upload) -> Job:
    return far.services.uploads.complete(ALICE, upload.id)


def state(far: Factory, upload: Upload) -> UploadState:
    return far.services.uploads.status(ALICE, upload.id).upload.state


def test_an_upload_that_arrived_is_not_expired_but_adopted(far: Factory) -> None:
    there, absent = opened(far), opened(far)
    sent(far, there)
    for upload in (there, absent):
        far.shift("uploads", "expires_at", -DAY * 2, id=upload.id)

    far.services.sweeps.run("expired-uploads")

    assert [state(far, each) for each in (there, absent)] == [
        UploadState.SEALED,
        UploadState.EXPIRED,
    ]


def test_a_round_of_adoption_takes_what_is_there_and_asks_nothing_when_nothing_can_come(
    far: Factory, sky: Weather
) -> None:
    upload, other = opened(far), opened(far)
    sent(far, upload)

    assert far.services.adoption.round() == 1
    assert [state(far, each) for each in (upload, other)] == [
        UploadState.SEALED,
        UploadState.RECEIVING,
    ]
    far.services.uploads.cancel(ALICE, other.id)
    far.shift("direct", "links_until", -2 * DAY, upload_id=upload.id)
    asked = len(sky.calls)
    assert far.services.adoption.round() == 0
    assert len(sky.calls) == asked


def test_the_store_copies_what_it_holds_and_the_worker_sends_nothing(
    far: Factory, sky: Weather
) -> None:
    content = (b"0123456789abcde\n" * (FIVE // 16)) + TEXT
    upload = opened(far, size=len(content), chunk_size=FIVE)
    sent(far, upload, content)
    job = sealed(far, upload)
    before = len(sky.calls)

    ended = far.run(job)

    assert (ended.state, ended.error) == (JobState.SUCCEEDED, None)
    file = far.file(job)
    assert file is not None
    assert far.content(file.key) == content
    assert sum(len(call.body) for call, _ in sky.calls[before:]) < 1024


def deletes(call: Call) -> bool:
    return call.method == "DELETE"


@pytest.mark.parametrize("size", [None, FIVE + 500])
def test_what_a_worker_could_not_clear_from_staging_is_swept(
    far: Factory, sky: Weather, size: int | None
) -> None:
    content = (TEXT * (FIVE // len(TEXT) + 2))[:size] if size else TEXT
    upload = opened(far, size=size, chunk_size=FIVE if size else None)
    sent(far, upload, content)
    job = sealed(far, upload)
    assert far.services.sweeps.run("direct-leftovers")["removed"] == 0
    sky.brings(an_error(403, "AccessDenied"), to=deletes, times=None)
    assert far.run(job).state is JobState.SUCCEEDED
    sky.clears()

    dry = far.services.sweeps.run("direct-leftovers", dry_run=True)
    done = far.services.sweeps.run("direct-leftovers")
    again = far.services.sweeps.run("direct-leftovers")

    assert [result["removed"] for result in (dry, done, again)] == [1, 1, 0]
    assert all(not key.startswith(".staging/") for key in sorted(far.keys()))
    assert far.multiparts() == []
    assert far.content(upload.key) == content


def test_what_comes_late_is_cleared_when_no_link_works_any_more(far: Factory) -> None:
    upload = opened(far)
    (target,) = far.services.targets.sign(ALICE, upload.id).targets
    far.services.uploads.cancel(ALICE, upload.id)
    far.services.sweeps.run("direct-leftovers")

    requests.put(target.url, data=TEXT, timeout=10).raise_for_status()
    far.services.sweeps.run("direct-leftovers")
    assert far.keys() == {f".staging/direct/{upload.id}"}
    far.shift("direct", "links_until", -2 * DAY, upload_id=upload.id)
    far.services.sweeps.run("direct-leftovers")

    assert far.keys() == set()
    assert far.query("SELECT * FROM direct") == []


def test_the_auditor_finds_nothing_wrong_with_any_of_them(far: Factory) -> None:
    waiting, arrived, queued, done, failed = (opened(far) for _ in range(5))
    for upload in (arrived, queued, done, failed):
        sent(far, upload)
    sealed(far, queued)
    far.run(sealed(far, done))
    claim = far.claim(sealed(far, failed))
    far.claims.give_up(claim, {"code": "attempts_exhausted", "detail": "Enough."})

    result = far.services.sweeps.run("audit")

    assert (result["findings"], result["unrepaired"]) == ({}, 0)
    assert state(far, waiting) is UploadState.RECEIVING


def test_a_failed_one_is_tried_again_while_its_bytes_are_kept(far: Factory) -> None:
    upload = opened(far)
    sent(far, upload)
    job = sealed(far, upload)
    far.claims.give_up(far.claim(job), {"code": "attempts_exhausted", "detail": "Enough."})
    far.services.sweeps.run("direct-leftovers")

    again = far.services.jobs.retry(ADMIN, job.id)

    assert far.run(again).state is JobState.SUCCEEDED


def test_a_store_that_is_away_while_it_is_read_or_copied_costs_no_attempt(
    far: Factory, sky: Weather
) -> None:
    upload = opened(far)
    sent(far, upload)
    job = sealed(far, upload)

    for trouble in (reads, copies):
        sky.brings(an_error(503, "SlowDown"), to=trouble, times=None)
        waiting = far.run(job)
        assert (waiting.state, waiting.attempts) == (JobState.QUEUED, 0)
        sky.clears()

    assert far.run(job).state is JobState.SUCCEEDED


def test_an_answer_to_the_copy_that_is_lost_is_recognised(far: Factory, sky: Weather) -> None:
    upload = opened(far)
    sent(far, upload)
    job = sealed(far, upload)
    sky.brings(the_answer_is_lost, to=copies)

    ended = far.run(job)

    assert (ended.state, ended.error) == (JobState.SUCCEEDED, None)
    assert far.content(upload.key) == TEXT
