"""A worker that was frozen while it replaced a file, and wakes up when the file is another's."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.objects_s3 import S3Objects
from shared.model.job import Job
from shared.model.lifecycle import JobState
from shared.ports import ObjectStore
from tests.integration.test_replacing import audited, content, heir, ready
from tests.support.factory import Factory, a_factory
from tests.support.late import as_store

LEASE = timedelta(seconds=3)
FIRST, LARGE = b"the first", b"the second\n" * 800_000


@pytest.fixture(params=["disk", "s3"])
def factory(request: pytest.FixtureRequest, tmp_path: Path, sqlite_url: str) -> Iterator[Factory]:
    """A factory whose workers have no heart: what they know of their leases is the time."""
    store = None
    if request.param == "s3":
        store = S3Objects(request.getfixturevalue("a_bucket"))
    with a_factory(tmp_path, sqlite_url, objects=store) as made:
        yield made.with_rules(lease=LEASE, heartbeat=timedelta(hours=1))
        made.objects.delete(sorted(made.keys()))


@dataclass
class Freezing:
    """A store whose first write over something is only sent after what happens `meanwhile`."""

    inner: ObjectStore
    meanwhile: Callable[[], object] | None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def put(self, *said: Any, over: str | None = None, **more: Any) -> str:
        self._freeze(over)
        return self.inner.put(*said, over=over, **more)

    def complete_multipart(self, *said: Any, over: str | None = None) -> str:
        self._freeze(over)
        return self.inner.complete_multipart(*said, over=over)

    def _freeze(self, over: str | None) -> None:
        if over is not None and self.meanwhile is not None:
            others, self.meanwhile = threading.Thread(target=self.meanwhile), None
            others.start()
            others.join()


@pytest.mark.parametrize("wanted", [b"the second", LARGE], ids=["small", "large"])
def test_a_worker_that_thaws_finds_by_the_time_that_it_may_not_write_over_anything(
    factory: Factory, wanted: bytes
) -> None:
    ready(factory, FIRST)
    new = heir(factory, wanted)

    back = put_back_meanwhile(factory, new, frozen_for=LEASE)

    assert content(factory, back) == FIRST
    assert factory.job(new).state is JobState.SUCCEEDED  # by whoever took over
    assert (factory.multiparts(), audited(factory)) == ([], {})


@pytest.mark.parametrize(
    ("wanted", "kind"), [(b"2nd bytes", "object_of_another"), (b"the second", "object_wrong_size")]
)
def test_of_what_was_written_over_all_the_same_the_auditor_tells(
    factory: Factory, wanted: bytes, kind: str
) -> None:
    ready(factory, FIRST)
    new = heir(factory, wanted)

    put_back_meanwhile(factory, new)

    assert factory.content("notes.txt") == wanted
    assert audited(factory) == {kind: 1}


def put_back_meanwhile(factory: Factory, new: Job, *, frozen_for: timedelta = timedelta()) -> Job:
    """Freeze the worker of a replacement before it writes, until others have made it and undone it.

    What is undone is put back byte for byte. Return the job that did that.
    """
    undone: list[Job] = []

    def others() -> None:
        threading.Event().wait(frozen_for.total_seconds())
        factory.lose(new)
        assert factory.run(new, worker="another").state is JobState.SUCCEEDED
        undone.append(factory.run(heir(factory, FIRST)))

    late = factory.with_objects(as_store(Freezing(factory.objects, others)))
    late.run(new)
    assert [each.state for each in undone] == [JobState.SUCCEEDED]
    return undone[0]
