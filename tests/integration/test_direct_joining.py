"""Links and parts when answers are lost, the store is away, or two do the same at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import requests

from shared.adapters.objects_s3 import S3Objects
from shared.errors import NotReceiving, Unavailable, Unprocessable
from shared.model.lifecycle import JobState, UploadState
from shared.model.upload import NewUpload, Transfer, Upload
from tests.integration.test_direct import DAY, FIVE, TEXT, opened, sealed, sent, state
from tests.support.factory import Factory
from tests.support.weather import Answer, Call, Weather, an_error, completes, the_answer_is_lost
from tests.support.workshop import ALICE

CONTENT = (b"0123456789abcde\n" * (FIVE // 16)) + TEXT


def in_parts(far: Factory) -> Upload:
    upload = opened(far, size=len(CONTENT), chunk_size=FIVE)
    sent(far, upload, CONTENT)
    return upload


def described(far: Factory, upload: Upload) -> Any:
    status = far.services.uploads.status(ALICE, upload.id)
    return far.services.describing.upload(status.upload, status.chunks, status.job)


def a_join_that_nobody_hears_of(far: Factory, sky: Weather) -> Upload:
    upload = in_parts(far)
    sky.brings(the_answer_is_lost, to=completes)
    sky.brings(an_error(503, "SlowDown"), to=completes, times=None)
    with pytest.raises(Unavailable):
        sealed(far, upload)
    sky.clears()
    return upload


def test_what_is_joined_is_whole_whoever_heard_of_it(far: Factory, sky: Weather) -> None:
    upload = a_join_that_nobody_hears_of(far, sky)

    said = described(far, upload)

    assert (said["missing"], said["received_bytes"]) == ([], len(CONTENT))
    assert said["received"] == [[0, len(CONTENT)]]
    assert far.services.targets.sign(ALICE, upload.id).targets == []
    assert far.run(sealed(far, upload)).state is JobState.SUCCEEDED


def test_what_is_joined_is_adopted(far: Factory, sky: Weather) -> None:
    upload, other = a_join_that_nobody_hears_of(far, sky), in_parts(far)

    assert far.services.adoption.round() == 1

    assert [state(far, each) for each in (upload, other)] == [
        UploadState.SEALED,
        UploadState.RECEIVING,
    ]


def test_a_join_may_take_longer_than_other_requests(far: Factory, sky: Weather) -> None:
    def slowly(call: Call) -> Answer:
        call.over.wait(6)  # the factory's store has five seconds for what is not a join
        return call.forward()

    def joins(call: Call) -> bool:
        return completes(call) and ".staging/" in call.path

    upload = in_parts(far)
    vars(far.objects)["_slow"] = S3Objects(sky.place)._slow  # as patient as it comes
    sky.brings(slowly, to=joins, times=None)

    assert far.run(sealed(far, upload)).state is JobState.SUCCEEDED


def test_of_two_that_complete_at_once_none_hears_that_parts_are_missing(
    far: Factory, sky: Weather
) -> None:
    upload = in_parts(far)
    looked, joined = threading.Event(), threading.Event()

    def late(call: Call) -> Answer:
        looked.set()
        joined.wait(20)
        return call.forward()

    sky.brings(late, to=lambda call: call.method == "GET" and "uploadId" in call.path)
    with ThreadPoolExecutor(1) as threads:
        loser = threads.submit(sealed, far, upload)
        assert looked.wait(20)
        winner = sealed(far, upload)
        joined.set()

        assert loser.result().id == winner.id


def test_an_upload_that_can_not_be_signed_holds_no_room(far: Factory, sky: Weather) -> None:
    upload = opened(far, size=80 * 1024**2)
    sky.brings(an_error(503, "SlowDown"), times=None)

    with pytest.raises(Unavailable):
        far.services.targets.sign_first(ALICE, upload.id, is_kept=False)

    assert (state(far, upload), far.quota()) == (UploadState.CANCELLED, (0, 0))


def test_one_that_can_be_opened_again_by_its_key_is_kept(far: Factory, sky: Weather) -> None:
    upload = opened(far, size=80 * 1024**2)
    sky.brings(an_error(503, "SlowDown"), times=None)

    with pytest.raises(Unavailable):
        far.services.targets.sign_first(ALICE, upload.id, is_kept=True)

    sky.clears()
    assert len(far.services.targets.sign_first(ALICE, upload.id, is_kept=True).targets) == 5


def test_no_link_is_out_that_no_row_knows(far: Factory, sky: Weather) -> None:
    upload = opened(far, size=len(CONTENT), chunk_size=FIVE)

    def cancelled(call: Call) -> Answer:
        far.services.uploads.cancel(ALICE, upload.id)
        far.services.sweeps.run("direct-leftovers")
        return call.forward()

    far.services.targets.sign(ALICE, upload.id)
    sky.brings(cancelled, to=lambda call: call.method == "GET" and "uploadId" in call.path)
    far.shift("direct", "links_until", -2 * DAY, upload_id=upload.id)

    with pytest.raises(NotReceiving):
        far.services.targets.sign(ALICE, upload.id)

    assert far.query("SELECT * FROM direct") == []


def test_an_empty_file_has_a_target_where_empty_files_are_allowed(far: Factory) -> None:
    direct = replace(far.services.uploads.direct, allow_empty=True)
    uploads = replace(far.services.uploads, direct=direct)
    upload = uploads.open(ALICE, NewUpload("notes.txt", size=0, transfer=Transfer.DIRECT))

    (target,) = far.services.targets.sign(ALICE, upload.id).targets
    assert far.services.targets.sign(ALICE, upload.id, numbers=[0]).targets[0].size == 0
    assert described(far, upload)["missing"] == [0]
    requests.put(target.url, data=b"", timeout=10).raise_for_status()

    assert described(far, upload)["missing"] == []
    assert uploads.complete(ALICE, upload.id, total_chunks=1).total == 0


def test_of_unknown_size_the_one_request_is_missing_until_it_came(far: Factory) -> None:
    upload = opened(far)

    assert described(far, upload)["missing"] == [0]
    sent(far, upload)
    assert described(far, upload)["missing"] == []


def test_parts_of_an_unknown_size_are_refused(far: Factory) -> None:
    with pytest.raises(Unprocessable):
        opened(far, chunk_size=FIVE)


def test_what_a_silent_store_has_is_not_known(far: Factory, sky: Weather) -> None:
    upload = opened(far)
    sky.brings(an_error(503, "SlowDown"), times=None)

    said = described(far, upload)

    assert (said["state"], said["received"], said["received_bytes"]) == ("receiving", None, None)
    assert said["missing"] is None
