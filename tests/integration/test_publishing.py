"""What was written is looked at: a store that damages what it takes makes no file of it."""

import pytest

from shared.model.job import Job
from shared.model.lifecycle import JobState
from tests.support import weather
from tests.support.damage import mute, silently
from tests.support.factory import Factory
from tests.support.pictures import a_png
from tests.support.weather import Call, Weather

MIB = 1024**2


@pytest.fixture
def factory(far: Factory) -> Factory:
    return far


@pytest.mark.parametrize("short", [False, True], ids=["damaged", "cut"])
@pytest.mark.parametrize("which", ["files/", "thumbnails/"])
def test_what_the_store_damaged_is_written_anew(
    factory: Factory, sky: Weather, which: str, *, short: bool
) -> None:
    content = a_png(640, 480)
    job = factory.received(content, "photo.png")
    is_small = which == "thumbnails/"

    def picks(call: Call) -> bool:
        return weather.puts(call) and ("thumbnails/" in call.path) is is_small

    sky.brings(silently(sky.place, short=short), to=picks)

    put_off = factory.run(job)
    ended = factory.run(job)

    file = factory.file(job)
    assert (put_off.state, put_off.attempts) == (JobState.QUEUED, 0)
    assert put_off.error is not None
    assert put_off.error["code"] == "objects_unavailable"
    assert ended.state is JobState.SUCCEEDED, ended.error
    assert file is not None
    assert factory.content(file.key) == content
    for small in file.thumbnails:
        body = factory.content(small.key)
        assert (len(body), body[8:12]) == (small.size, b"WEBP")


def test_a_damage_that_nobody_answered_for_is_written_over_at_once(
    factory: Factory, sky: Weather
) -> None:
    job = factory.received(b"hello" * 100)

    def lost(call: Call) -> None:
        silently(sky.place)(call)

    sky.brings(lost, to=weather.puts)

    ended = factory.run(job)

    assert ended.state is JobState.SUCCEEDED, ended.error
    assert content_of(factory, job) == b"hello" * 100


def test_a_damaged_part_is_sent_again(factory: Factory, sky: Weather) -> None:
    content = b"abcdefgh" * (9 * MIB // 8)
    job = factory.received(content)
    sky.brings(silently(sky.place), to=weather.parts)

    put_off = factory.run(job)
    ended = factory.run(job)

    assert put_off.state is JobState.QUEUED
    assert ended.state is JobState.SUCCEEDED, ended.error
    assert content_of(factory, job) == content
    assert factory.multiparts() == []


def test_what_is_gone_again_is_written_anew(factory: Factory, sky: Weather) -> None:
    job = factory.received(b"hello")
    sky.brings(weather.an_error(404, "NotFound"), to=lambda call: call.method == "HEAD", times=2)

    put_off = factory.run(job)
    ended = factory.run(job)

    assert put_off.error is not None
    assert put_off.error["code"] == "objects_unavailable"
    assert ended.state is JobState.SUCCEEDED, ended.error


def test_to_look_at_what_was_written_costs_one_request(factory: Factory, sky: Weather) -> None:
    factory.run(factory.received(b"hello"))

    assert [call.method for call, _ in sky.calls] == ["PUT", "HEAD"]


@pytest.mark.parametrize("content", [b"hello", b""])
def test_a_store_that_says_nothing_of_its_bytes_is_read_from(
    factory: Factory, sky: Weather, content: bytes
) -> None:
    job = factory.received(content, size=len(content))
    sky.brings(mute, to=lambda call: call.method == "HEAD", times=None)

    ended = factory.run(job)

    assert ended.state is JobState.SUCCEEDED, ended.error
    assert [call.method for call, _ in sky.calls][:3] == ["PUT", "HEAD", "HEAD"]


def test_who_lost_the_job_meanwhile_deletes_nothing(factory: Factory, sky: Weather) -> None:
    job = factory.received(b"hello")
    there = factory.upload(job).key

    def damages_and_loses(call: Call) -> weather.Answer | None:
        answer = silently(sky.place)(call)
        factory.take_over(job)
        return answer

    sky.brings(damages_and_loses, to=weather.puts)

    factory.run(job)

    assert factory.keys() == {there}
    assert (factory.job(job).worker or "").startswith("another/")


def test_who_lost_the_job_before_it_could_write_over_a_damage_does_not(
    factory: Factory, sky: Weather
) -> None:
    job = factory.received(b"hello")
    upload = factory.upload(job)
    factory.objects.put(upload.key, b"hellO", content_type="a/b", upload_id=upload.id)

    def loses(call: Call) -> weather.Answer:
        factory.take_over(job)
        return call.forward()

    sky.brings(loses, to=weather.reads)

    factory.run(job)

    assert factory.content(upload.key) == b"hellO"


def content_of(factory: Factory, job: Job) -> bytes:
    file = factory.file(job)
    assert file is not None
    return factory.content(file.key)
