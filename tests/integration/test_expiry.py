"""An upload waits for its next bytes, and is not over while they come."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from shared.model.lifecycle import UploadState
from shared.model.upload import NewUpload, Transfer, Upload
from shared.records import Records, Transaction
from tests.support.factory import Factory, a_factory
from tests.support.workshop import ALICE, Bytes

DAY = timedelta(days=1)


@dataclass
class Late:
    """Records before whose first transaction that writes an upload something else happens."""

    inner: Records
    meanwhile: Callable[[], object]
    begun: int = 0

    def __getattr__(self, verb: str) -> Any:
        return getattr(self.inner, verb)

    def begin(self) -> AbstractContextManager[Transaction]:
        self.begun += 1
        if self.begun == 2:  # the first takes the lease of the sweep
            self.meanwhile()
        return self.inner.begin()


@pytest.fixture
def factory(tmp_path: Path, sqlite_url: str) -> Iterator[Factory]:
    with a_factory(tmp_path, sqlite_url) as made:
        yield made


@pytest.fixture(params=[Transfer.CHUNKED, Transfer.STREAM])
def upload(request: pytest.FixtureRequest, factory: Factory) -> Upload:
    """An upload whose time is over, and that no sweep has seen yet."""
    new = NewUpload("notes.txt", size=200_000, transfer=request.param, chunk_size=100_000)
    if request.param is Transfer.STREAM:
        opened = factory.services.resuming.open(ALICE, new, None)
        upload = opened.resumption.upload
    else:
        upload = factory.services.uploads.open(ALICE, new)
    factory.shift("uploads", "expires_at", -2 * DAY, id=upload.id)
    return factory.services.uploads.status(ALICE, upload.id).upload


def test_an_upload_whose_bytes_come_is_not_expired(factory: Factory, upload: Upload) -> None:
    sends(factory, upload)

    factory.services.sweeps.run("expired-uploads")

    assert factory.services.uploads.status(ALICE, upload.id).upload.state is UploadState.RECEIVING
    assert len(factory.staged()) == 1


def test_one_that_a_clock_put_far_ahead_is_brought_back_by_bytes(
    factory: Factory, upload: Upload
) -> None:
    factory.shift("uploads", "expires_at", 400 * DAY, id=upload.id)

    sends(factory, upload)

    now = factory.services.uploads.status(ALICE, upload.id).upload
    assert now.expires_at - now.updated_at == factory.services.chunks.lifetime


def test_one_that_was_opened_thirty_lifetimes_ago_is_given_no_more(
    factory: Factory, upload: Upload
) -> None:
    age = 30 * factory.services.chunks.lifetime
    factory.shift("uploads", "created_at", -age, id=upload.id)
    sends(factory, upload)

    factory.services.sweeps.run("expired-uploads")

    assert factory.services.uploads.status(ALICE, upload.id).upload.state is UploadState.EXPIRED
    assert factory.staged() == []


def test_one_whose_bytes_come_as_it_is_found_silent_is_left(
    factory: Factory, upload: Upload
) -> None:
    sweeper = factory.services.sweeps.sweeper
    late = Late(factory.records, lambda: sends(factory, upload))
    sweeps = replace(
        factory.services.sweeps, sweeper=replace(sweeper, records=cast("Records", late))
    )

    removed = sweeps.run("expired-uploads")["removed"]

    assert (removed, late.begun >= 2) == (0, True)
    assert factory.services.uploads.status(ALICE, upload.id).upload.state is UploadState.RECEIVING
    assert len(factory.staged()) == 1


def sends(factory: Factory, upload: Upload) -> None:
    body = Bytes(b"a" * 100_000)
    if upload.transfer is Transfer.STREAM:
        factory.services.resuming.append(ALICE, upload, 0, body)
    else:
        factory.services.chunks.put(ALICE, upload.id, 0, body, None)
