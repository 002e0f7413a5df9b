"""A file that takes the place of another of its name: the old one is served until then, or stays."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from shared.errors import Conflict, NameTaken, NotFound, Unavailable
from shared.model.caller import Caller, Scope
from shared.model.file import File
from shared.model.job import Job
from shared.model.layout import Layout
from shared.model.lifecycle import JobState
from shared.model.stored import StoredObject
from shared.model.upload import NewUpload, Transfer
from shared.ports import ObjectStore
from shared.services.copies import NewCopy
from shared.services.forgetting import forget
from shared.services.joining import Parts
from shared.services.sweeping import SweepService
from tests.support import servers
from tests.support.factory import Factory, a_factory
from tests.support.late import as_store
from tests.support.pictures import a_png
from tests.support.races import at_once, waiting_for_locks
from tests.support.waiting import eventually
from tests.support.weather import impatient
from tests.support.workshop import ALICE, BOB, Bytes

BARE = Layout("{name}")
DAY = timedelta(days=1)
ADMIN = Caller("root", scopes=frozenset({Scope.ADMIN}))
LARGE = b"a line of text\n" * 700_000  # more than one part


@pytest.fixture(params=["disk", "s3", "postgresql"])
def factory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Factory]:
    """A factory on disks, with an S3 store, or with PostgreSQL."""
    url = f"sqlite:///{tmp_path / 'sluice.db'}"
    if request.param == "postgresql":
        url = str(request.getfixturevalue("postgres_rows"))
    else:
        servers.make_tables(url)
    place = request.getfixturevalue("a_bucket") if request.param == "s3" else None
    store = None if place is None else impatient(place, seconds=5)
    with a_factory(tmp_path, url, objects=store) as made:
        yield made
        made.objects.delete(sorted(made.keys()))


@dataclass
class Stumbling:
    """A store that fails when something is written over: before it is, after, or for good."""

    inner: ObjectStore
    after: bool = False
    times: int = 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def put(self, *said: Any, over: str | None = None, **more: Any) -> str:
        return self._stumble(over, lambda: self.inner.put(*said, over=over, **more))

    def complete_multipart(self, *said: Any, over: str | None = None) -> str:
        return self._stumble(over, lambda: self.inner.complete_multipart(*said, over=over))

    def _stumble(self, over: str | None, write: Callable[[], str]) -> str:
        if over is None or self.times == 0:
            return write()
        self.times -= 1
        if self.after:
            write()
        raise Unavailable("objects", "No answer.")


@dataclass
class Silent:
    """A store that takes what is new, and says nothing of what is there."""

    inner: ObjectStore

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def find(self, key: str) -> StoredObject | None:
        del key
        raise Unavailable("objects", "No answer.")


def test_the_new_file_takes_the_place_of_the_old_one(factory: Factory) -> None:
    factory.listen()
    old = ready(factory, b"the first")
    new = heir(factory, b"the second, longer")
    before = content(factory, old)

    done = factory.run(new)

    assert (before, done.state) == (b"the first", JobState.SUCCEEDED)
    assert (factory.file(old), content(factory, new)) == (None, b"the second, longer")
    assert factory.keys() == {"notes.txt"}
    assert factory.quota() == (18, 0)
    assert factory.events() == ["file.ready", "file.deleted", "file.ready"]
    assert rows_of_objects(factory) == [("notes.txt", new.upload_id, "linked", None)]
    assert audited(factory) == {}


def test_a_large_file_replaces_a_small_one_and_leaves_no_multipart(factory: Factory) -> None:
    ready(factory, b"small")

    new = factory.run(heir(factory, LARGE))

    assert (new.state, content(factory, new) == LARGE) == (JobState.SUCCEEDED, True)
    assert factory.multiparts() == []


def test_a_replacement_keeps_its_multipart_however_long_it_takes_and_loses_it_once_it_ended(
    factory: Factory,
) -> None:
    old, new = ready(factory, b"the first"), heir(factory, LARGE)
    claim = factory.claim(new)
    begun = factory.objects.begin_multipart(
        "notes.txt", content_type="text/plain", upload_id=new.upload_id
    )

    working = factory.services.sweeps.run("multiparts")
    there = factory.multiparts()
    factory.claims.give_up(claim, {"code": "drill", "detail": "Given up."})
    ended, again = (factory.services.sweeps.run("multiparts") for _ in range(2))

    assert (working["active"], working["removed"]) == (1, 0)
    assert (ended["removed"], again["removed"]) == (0, 1)
    assert (begun in str(there), factory.multiparts()) == (True, [])
    assert content(factory, old) == b"the first"


def test_thumbnails_of_the_old_file_go_with_the_next_sweep(factory: Factory) -> None:
    old = ready(factory, a_png(200, 100), "photo.png")
    new = factory.run(heir(factory, a_png(300, 100), "photo.png"))

    factory.services.sweeps.run("object-orphans")

    assert new.state is JobState.SUCCEEDED
    keys = factory.keys()
    assert ([key for key in keys if old.upload_id in key], len(keys)) == ([], 4)
    assert audited(factory) == {}


def test_without_a_file_of_the_name_it_is_an_upload_like_others(factory: Factory) -> None:
    job = factory.run(heir(factory, b"hello"))

    assert (job.state, content(factory, job)) == (JobState.SUCCEEDED, b"hello")


def test_only_who_sees_the_file_may_replace_it(factory: Factory) -> None:
    ready(factory, b"alice's")
    asked = NewUpload("notes.txt", layout=BARE, replace=True)
    before = factory.snapshot()

    with pytest.raises(NameTaken):
        factory.services.uploads.open(BOB, asked)

    assert factory.snapshot() == before
    assert factory.services.uploads.open(ADMIN, asked).replaces is not None


def test_a_generated_key_is_never_replaced(factory: Factory) -> None:
    dated = Layout("{date}_{name}")
    jobs = [factory.run(factory.received(b"hello", layout=dated, replace=True)) for _ in range(2)]

    assert len({factory.upload(job).key for job in jobs}) == 2


def test_a_hidden_file_is_replaced_without_a_second_word(factory: Factory) -> None:
    factory.listen()
    old = ready(factory, b"the first")
    factory.services.files.delete(ALICE, old.upload_id, hard=False)

    factory.run(heir(factory, b"the second"))

    assert factory.events() == ["file.ready", "file.deleted", "file.ready"]


@pytest.mark.parametrize("end", ["rejected", "cancelled", "failed"])
def test_a_replacement_that_comes_to_nothing_leaves_the_old_file(
    factory: Factory, end: str
) -> None:
    old = ready(factory, b"the first")
    new = heir(factory, LARGE, sha256="0" * 64 if end == "rejected" else None)
    if end == "failed":
        for path in factory.staged():
            path.write_bytes(b"damaged")
    if end == "cancelled":
        factory.services.uploads.cancel(ALICE, new.upload_id)
    else:
        factory.run(new)

    assert factory.job(new).state == end
    assert content(factory, old) == b"the first"
    assert factory.keys() == {"notes.txt"}
    assert factory.multiparts() == []
    assert rows_of_objects(factory) == [("notes.txt", old.upload_id, "linked", None)]


def test_of_many_that_replace_one_file_one_does_and_the_others_say_so(factory: Factory) -> None:
    ready(factory, b"the first")
    heirs = [heir(factory, f"heir {n}".encode()) for n in range(4)]

    ended = at_once([lambda job=job: factory.run(job) for job in heirs])  # type: ignore[misc]  # bound here

    won = [job for job in ended if job.state is JobState.SUCCEEDED]
    lost = [job for job in ended if job.state is JobState.REJECTED]
    assert (len(won), len(lost)) == (1, 3)
    assert {(job.error or {})["code"] for job in lost} == {"name_taken"}
    assert content(factory, won[0]) == f"heir {heirs.index(like(heirs, won[0]))}".encode()
    assert factory.quota()[1] == 0


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_store_that_stumbles_is_asked_again(factory: Factory, size: str, *, after: bool) -> None:
    old = ready(factory, b"the first")
    wanted = LARGE if size == "large" else b"the second"
    new = heir(factory, wanted)
    stumbling = Stumbling(factory.objects, after=after)

    first = factory.with_objects(as_store(stumbling)).run(new)

    assert first.state is JobState.QUEUED
    assert audited(factory) == {}
    with pytest.raises(Conflict, match="waits for the object store") as refusal:
        factory.services.files.delete(ALICE, old.upload_id, hard=True)
    assert refusal.value.facts == {"upload_id": new.upload_id, "retry_after": 60}
    with pytest.raises(Conflict, match="waits for the object store"):
        factory.services.uploads.open(ALICE, NewUpload("notes.txt", layout=BARE, replace=True))
    if after:
        with pytest.raises(Unavailable):
            content(factory, old)
    else:
        assert content(factory, old) == b"the first"
    done = factory.run(new)
    assert (done.state, content(factory, new) == wanted) == (JobState.SUCCEEDED, True)
    assert (factory.file(old), factory.multiparts()) == (None, [])
    with pytest.raises(NotFound):
        content(factory, old, etag="of the first")


@pytest.mark.parametrize("then", ["cancelled", "removed", "replaced", "done"])
def test_a_replacement_that_waits_for_a_silent_store_holds_nobody_up(
    factory: Factory, then: str
) -> None:
    old, new = ready(factory, b"the first"), heir(factory, b"the second")

    waits = factory.with_objects(as_store(Silent(factory.objects))).run(new)

    assert (waits.state, (waits.error or {})["code"]) == (JobState.QUEUED, "objects_unavailable")
    assert rows_of_objects(factory) == [("notes.txt", old.upload_id, "linked", None)]
    if then == "cancelled":
        factory.services.uploads.cancel(ALICE, new.upload_id)
        assert (factory.job(new).state, content(factory, old)) == ("cancelled", b"the first")
    elif then == "removed":
        factory.services.files.delete(ALICE, old.upload_id, hard=True)
        assert factory.keys() == set()
    elif then == "replaced":
        third = factory.run(heir(factory, b"the third"))
        assert (third.state, content(factory, third)) == (JobState.SUCCEEDED, b"the third")
    assert (
        factory.run(new).state
        == {
            "cancelled": JobState.CANCELLED,
            "removed": JobState.SUCCEEDED,
            "replaced": JobState.REJECTED,
            "done": JobState.SUCCEEDED,
        }[then]
    )
    assert audited(factory) == {}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_replacement_that_waits_is_cancelled_at_once_and_the_store_decides(
    factory: Factory, *, after: bool
) -> None:
    old, new = ready(factory, b"the first"), heir(factory, b"the second")
    factory.with_objects(as_store(Stumbling(factory.objects, after=after))).run(new)

    factory.services.uploads.cancel(ALICE, new.upload_id)
    cancelled = factory.job(new).state
    early = patient(factory).run("replacements")

    assert (cancelled, factory.staged()) == (JobState.CANCELLED, [])
    if after:
        assert early["recovered"] == 1
        assert (factory.job(new).state, factory.file(old)) == (JobState.SUCCEEDED, None)
        assert (content(factory, new), factory.quota()) == (b"the second", (10, 0))
    else:
        factory.shift("objects", "updated_at", -2 * DAY, upload_id=old.upload_id)
        late = patient(factory).run("replacements")
        assert (early["waiting"], late["removed"]) == (1, 1)
        assert (content(factory, old), factory.quota()) == (b"the first", (9, 0))
    assert audited(factory) == {}


def test_a_replacement_that_a_worker_is_at_can_t_be_cancelled(factory: Factory) -> None:
    ready(factory, b"the first")
    new = heir(factory, b"the second")
    refused: list[str] = []

    def cancel() -> None:
        with pytest.raises(Conflict) as refusal:
            factory.services.uploads.cancel(ALICE, new.upload_id)
        refused.append(str(refusal.value))

    factory.board.before["record"] = cancel
    done = factory.run(new)

    assert (done.state, len(refused)) == (JobState.SUCCEEDED, 1)


def test_the_thumbnails_of_a_cancelled_replacement_are_kept_until_the_store_has_decided(
    factory: Factory,
) -> None:
    ready(factory, a_png(200, 100), "photo.png")
    new = heir(factory, a_png(300, 100), "photo.png")
    factory.with_objects(as_store(Stumbling(factory.objects, after=True))).run(new)
    factory.services.uploads.cancel(ALICE, new.upload_id)

    factory.services.sweeps.run("object-orphans")
    factory.services.sweeps.run("replacements")

    assert len(file_of(factory, new).thumbnails) == 3
    factory.services.sweeps.run("object-orphans")
    assert audited(factory) == {}


def test_who_reads_the_old_file_while_it_goes_gets_none_of_the_new_bytes(factory: Factory) -> None:
    old = ready(factory, b"the first")
    file = file_of(factory, old)

    factory.run(heir(factory, b"the second"))

    with pytest.raises(NotFound):
        b"".join(factory.services.files.read(file.key, 0, file.size, etag=file.etag))


@pytest.mark.parametrize("ask", ["copy", "stored"])
def test_between_store_and_rows_the_old_file_is_neither_lost_nor_mixed_with_the_new_one(
    factory: Factory, ask: str
) -> None:
    old = ready(factory, b"the first")
    new = heir(factory, b"the second")
    factory.board.before["record"] = _die
    with suppress(KeyboardInterrupt):
        factory.run(new)
    services = factory.services

    with pytest.raises(Unavailable, match="being replaced"):
        if ask == "copy":
            services.copies.copy(ALICE, old.upload_id, NewCopy(filename="c.txt"))
        else:
            services.files.stored(ALICE, old.upload_id)

    assert [row[0] for row in rows_of_objects(factory)] == ["notes.txt"]  # nothing of a copy
    assert factory.keys() == {"notes.txt"}


def test_a_worker_that_dies_between_store_and_rows_is_followed_by_another(
    factory: Factory,
) -> None:
    old = ready(factory, b"the first")
    new = heir(factory, b"the second")
    factory.board.before["record"] = _die
    with suppress(KeyboardInterrupt):
        factory.run(new)
    assert factory.content("notes.txt") == b"the second"
    factory.lose(new)

    done = factory.run(new, worker="another")

    assert (done.state, factory.file(old)) == (JobState.SUCCEEDED, None)
    assert content(factory, new) == b"the second"
    assert audited(factory) == {}


def test_a_job_that_was_given_up_after_it_had_written_is_finished_by_the_sweep(
    factory: Factory,
) -> None:
    factory.listen()
    old = ready(factory, a_png(200, 100), "photo.png")
    new = heir(factory, a_png(300, 100), "photo.png")
    factory.board.before["record"] = _die
    with suppress(KeyboardInterrupt):
        factory.run(new)
    factory.shift("jobs", "lease_until", -DAY, id=new.id)
    factory.claims.bury(factory.job(new))
    assert factory.job(new).state is JobState.FAILED

    result = factory.services.sweeps.run("replacements")

    assert (result["recovered"], result["failed"]) == (1, 0)
    assert factory.job(new).state is JobState.SUCCEEDED
    assert (factory.file(old), content(factory, new)) == (None, a_png(300, 100))
    assert len(file_of(factory, new).thumbnails) == 3
    assert factory.events() == ["file.ready", "file.failed", "file.deleted", "file.ready"]
    assert factory.staged() == []
    assert audited(factory) == {}
    last = factory.query("SELECT step, outcome FROM job_steps ORDER BY id DESC LIMIT 1")
    assert last == [{"step": "recover", "outcome": "finished"}]


def test_what_the_sweep_finishes_leaves_nothing_of_its_parts(factory: Factory) -> None:
    ready(factory, b"the first")
    resuming, ids = factory.services.resuming, []
    for body in (b"the ", b"second"):
        part = NewUpload("upload", len(body), transfer=Transfer.PART)
        ids.append(resuming.open(ALICE, part, None, Bytes(body)).capability.upload_id)
    new = NewUpload("notes.txt", layout=BARE, replace=True)
    final = resuming.join(ALICE, new, None, Parts(ids, "final;")).capability
    job = resuming.status(ALICE, final).job
    assert job is not None
    factory.board.before["record"] = _die
    with suppress(KeyboardInterrupt):
        factory.run(job)
    factory.shift("jobs", "lease_until", -DAY, id=job.id)
    factory.claims.bury(factory.job(job))
    assert len(factory.staged()) == 2

    result = factory.services.sweeps.run("replacements")

    assert (result["recovered"], result["failed"]) == (1, 0)
    assert content(factory, job) == b"the second"
    assert factory.staged() == []


def test_a_job_that_was_given_up_before_it_had_written_leaves_the_old_file_after_the_grace(
    factory: Factory,
) -> None:
    old, new = abandoned(factory)

    early = patient(factory).run("replacements")
    factory.shift("objects", "updated_at", -2 * DAY, upload_id=old.upload_id)
    late = patient(factory).run("replacements")

    assert (early["removed"], early["waiting"], late["removed"]) == (0, 1, 1)
    assert content(factory, old) == b"the first"
    factory.services.files.delete(ALICE, old.upload_id, hard=True)
    assert factory.keys() == set()
    assert factory.job(new).state is JobState.FAILED


def test_the_next_replacement_waits_until_it_is_known_what_a_failed_one_left(
    factory: Factory,
) -> None:
    old, failed = abandoned(factory, after=True)
    third = heir(factory, b"the third")

    waits = factory.run(third)
    factory.services.sweeps.run("replacements")

    assert (waits.state, (waits.error or {})["code"]) == (JobState.QUEUED, "objects_unavailable")
    assert (factory.file(old), content(factory, failed)) == (None, b"the second")
    assert factory.run(third).state is JobState.REJECTED  # its client never saw the second
    assert content(factory, failed) == b"the second"
    assert audited(factory) == {}


def test_the_next_replacement_goes_on_once_a_failed_one_has_left_the_old_file(
    factory: Factory,
) -> None:
    old, failed = abandoned(factory)
    third = heir(factory, b"the third")

    waits = factory.run(third)
    factory.services.sweeps.run("replacements")
    done = factory.run(third)

    assert (waits.state, done.state) == (JobState.QUEUED, JobState.SUCCEEDED)
    assert (factory.file(old), content(factory, third)) == (None, b"the third")
    factory.services.jobs.retry(ADMIN, failed.id)
    assert factory.run(failed).state is JobState.REJECTED
    assert content(factory, third) == b"the third"


@pytest.mark.parametrize("there", [None, b"theirs"], ids=["nothing", "another's"])
def test_what_is_neither_the_old_files_nor_the_new_ones_stays_with_an_alarm(
    factory: Factory, caplog: pytest.LogCaptureFixture, there: bytes | None
) -> None:
    old, new = abandoned(factory)
    factory.objects.delete(["notes.txt"])
    if there is not None:
        whose = str(uuid4())
        factory.objects.put("notes.txt", there, content_type="text/plain", upload_id=whose)
    factory.shift("objects", "updated_at", -2 * DAY, upload_id=old.upload_id)

    result = patient(factory).run("replacements")

    assert (result["removed"], result["strange"]) == (0, 1)
    rows = [("notes.txt", old.upload_id, "linked", new.upload_id)]
    assert rows_of_objects(factory) == rows
    assert [each.message for each in caplog.records if each.levelname == "ERROR"] == [
        "replacement_unknown"
    ]


@pytest.mark.parametrize("there", [None, b"theirs"], ids=["nothing", "another's"])
@pytest.mark.parametrize("then", ["removed", "replaced"])
def test_what_nobody_can_tell_an_operator_settles_and_the_name_is_used_again(
    factory: Factory, there: bytes | None, then: str
) -> None:
    old, new = abandoned(factory)
    factory.objects.delete(["notes.txt"])
    if there is not None:
        whose = str(uuid4())
        factory.objects.put("notes.txt", there, content_type="text/plain", upload_id=whose)

    with pytest.raises(Conflict, match="SWEEP_GRACE_HOURS"):
        patient(factory).settle(new.upload_id)
    factory.shift("objects", "updated_at", -2 * DAY, upload_id=old.upload_id)
    patient(factory).settle(new.upload_id)

    assert patient(factory).run("replacements")["strange"] == 0
    assert rows_of_objects(factory) == [("notes.txt", old.upload_id, "linked", None)]
    if then == "removed":
        factory.services.files.delete(ALICE, old.upload_id, hard=True)
        assert factory.keys() == (set() if there is None else {"notes.txt"})
    else:
        third = factory.run(heir(factory, b"the third"))
        assert (third.state, content(factory, third)) == (JobState.SUCCEEDED, b"the third")
    with pytest.raises(NotFound):
        patient(factory).settle(new.upload_id)


@pytest.mark.parametrize("after", [False, True], ids=["the old one's", "the new one's"])
def test_what_the_sweep_can_tell_no_operator_settles(factory: Factory, *, after: bool) -> None:
    old, new = abandoned(factory, after=after)
    factory.shift("objects", "updated_at", -2 * DAY, upload_id=old.upload_id)

    with pytest.raises(Conflict, match="by itself"):
        patient(factory).settle(new.upload_id)

    assert [row[3] for row in rows_of_objects(factory)] == [new.upload_id]


def test_a_retry_goes_on_with_the_replacement(factory: Factory) -> None:
    old, failed = abandoned(factory)

    factory.services.jobs.retry(ADMIN, failed.id)
    done = factory.run(failed)

    assert (done.state, factory.file(old)) == (JobState.SUCCEEDED, None)
    assert content(factory, failed) == b"the second"


def test_the_file_is_removed_for_good_while_its_replacement_comes(factory: Factory) -> None:
    old = ready(factory, b"the first")
    new = heir(factory, b"the second")
    factory.services.files.delete(ALICE, old.upload_id, hard=True)

    done = factory.run(new)

    assert (done.state, content(factory, new)) == (JobState.SUCCEEDED, b"the second")


def test_a_replacement_waits_while_the_object_of_the_old_file_goes(factory: Factory) -> None:
    old, new = ready(factory, b"the first"), heir(factory, b"the second")
    with factory.records.begin() as rows:
        gone = rows.files.held([old.upload_id])
        forget(rows, gone)

    waits = factory.run(new)
    factory.shift("objects", "updated_at", -2 * DAY, upload_id=old.upload_id)
    factory.services.sweeps.run("object-orphans")
    done = factory.run(new)

    assert (waits.state, (waits.error or {})["code"]) == (JobState.QUEUED, "objects_unavailable")
    assert (done.state, content(factory, new)) == (JobState.SUCCEEDED, b"the second")
    assert audited(factory) == {}


@pytest.mark.parametrize("is_open", [True, False], ids=["open", "failed"])
def test_a_replacement_gives_way_to_an_upload_that_is_open_and_waits_for_one_that_failed(
    factory: Factory, *, is_open: bool
) -> None:
    old, new = ready(factory, b"the first"), heir(factory, b"the second")
    factory.services.files.delete(ALICE, old.upload_id, hard=True)
    other = factory.received(b"another", layout=BARE)
    if not is_open:
        factory.claims.give_up(factory.claim(other), {"code": "drill", "detail": "Given up."})

    ended = factory.run(new)

    assert ended.state is (JobState.REJECTED if is_open else JobState.QUEUED)
    assert factory.keys() == set()


def test_what_others_put_under_the_key_is_not_written_over(factory: Factory) -> None:
    old = ready(factory, b"the first")
    new = heir(factory, b"the second")
    factory.objects.delete(["notes.txt"])
    factory.objects.put("notes.txt", b"theirs", content_type="text/plain", upload_id="")

    assert factory.run(new).state is JobState.FAILED
    assert factory.content("notes.txt") == b"theirs"
    assert factory.file(old) is not None


def test_who_removes_the_old_file_and_who_replaces_it_leave_one_or_none(factory: Factory) -> None:
    for number in range(6):
        name = f"{number}.txt"
        old, new = ready(factory, b"the first", name), heir(factory, b"the second", name)

        at_once([lambda job=new: factory.run(job), lambda job=old: removed(factory, job)])  # type: ignore[misc]  # bound here

        if factory.job(new).state is JobState.QUEUED:  # it came while the old object went
            factory.run(new)
        assert factory.job(new).state is JobState.SUCCEEDED
    factory.services.sweeps.run("object-orphans")
    assert audited(factory) == {}
    made = {row["key"] for row in factory.query("SELECT key FROM files")}
    assert factory.keys() == made


def test_who_cancels_a_replacement_while_it_comes_has_the_old_file_or_the_new(
    factory: Factory,
) -> None:
    for number in range(6):
        name = f"{number}.txt"
        old, new = ready(factory, b"the first", name), heir(factory, b"the second", name)

        at_once([lambda job=new: factory.run(job), lambda job=new: cancelled(factory, job)])  # type: ignore[misc]  # bound here

        is_new = factory.job(new).state is JobState.SUCCEEDED
        assert is_new or factory.job(new).state is JobState.CANCELLED
        assert content(factory, new if is_new else old) == (
            b"the second" if is_new else b"the first"
        )
    assert audited(factory) == {}


def test_both_files_count_until_the_new_one_is_there(factory: Factory) -> None:
    ready(factory, b"the first")
    new = heir(factory, b"the second")
    while_both = factory.quota()

    factory.run(new)

    assert (while_both, factory.quota()) == ((9, 10), (10, 0))


@pytest.mark.parametrize("is_hidden", [True, False], ids=["hidden", "restored"])
def test_who_hides_or_restores_the_old_file_just_then_decides_whether_its_end_is_said(
    postgres_rows: str, tmp_path: Path, *, is_hidden: bool
) -> None:
    with (
        a_factory(tmp_path, postgres_rows) as factory,
        psycopg.connect(postgres_rows, autocommit=True) as looking,
    ):
        old = ready(factory, b"the first")
        if not is_hidden:
            factory.services.files.delete(ALICE, old.upload_id, hard=False)
        factory.listen()
        new = heir(factory, b"the second")
        thread = threading.Thread(target=lambda: factory.run(new))

        with factory.records.begin() as rows:
            if is_hidden:
                rows.files.mark_deleted(old.upload_id)
            else:
                rows.files.restore(old.upload_id)
            thread.start()
            eventually(lambda: waiting_for_locks(looking) > 0)
        thread.join()

        said = ["file.ready"] if is_hidden else ["file.deleted", "file.ready"]
        assert (factory.job(new).state, factory.events()) == (JobState.SUCCEEDED, said)


def _die() -> None:
    raise KeyboardInterrupt


def removed(factory: Factory, job: Job) -> None:
    with suppress(NotFound, Conflict):
        factory.services.files.delete(ALICE, job.upload_id, hard=True)


def cancelled(factory: Factory, job: Job) -> None:
    with suppress(Conflict):
        factory.services.uploads.cancel(ALICE, job.upload_id)


def ready(factory: Factory, body: bytes, filename: str = "notes.txt") -> Job:
    job = factory.run(factory.received(body, filename, layout=BARE))
    assert job.state is JobState.SUCCEEDED, job.error
    return job


def heir(factory: Factory, body: bytes, filename: str = "notes.txt", **said: Any) -> Job:
    said |= {"layout": BARE, "replace": True, "size": len(body)}
    return factory.received(body, filename, cut=8 * 1024**2, **said)


def abandoned(factory: Factory, *, after: bool = False) -> tuple[Job, Job]:
    """A file, and a replacement that failed at the store and was given up."""
    old = ready(factory, b"the first")
    new = heir(factory, b"the second")
    factory.with_objects(as_store(Stumbling(factory.objects, after=after))).run(new)
    factory.shift("jobs", "due_at", -DAY, id=new.id)
    factory.claims.give_up(factory.claim(new), {"code": "drill", "detail": "Given up."})
    return old, new


def content(factory: Factory, job: Job, etag: str | None = None) -> bytes:
    """Read a job's file as who downloads it."""
    file = file_of(factory, job) if etag is None else None
    key = factory.upload(job).key
    size, known = (file.size, file.etag) if file else (1, etag)
    return b"".join(factory.services.files.read(key, 0, size, etag=known))


def file_of(factory: Factory, job: Job) -> File:
    file = factory.file(job)
    assert file is not None
    return file


def like(jobs: list[Job], job: Job) -> Job:
    return next(each for each in jobs if each.id == job.id)


def rows_of_objects(factory: Factory) -> list[tuple[Any, ...]]:
    rows = factory.query("SELECT key, upload_id, state, successor FROM objects ORDER BY key")
    return [tuple(row.values()) for row in rows]


def audited(factory: Factory) -> dict[str, int]:
    """What the auditor finds wrong, having read everything again."""
    found: dict[str, int] = {}
    for name in ("audit", "reread"):
        result = factory.services.sweeps.run(name)
        assert "error" not in result, result
        found |= result.get("findings", {})
    return found


def patient(factory: Factory) -> SweepService:
    """The sweeps, with a grace of a day."""
    sweeper = factory.services.sweeps.sweeper
    return SweepService(replace(sweeper, rules=replace(sweeper.rules, grace=DAY)))
