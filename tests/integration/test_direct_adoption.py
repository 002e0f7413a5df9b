"""What lies in the store uncalled-for: never outside a quota, and never in the way of the next."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import requests

from shared.errors import NotReceiving, QuotaExceeded
from shared.model.lifecycle import UploadState
from shared.model.upload import NewUpload, Upload
from shared.services.sweeping import SweepService
from tests.integration.test_direct import DAY, FIVE, TEXT, opened, sealed, sent, state
from tests.support.factory import Factory
from tests.support.weather import Call, Choice, Weather, an_error
from tests.support.workshop import ALICE

HOUR = timedelta(hours=1)


def limited(far: Factory, size: int) -> None:
    with far.records._engine.begin() as connection:
        connection.exec_driver_sql(
            f"INSERT INTO quotas (tenant, limit_bytes, used, reserved) VALUES ('default', {size}, 0, 0)"  # noqa: S608  # a number
        )


def heads(upload: Upload) -> Choice:
    return lambda call: call.method == "HEAD" and upload.id in call.path


def asked(sky: Weather, work: Callable[[], object]) -> list[Call]:
    before = len(sky.calls)
    work()
    return [call for call, _ in sky.calls[before:]]


def with_cap(far: Factory, cap: int) -> SweepService:
    service = far.services.sweeps
    rules = replace(service.sweeper.rules, cap=cap)
    return replace(service, sweeper=replace(service.sweeper, rules=rules))


def test_what_there_is_no_room_for_ends_its_upload_when_it_is_called_complete(far: Factory) -> None:
    limited(far, len(TEXT) - 1)
    upload = opened(far)
    sent(far, upload)

    with pytest.raises(QuotaExceeded):
        sealed(far, upload)
    with pytest.raises(NotReceiving):
        sealed(far, upload)

    assert (state(far, upload), far.quota()) == (UploadState.CANCELLED, (0, 0))
    far.services.adoption.round()
    assert far.keys() == set()


def test_what_there_is_no_room_for_is_gone_after_a_round_however_much_it_is(far: Factory) -> None:
    limited(far, len(TEXT) - 1)
    uploads = [opened(far) for _ in range(3)]
    for upload in uploads:
        sent(far, upload)

    far.services.adoption.round()
    far.services.adoption.round()

    assert {state(far, each) for each in uploads} == {UploadState.CANCELLED}
    assert far.keys() == set()
    far.services.sweeps.run("direct-leftovers")  # whose the rows are, with no grace at all
    assert far.services.sweeps.run("audit")["findings"] == {}


def test_what_a_link_writes_after_the_end_goes_with_the_next_round(far: Factory) -> None:
    upload = opened(far)
    (target,) = far.services.targets.sign(ALICE, upload.id).targets
    far.services.uploads.cancel(ALICE, upload.id)
    far.services.sweeps.run("direct-leftovers")
    requests.put(target.url, data=TEXT, timeout=10).raise_for_status()

    far.services.adoption.round()

    assert far.keys() == set()


def test_a_round_deletes_nothing_that_somebody_may_still_read(far: Factory) -> None:
    queued, failed, done = opened(far), opened(far), opened(far)
    for upload in (queued, failed, done):
        sent(far, upload)
    sealed(far, queued)
    job = sealed(far, failed)
    far.claims.give_up(far.claim(job), {"code": "attempts_exhausted", "detail": "Enough."})
    far.run(sealed(far, done))

    far.services.adoption.round()

    waiting = {f".staging/direct/{upload.id}" for upload in (queued, failed)}
    assert far.keys() == {*waiting, done.key}


def test_for_what_the_list_shows_to_be_unfit_nothing_is_asked(far: Factory, sky: Weather) -> None:
    for _ in range(3):
        sent(far, opened(far), b"")
    good = opened(far)
    sent(far, good)

    calls = asked(sky, far.services.adoption.round)

    assert state(far, good) is UploadState.SEALED
    assert [call.method for call in calls] == ["GET", "HEAD"]


def test_a_round_that_is_over_goes_on_where_it_was(far: Factory) -> None:
    uploads = [opened(far) for _ in range(3)]
    for upload in uploads:
        sent(far, upload)
    short = replace(far.services.adoption, budget=timedelta(seconds=-1))

    adopted = [short.round() for _ in range(3)]

    assert adopted == [1, 1, 1]
    assert {state(far, each) for each in uploads} == {UploadState.SEALED}
    late = opened(far)
    sent(far, late)
    assert [short.round(), short.round()] == [1, 0]


def test_only_one_process_at_a_time_adopts(far: Factory) -> None:
    upload = opened(far)
    sent(far, upload)
    with far.records.begin() as rows:
        rows.leases.take("adoption", "another", timedelta(minutes=2))

    assert far.services.adoption.round() == 0
    with far.records.begin() as rows:
        rows.leases.leave("adoption", "another", None)
    assert far.services.adoption.round() == 1


def test_an_object_that_the_store_refuses_to_show_holds_up_no_other(
    far: Factory, sky: Weather
) -> None:
    bad, good = opened(far), opened(far)
    for upload in (bad, good):
        sent(far, upload)
    sky.brings(an_error(403, "AccessDenied"), to=heads(bad), times=None)

    assert far.services.adoption.round() == 1
    assert state(far, good) is UploadState.SEALED
    far.shift("uploads", "expires_at", -3 * HOUR, id=bad.id)
    far.services.sweeps.run("expired-uploads")
    assert state(far, bad) is UploadState.RECEIVING
    far.shift("uploads", "expires_at", -DAY, id=bad.id)
    far.services.sweeps.run("expired-uploads")
    assert state(far, bad) is UploadState.EXPIRED


def test_what_began_in_time_has_an_hour_to_arrive(far: Factory) -> None:
    content = (TEXT * (FIVE // len(TEXT) + 2))[: FIVE + 500]
    upload = opened(far, size=len(content), chunk_size=FIVE)
    sent(far, upload, content)
    absent = opened(far)
    for each in (upload, absent):
        far.shift("uploads", "expires_at", -HOUR - timedelta(minutes=30), id=each.id)

    far.services.sweeps.run("expired-uploads")

    assert [state(far, each) for each in (upload, absent)] == [UploadState.RECEIVING] * 2
    sealed(far, upload)
    far.shift("uploads", "expires_at", -HOUR, id=absent.id)
    far.services.sweeps.run("expired-uploads")
    assert state(far, absent) is UploadState.EXPIRED


def test_what_waits_for_the_store_takes_no_place_of_what_does_not(
    far: Factory, sky: Weather
) -> None:
    on_their_way = [opened(far) for _ in range(3)]
    waiting = [opened(far) for _ in range(3)]
    chunked = far.services.uploads.open(ALICE, NewUpload("notes.txt"))
    for upload in on_their_way:
        far.shift("uploads", "expires_at", -HOUR - timedelta(minutes=30), id=upload.id)
    far.shift("uploads", "expires_at", -HOUR - timedelta(minutes=20), id=chunked.id)
    capped = with_cap(far, 1)

    capped.run("expired-uploads")

    assert state(far, chunked) is UploadState.EXPIRED
    for upload in waiting:
        far.shift("uploads", "expires_at", -5 * HOUR, id=upload.id)
    late = far.services.uploads.open(ALICE, NewUpload("notes.txt"))
    far.shift("uploads", "expires_at", -HOUR * 3, id=late.id)
    sky.brings(an_error(503, "SlowDown"), times=None)
    capped.run("expired-uploads")
    assert state(far, late) is UploadState.EXPIRED


def test_one_object_that_is_denied_keeps_no_other_upload_from_its_end(
    far: Factory, sky: Weather
) -> None:
    denied, other = opened(far), opened(far)
    far.shift("uploads", "expires_at", -4 * HOUR, id=denied.id)
    far.shift("uploads", "expires_at", -3 * HOUR, id=other.id)
    sky.brings(an_error(403, "AccessDenied"), to=heads(denied), times=None)

    far.services.sweeps.run("expired-uploads")

    assert [state(far, each) for each in (denied, other)] == [
        UploadState.RECEIVING,
        UploadState.EXPIRED,
    ]


def test_a_silent_store_is_asked_once_and_what_needs_none_expires(
    far: Factory, sky: Weather
) -> None:
    uploads = [opened(far) for _ in range(3)]
    chunked = far.services.uploads.open(ALICE, NewUpload("notes.txt"))
    for upload in (*uploads, chunked):
        far.shift("uploads", "expires_at", -HOUR * 5, id=upload.id)
    sky.brings(an_error(503, "SlowDown"), times=None)

    calls = asked(sky, lambda: far.services.sweeps.run("expired-uploads"))

    assert len({call.path for call in calls}) == 1
    assert state(far, chunked) is UploadState.EXPIRED
