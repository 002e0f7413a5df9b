"""Stores that copy no parts, or make no file of them: all bytes are sent, within the same attempt."""

import re
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.model.job import Job
from shared.model.layout import Layout
from tests.integration.test_joining_in_the_store import (
    MIB,
    assert_whole,
    copies,
    copies_a_part,
    noise,
    received,
    sends,
)
from tests.integration.test_joining_in_the_store import factory as _factory
from tests.support import weather
from tests.support.factory import Factory
from tests.support.weather import Answer, Call, Fault, Weather

factory = _factory
SENT = [MIB, 8 * MIB, 8 * MIB]  # what 17 MiB are cut into when all are sent


def multipart_of(call: Call) -> str:
    return parse_qs(urlsplit(call.path).query)["uploadId"][0]


def joined_ones(sky: Weather) -> set[str]:
    return {
        multipart_of(call) for call, status in sky.calls if copies_a_part(call) and status == 200
    }


def completes_what_was_joined(sky: Weather) -> weather.Choice:
    return lambda call: weather.completes(call) and multipart_of(call) in joined_ones(sky)


def an_empty_part(call: Call) -> Answer:
    """A store that does not know the header takes the request for a part without bytes."""
    del call
    return Answer(200, [("ETag", '"d41d8cd98f00b204e9800998ecf8427e"')])


def without_a_range(call: Call) -> Answer:
    """A store that copies all of the source, whatever range is asked for, and sums nothing up."""
    answer = replace(call, headers=rangeless(call)).forward()
    said = re.sub(rb"<ChecksumCRC64NVME>[^<]+</ChecksumCRC64NVME>", b"", answer.body)
    headers = [each for each in answer.headers if each[0].lower() != "content-length"]
    return replace(answer, body=said, headers=headers)


def rangeless(call: Call) -> dict[str, str]:
    return {
        name: value
        for name, value in call.headers.items()
        if name.lower() != "x-amz-copy-source-range"
    }


def is_a_look(call: Call) -> bool:
    return call.method == "HEAD"


def seventeen(factory: Factory) -> tuple[Job, bytes]:
    """Receive two chunks that the store could copy, and one that it could not."""
    content = noise(17 * MIB)
    return received(factory, content, 8 * MIB, 8 * MIB, MIB), content


def warned(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str | None]]:
    """Return what was refused, and with which code, as often as it was said."""
    said = [vars(each) for each in caplog.records if each.message == "store_does_not_join"]
    return [(each["operation"], each["code"]) for each in said]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (weather.an_error(501, "NotImplemented"), "NotImplemented"),
        (weather.an_error(405, "MethodNotAllowed"), "MethodNotAllowed"),
        (weather.an_error(400, "InvalidRequest"), "InvalidRequest"),
        (weather.an_error(403, "AccessDenied"), "AccessDenied"),
        (an_empty_part, None),
    ],
    ids=["501", "405", "400", "403", "empty"],
)
def test_what_the_store_does_not_copy_is_sent(
    factory: Factory,
    sky: Weather,
    caplog: pytest.LogCaptureFixture,
    fault: Fault,
    code: str | None,
) -> None:
    (job, content), (next_job, _) = seventeen(factory), seventeen(factory)
    sky.brings(fault, to=copies_a_part, times=None)

    ended = factory.run(job)
    asked = sum(copies_a_part(call) for call, _ in sky.calls)
    factory.run(next_job)

    assert ended.attempts == 1
    for each in (job, next_job):
        assert_whole(factory, each, content)
    assert sorted(sends(sky)[-6:]) == sorted(2 * SENT)
    assert sum(copies_a_part(call) for call, _ in sky.calls) == asked  # nobody asks again
    assert warned(caplog) == [("UploadPartCopy", code)]


