"""Who clears what clients have sent to the store: the worker that copied it, or else a sweep."""

from dataclasses import replace

import pytest
import requests

from shared.model.lifecycle import JobState
from shared.model.upload import NewUpload, Transfer
from tests.integration.test_direct import DAY, FIVE, TEXT, opened, sealed, sent
from tests.support.ages import behind
from tests.support.factory import Factory
from tests.support.pictures import a_png
from tests.support.weather import Weather, an_error
from tests.support.workshop import ALICE


@pytest.mark.parametrize("size", [None, FIVE + 500])
def test_a_worker_clears_what_it_has_copied(far: Factory, sky: Weather, size: int | None) -> None:
    content = (TEXT * (FIVE // len(TEXT) + 2))[:size] if size else TEXT
    upload = opened(far, size=size, chunk_size=FIVE if size else None)
    sent(far, upload, content)

    far.run(sealed(far, upload))

    assert far.keys() == {upload.key}
    asked = len(sky.calls)
    assert far.services.sweeps.run("direct-leftovers")["seen"] == 0
    assert len(sky.calls) == asked


def test_what_can_not_be_cleared_keeps_nothing_else_waiting(far: Factory, sky: Weather) -> None:
    first, second = opened(far), opened(far)
    for upload in (first, second):
        sent(far, upload)
        far.services.uploads.cancel(ALICE, upload.id)
    rules = replace(far.services.sweeps.sweeper.rules, cap=1)
    sweeps = replace(far.services.sweeps, sweeper=replace(far.services.sweeps.sweeper, rules=rules))
    sky.brings(an_error(403, "AccessDenied"), to=lambda call: first.id in call.path, times=None)

    results = [sweeps.run("direct-leftovers") for _ in range(2)]

    assert [(each["failed"], each["removed"]) for each in results] == [(1, 0), (0, 1)]
    assert far.keys() == {f".staging/direct/{first.id}"}


def test_parts_are_counted_once_when_they_are_cleared(far: Factory) -> None:
    upload = opened(far, size=2 * FIVE, chunk_size=FIVE)
    far.services.targets.sign(ALICE, upload.id)
    far.services.uploads.cancel(ALICE, upload.id)

    removed = far.services.sweeps.run("direct-leftovers")["removed"]
    far.shift("direct", "links_until", -2 * DAY, upload_id=upload.id)
    again = far.services.sweeps.run("direct-leftovers")

    assert (removed, again["removed"], again["seen"]) == (1, 0, 1)
    assert (far.multiparts(), far.query("SELECT * FROM direct")) == ([], [])


def test_a_clock_of_the_database_that_is_ahead_forgets_no_row(far: Factory) -> None:
    upload = opened(far)
    far.services.targets.sign(ALICE, upload.id)
    far.services.uploads.cancel(ALICE, upload.id)
    far.shift("direct", "links_until", -2 * DAY, upload_id=upload.id)

    behind(far.services.sweeps, 3 * DAY).run("direct-leftovers")
    known = far.query("SELECT * FROM direct")
    far.services.sweeps.run("direct-leftovers")

    assert (len(known), far.query("SELECT * FROM direct")) == (1, [])


def test_a_photo_that_changes_before_it_is_copied_leaves_no_thumbnails(far: Factory) -> None:
    photos = [a_png(1500, 1500), a_png(1400, 1600)]
    size = max(len(each) for each in photos)
    new = NewUpload("photo.png", size, transfer=Transfer.DIRECT)
    upload = far.services.uploads.open(ALICE, new)
    (target,) = far.services.targets.sign(ALICE, upload.id).targets
    first, second = [each.ljust(size, b"\0") for each in photos]
    requests.put(target.url, data=first, timeout=10).raise_for_status()
    job = sealed(far, upload)
    far.board.before["publish"] = lambda: requests.put(target.url, data=second, timeout=10)

    ended = far.run(job)

    left = far.keys() - {f".staging/direct/{upload.id}"}
    assert ended.state is JobState.REJECTED
    assert left != set()
    assert {row["key"] for row in far.query("SELECT key FROM objects")} >= left
