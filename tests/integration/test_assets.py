"""What services beside it store, without a request: the same checks and jobs, and a public address."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from shared.errors import (
    FileEmpty,
    JobFailed,
    NameTaken,
    NotInTime,
    Rejected,
    Unprocessable,
    Unsupported,
)
from shared.services.assets import Asset, AssetService
from tests.support.factory import UPLOADS, Factory, a_factory
from tests.support.pictures import a_png
from tests.support.samples import mp3, picture, text
from tests.support.samples_video import mp4
from worker.processing import Processing

MINE = Asset(customer=123)


class Working:
    """A bell whose ring is a job done at once, after `first`."""

    def __init__(self, factory: Factory, first: Callable[[], object]) -> None:
        self._factory = factory
        self._first = first

    def process(self, job_id: str) -> bool:
        self._first()
        Processing(self._factory.services, "worker", lambda: False).process(job_id)
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._factory.bell, name)


@pytest.fixture
def factory(tmp_path: Path, database_url: str) -> Iterator[Factory]:
    rules = replace(UPLOADS, allow_empty=False)
    with a_factory(tmp_path, database_url, uploads=rules) as made:
        yield made


def assets(factory: Factory, first: Callable[[], object] = lambda: None) -> AssetService:
    services = factory.services
    jobs = replace(services.jobs, dispatcher=Working(factory, first))
    uploads = replace(services.uploads, jobs=jobs)
    return replace(services.assets, uploads=uploads, jobs=jobs)


def keys(factory: Factory) -> list[str]:
    return [row["key"] for row in factory.query("SELECT key FROM files ORDER BY number")]


def test_each_kind_has_its_place_and_is_public(factory: Factory) -> None:
    stored = assets(factory)

    urls = [
        stored.upload_audio(mp3(), "hello.mp3", MINE),
        stored.upload_image(picture("PNG"), "cat.png", MINE),
        stored.upload_video(mp4(), "film.mp4", MINE),
        stored.upload_chat_attachment(text(), "my notes.txt", MINE),
    ]

    places = [key.rsplit("/", 1)[0] for key in keys(factory)]
    assert places == [f"123/assets/{place}" for place in ("tts", "image", "video", "chat/1")]
    assert keys(factory)[3].endswith("_my_notes.txt")
    rows = factory.query("SELECT id, tenant, owner, is_public, filename FROM files ORDER BY number")
    assert urls == [f"http://sluice/public/{key}" for key in keys(factory)]
    assert {(row["tenant"], row["owner"], bool(row["is_public"])) for row in rows} == {
        ("123", "assets", True)
    }


def test_an_open_file_is_stored_as_its_bytes_are(factory: Factory) -> None:
    assets(factory).upload_chat_attachment(BytesIO(b"from a file"), "a.txt", MINE)

    assert factory.content(keys(factory)[0]) == b"from a file"


def test_a_forced_name_is_refused_the_second_time_and_replaced_on_demand(factory: Factory) -> None:
    stored, forced = assets(factory), replace(MINE, force_filename=True)
    stored.upload_chat_attachment(b"the first", "a.txt", forced)

    with pytest.raises(NameTaken):
        stored.upload_chat_attachment(b"the second", "a.txt", forced)
    stored.upload_chat_attachment(b"the third", "a.txt", replace(forced, replace=True))

    assert keys(factory) == ["123/assets/chat/1/a.txt"]
    assert factory.content("123/assets/chat/1/a.txt") == b"the third"


def test_what_is_of_another_category_or_empty_leaves_nothing(factory: Factory) -> None:
    stored = assets(factory)
    before = factory.snapshot()

    for content, filename, error in (
        (picture("PNG"), "hello.mp3", Unsupported),
        (text(), "hello.txt", Unsupported),
        (b"MZ\x90\x00" + bytes(100), "hello.mp3", Unsupported),
        (b"", "hello.mp3", FileEmpty),
        (mp3(), "", Unprocessable),
    ):
        with pytest.raises(error):
            stored.upload_audio(content, filename, MINE)

    assert factory.snapshot() == before


def test_a_picture_that_can_not_be_decoded_is_rejected_by_name(factory: Factory) -> None:
    with pytest.raises(Rejected) as refused:
        assets(factory).upload_image(a_png(64, 64)[:60], "cat.png", MINE)

    assert refused.value.code == "image_broken"
    assert "job_id" in refused.value.facts


def test_a_fault_of_ours_is_no_fault_of_the_file(factory: Factory) -> None:
    def damage() -> None:
        for path in factory.staged():
            path.write_bytes(b"damaged")

    with pytest.raises(JobFailed):
        assets(factory, damage).upload_chat_attachment(b"hello", "a.txt", MINE)


def test_with_an_idempotency_key_a_call_that_was_over_goes_on_waiting(factory: Factory) -> None:
    keyed = replace(MINE, idempotency_key="once")
    hasty = replace(factory.services.assets, wait_seconds=0)
    with pytest.raises(NotInTime) as late:
        hasty.upload_chat_attachment(b"hello", "a.txt", keyed)
    Processing(factory.services, "worker", lambda: False).process(late.value.facts["job_id"])

    url = hasty.upload_chat_attachment(b"hello", "a.txt", keyed)

    assert url.startswith("http://sluice/public/")
    assert len(keys(factory)) == 1