@pytest.mark.parametrize("code", ["InvalidPart", "EntityTooSmall", "InvalidRequest"])
def test_what_the_store_does_not_complete_is_sent(
    factory: Factory, sky: Weather, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    (job, content), (next_job, _) = seventeen(factory), seventeen(factory)
    sky.brings(weather.an_error(400, code), to=completes_what_was_joined(sky), times=None)

    ended = factory.run(job)
    copied = copies(sky)
    factory.run(next_job)

    assert ended.attempts == 1
    for each in (job, next_job):
        assert_whole(factory, each, content)
    assert len(copied) == len(copies(sky)) == 2
    assert sorted(sends(sky)[-6:]) == sorted(2 * SENT)
    assert warned(caplog) == [("CompleteMultipartUpload", code)]


def test_wrong_bytes_that_a_completion_finds_teach_nothing(
    factory: Factory, sky: Weather, caplog: pytest.LogCaptureFixture
) -> None:
    (job, content), (next_job, _) = seventeen(factory), seventeen(factory)
    sky.brings(weather.an_error(400, "BadDigest"), to=completes_what_was_joined(sky), times=1)

    ended = factory.run(job)
    copied = copies(sky)
    factory.run(next_job)

    assert ended.attempts == 1
    for each in (job, next_job):
        assert_whole(factory, each, content)
    assert len(copies(sky)) == 2 * len(copied)
    assert warned(caplog) == []


def test_a_refusal_that_comes_behind_the_beginning_of_an_answer_is_one(
    factory: Factory, sky: Weather
) -> None:
    job, content = seventeen(factory)
    refusal = weather.an_error(200, "InvalidPart")
    sky.brings(refusal, to=completes_what_was_joined(sky), times=None)

    factory.run(job)

    assert_whole(factory, job, content)


def test_a_completion_that_is_not_known_is_not_taken_for_a_condition_that_is_not(
    factory: Factory, sky: Weather
) -> None:
    job, content = seventeen(factory)
    refusal = weather.an_error(501, "NotImplemented")
    sky.brings(refusal, to=completes_what_was_joined(sky), times=None)

    factory.run(job)

    completions = [call for call, status in sky.calls if weather.completes(call) and status == 200]
    assert [{"if-none-match"} & set(map(str.lower, call.headers)) for call in completions] == [
        {"if-none-match"}
    ]
    assert_whole(factory, job, content)


def test_what_the_store_joins_wrongly_is_sent_over_it(factory: Factory, sky: Weather) -> None:
    content = noise(17 * MIB)
    job = received(factory, content, MIB, 8 * MIB, 8 * MIB)
    sky.brings(without_a_range, to=copies_a_part, times=None)

    ended = factory.run(job)

    assert ended.attempts == 1
    assert_whole(factory, job, content)


def test_a_file_is_replaced_by_what_is_sent(factory: Factory, sky: Weather) -> None:
    bare = Layout("{name}")
    old = received(factory, noise(100), 100, layout=bare)
    factory.run(old)
    content = noise(17 * MIB)
    job = received(factory, content, 8 * MIB, 8 * MIB, MIB, layout=bare, replace=True)
    sky.brings(weather.an_error(400, "InvalidPart"), to=completes_what_was_joined(sky), times=None)

    factory.run(job)

    assert_whole(factory, job, content)
    assert factory.file(old) is None
    assert factory.upload(job).key == factory.upload(old).key


def test_an_outage_and_a_denial_of_everything_teach_nothing(
    factory: Factory, sky: Weather, caplog: pytest.LogCaptureFixture
) -> None:
    job, content = seventeen(factory)
    for fault in (
        weather.an_error(503, "SlowDown"),
        weather.an_error(400, "RequestTimeout"),
        weather.an_error(409, "OperationAborted"),
    ):
        sky.brings(fault, to=copies_a_part, times=None)
        factory.run(job)
        sky.clears()
    sky.brings(weather.an_error(403, "AccessDenied"), to=copies_a_part, times=None)
    sky.brings(weather.an_error(403, "AccessDenied"), to=is_a_look, times=None)
    factory.run(job)
    sky.clears()

    factory.run(job)

    assert warned(caplog) == []
    assert copies(sky)
    assert_whole(factory, job, content)


def test_bytes_that_changed_before_they_are_sent_make_no_file(
    factory: Factory, sky: Weather
) -> None:
    job, _ = seventeen(factory)

    def gone(call: Call) -> Answer | None:
        factory.staging.clear(job.upload_id)
        return weather.an_error(400, "InvalidPart")(call)

    sky.brings(gone, to=completes_what_was_joined(sky))

    factory.run(job)

    assert factory.file(job) is None
    assert factory.multiparts() == []
