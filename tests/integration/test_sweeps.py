"""Every sweep on real parts: what it removes, and above all what it leaves alone."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from uuid_utils.compat import uuid7

from shared.adapters.client_s3 import S3Place, s3_client
from shared.adapters.clock_system import SystemClock
from shared.adapters.objects_disk import DiskObjects
from shared.adapters.objects_s3 import S3Objects
from shared.adapters.staging_disk import DiskStaging
from shared.adapters.tables import uploads
from shared.errors import Conflict, Forbidden, NotFound, Unavailable
from shared.model.caller import Caller, Scope
from shared.model.lifecycle import UploadState
from shared.model.stored import StoredObject
from shared.model.upload import NewUpload
from shared.model.webhook import DeliveryState, EventType, Webhook
from shared.ports import ObjectStore, StagedChunk
from shared.services.sweeping import SweepService
from shared.services.sweeps import SWEEPS
from shared.services.sweeps.runs import Run, Sweep, Sweeper
from shared.services.sweeps.staging import staging_orphans
from tests.support.ages import behind, grow_old
from tests.support.builders import a_chunk
from tests.support.messes import DAY, MESSES, Premises
from tests.support.workshop import ALICE, a_workshop

ADMIN = Caller("root", scopes=frozenset({Scope.ADMIN}))
HOUR = timedelta(hours=1)
NAMES = [sweep.name for sweep in SWEEPS]


@pytest.fixture
def premises(database_url: str, tmp_path: Path) -> Iterator[Premises]:
    """On a local folder, with each database."""
    shop = a_workshop(tmp_path, database=database_url)
    yield Premises(shop, shop.objects, tmp_path)
    shop.records.close()


@pytest.fixture(params=["disk", "s3"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Premises]:
    """On each store, with SQLite."""
    shop = a_workshop(tmp_path)
    objects: ObjectStore = shop.objects
    if request.param == "s3":
        objects = S3Objects(request.getfixturevalue("a_bucket"))
    yield Premises(shop, objects, tmp_path)
    shop.records.close()


class Watched(DiskObjects):
    """A store that tells of a deletion before it does it."""

    def __init__(self, folder: Path, on_delete: Callable[[Sequence[str]], object]) -> None:
        super().__init__(folder / "objects", base_url="http://sluice", secret="s" * 32)
        self._on_delete = on_delete

    def delete(self, keys: Sequence[str]) -> None:
        self._on_delete(keys)
        super().delete(keys)

    def delete_seen(self, seen: StoredObject) -> bool:
        self._on_delete([seen.key])
        return super().delete_seen(seen)


def failing(folder: Path, bad: Collection[str]) -> Watched:
    """A store that does not answer when one of these keys is deleted."""

    def refuse(keys: Sequence[str]) -> None:
        if set(keys) & set(bad):
            raise Unavailable("objects", "The object store does not answer.")

    return Watched(folder, refuse)


class Meddled(DiskStaging):
    """Somebody does something while a sweep clears an upload."""

    def __init__(self, folder: Path, meddle: Callable[[str], object]) -> None:
        super().__init__(folder / "staging")
        self._meddle = meddle

    def clear(self, *upload_ids: str) -> None:
        super().clear(*upload_ids)
        for upload_id in upload_ids:
            self._meddle(upload_id)


# All of them.


@pytest.mark.parametrize("name", MESSES)
def test_a_dry_run_says_what_the_run_then_does_and_a_second_finds_nothing(
    premises: Premises, name: str
) -> None:
    messy(premises, name, 2)
    before = premises.snapshot()

    dry = premises.sweep(name, dry_run=True)
    untouched = premises.snapshot() == before
    wet = premises.sweep(name)
    again = premises.sweep(name)

    assert untouched
    assert (dry["removed"], dry["dry_run"]) == (2, True)
    assert (wet["removed"], wet["dry_run"]) == (2, False)
    assert wet["bytes"] == dry["bytes"]
    assert again["removed"] == 0
    assert [each["failed"] for each in (dry, wet, again)] == [0, 0, 0]
    assert premises.snapshot() != before


@pytest.mark.parametrize("name", MESSES)
def test_a_run_removes_no_more_than_the_cap_and_the_next_goes_on(
    premises: Premises, name: str
) -> None:
    messy(premises, name, 3)

    runs = [premises.sweep(name, cap=2) for _ in range(3)]

    assert [run["removed"] for run in runs] == [2, 1, 0]
    assert [run["capped"] for run in runs] == [True, False, False]


@pytest.mark.parametrize(
    "name",
    [
        "failed-uploads",
        "staging-orphans",
        "object-orphans",
        "multiparts",
        "gateway-files",
        "deleted-files",
        "job-records",
    ],
)
def test_what_is_not_old_enough_stays_however_often_it_is_seen(
    premises: Premises, name: str
) -> None:
    messy(premises, name, 1)
    premises.rules = replace(
        premises.rules,
        grace=100 * DAY,
        failed_uploads=100 * DAY,
        gateway_files=100 * DAY,
        deleted_files=100 * DAY,
        job_records=100 * DAY,
    )
    before = premises.snapshot()

    results = [premises.sweep(name) for _ in range(3)]

    assert {result["removed"] for result in results} == {0}
    assert premises.snapshot() | {"sightings": []} == before | {"sightings": []}


@pytest.mark.parametrize(
    "name",
    [
        *("expired-uploads", "failed-uploads", "expired-files", "gateway-files"),
        *("deleted-files", "job-records"),
    ],
)
def test_a_database_whose_clock_jumped_ahead_ends_nothing(premises: Premises, name: str) -> None:
    messy(premises, name, 1)
    before = premises.snapshot()
    service = premises.sweeps()

    results = [behind(service, 1000 * DAY).run(name) for _ in range(2)]

    assert premises.snapshot() == before
    assert [result["removed"] for result in results] == [0, 0]
    assert service.run(name)["removed"] == 1


@pytest.mark.parametrize("name", ["staging-orphans", "multiparts", "object-orphans"])
def test_a_database_whose_clock_jumped_ahead_makes_no_second_sighting(
    premises: Premises, name: str
) -> None:
    if name == "object-orphans":
        premises.put("2020/01/01/lost.txt", str(uuid7()))
    else:
        messy(premises, name, 1)
    grow_old(premises.folder, 30 * DAY)
    first = premises.sweep(name, grace=DAY)
    premises.age("sightings", "first_seen_at", DAY)
    service = premises.sweeps(grace=DAY)

    jumped = [behind(service, DAY).run(name, dry_run=is_dry) for is_dry in (True, False)]

    assert [result["waiting"] for result in (first, jumped[1])] == [1, 1]
    assert [result["removed"] for result in (first, *jumped)] == [0, 0, 0]
    assert service.run(name)["removed"] == 1


def test_all_sweeps_leave_a_living_service_alone(stored: Premises) -> None:
    stored.open_upload()
    stored.failed()
    running = stored.claimed()
    key = stored.intent(running)
    multipart = stored.objects.begin_multipart(key, content_type="a/b", upload_id=running.upload.id)
    stored.shop.claims.started(running, key, multipart)
    stored.file()
    before = stored.snapshot()

    results = [stored.sweep(name) for name in MESSES for _ in range(3)]

    assert stored.snapshot() == before
    assert {result["removed"] for result in results} == {0}


def test_every_sweep_has_its_mess_but_those_that_remove_nothing() -> None:
    removing = [each.name for each in SWEEPS if not each.removes.startswith("nothing")]

    # Half a replacement is a story of its own, see test_replacing; and so is what clients send to
    # the store, see test_direct.
    assert list(MESSES) == [
        name for name in removing if name not in {"direct-leftovers", "replacements"}
    ]


# How a sweep runs.


def test_what_runs_already_is_skipped(premises: Premises) -> None:
    inner: list[dict[str, Any]] = []
    service = premises.sweeps()
    tested = [a_sweep(lambda *_: inner.extend(each.run("test") for each in (nested, another)))]
    nested, another = (SweepService(service.sweeper, tested) for _ in range(2))

    outer = nested.run("test")
    after = nested.run("test", dry_run=True)

    assert inner[:2] == [{"skipped": "running here"}, {"skipped": "running elsewhere"}]
    assert "skipped" not in outer
    assert "skipped" not in after


def test_a_sweep_that_hangs_takes_one_thread_however_often_it_is_asked_for(
    premises: Premises, caplog: pytest.LogCaptureFixture
) -> None:
    entered, goes_on = threading.Semaphore(0), threading.Event()

    def hang(*_: object) -> None:
        entered.release()
        goes_on.wait(30)

    sweeper = premises.sweeps().sweeper
    rules = replace(sweeper.rules, budget=timedelta(milliseconds=1))  # its lease has ended at once
    service = SweepService(replace(sweeper, rules=rules), [a_sweep(hang)])
    hanging = threading.Thread(target=service.run_if_due, args=("test",))
    hanging.start()
    entered.acquire(timeout=10)
    threading.Event().wait(0.05)

    again = [service.run_if_due("test") for _ in range(3)]
    has_entered_again = entered.acquire(blocking=False)
    goes_on.set()
    hanging.join(10)

    assert again == [{"skipped": "running here"}] * 3
    assert not has_entered_again
    assert [each.message for each in caplog.records].count("sweep_hung") == 3
    assert "skipped" not in service.run("test")


@pytest.mark.parametrize(
    ("ended", "is_due"),
    [
        (None, True),
        (timedelta(), False),
        (HOUR - timedelta(minutes=1), False),
        (HOUR, True),
        (-HOUR, True),  # by a clock that was ahead
    ],
)
def test_beat_may_ask_as_often_as_it_likes(
    premises: Premises, ended: timedelta | None, is_due: bool
) -> None:
    service = premises.sweeps()
    if ended is not None:
        service.run("multiparts")
        premises.age("leases", "finished_at", ended, name="sweep:multiparts")

    result = service.run_if_due("multiparts")

    assert ("skipped" not in result) == is_due
    assert result.get("skipped", "not due") == "not due"
    assert service.run_if_due("multiparts") == {"skipped": "not due"}


def test_the_shortest_sweep_runs_whenever_beat_asks(premises: Premises) -> None:
    service = premises.sweeps()
    service.run("expired-uploads")
    premises.age("leases", "finished_at", timedelta(seconds=45), name="sweep:expired-uploads")

    assert "skipped" not in service.run_if_due("expired-uploads")


@pytest.mark.parametrize("name", MESSES)
def test_two_that_run_at_once_in_spite_of_the_lease_do_no_harm(
    premises: Premises, name: str
) -> None:
    messy(premises, name, 4)
    sweeper, barrier = premises.sweeps().sweeper, threading.Barrier(2)
    runs = [Run(name, cap=100, ends=time.monotonic() + 60) for _ in range(2)]
    (which,) = (sweep for sweep in SWEEPS if sweep.name == name)

    def work(run: Run) -> None:
        barrier.wait()
        which.sweep(sweeper, run)

    threads = [threading.Thread(target=work, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [run.failed for run in runs] == [0, 0]
    assert 4 <= sum(run.removed for run in runs) <= 8
    assert premises.sweep(name)["removed"] == 0
    assert premises.quota() in {(0, 0), (28, 0)}


def test_one_failing_thing_does_not_stop_the_others(
    premises: Premises, caplog: pytest.LogCaptureFixture
) -> None:
    messy(premises, "deleted-files", 3)
    bad = sorted(premises.keys())[1]

    result = premises.sweeps(failing(premises.folder, [bad])).run("deleted-files")

    assert (result["removed"], result["failed"]) == (2, 1)
    assert premises.keys() == {bad}
    assert [record.message for record in caplog.records if record.exc_info] == ["sweep_item_failed"]


def test_objects_that_could_not_be_deleted_follow_with_the_orphans(premises: Premises) -> None:
    messy(premises, "deleted-files", 1)
    premises.sweeps(failing(premises.folder, premises.keys())).run("deleted-files")

    result = premises.sweep("object-orphans", grace=HOUR)

    assert result["removed"] == 1
    assert premises.keys() == set()
    assert premises.rows("objects") == []


def test_a_part_that_does_not_answer_is_the_result(premises: Premises) -> None:
    def unplugged(_: Sweeper, run: Run) -> None:
        run.count(7)
        raise Unavailable("objects", "The object store does not answer.")

    service = SweepService(premises.sweeps().sweeper, [a_sweep(unplugged)])

    result = service.run("test")

    assert result["error"] == {
        "code": "objects_unavailable",
        "detail": "The object store does not answer.",
    }
    assert (result["removed"], result["bytes"]) == (1, 7)
    assert service.results(ADMIN)[0]["result"] == result


def test_a_bug_is_raised_and_leaves_the_lease_free(premises: Premises) -> None:
    def broken(*_: object) -> None:
        raise KeyError("bug")

    service = SweepService(premises.sweeps().sweeper, [a_sweep(broken)])

    for _ in range(2):
        with pytest.raises(KeyError):
            service.run("test")

    assert service.results(ADMIN)[0]["result"]["error"]["code"] == "internal_error"


def test_a_run_ends_when_its_time_is_up(premises: Premises) -> None:
    messy(premises, "expired-uploads", 2)

    result = premises.sweep("expired-uploads", budget=timedelta(seconds=-1))

    assert (result["removed"], result["capped"]) == (0, True)


@pytest.mark.parametrize("name", ["expired-uploads", "audit", "reread"])
def test_a_run_ends_when_its_worker_is_stopped_and_is_due_again_at_once(
    premises: Premises, name: str
) -> None:
    messy(premises, "expired-uploads", 2)
    service = premises.sweeps()

    stopped = service.run_if_due(name, is_stopping=lambda: True)
    again = service.run_if_due(name)

    assert (stopped["removed"], stopped["capped"], stopped["stopped"]) == (0, True, True)
    assert "skipped" not in again
    assert "stopped" not in again
    assert again["removed"] == (2 if name == "expired-uploads" else 0)
    assert service.run_if_due(name) == {"skipped": "not due"}


def test_results_are_for_admins_and_name_no_key(premises: Premises) -> None:
    service = premises.sweeps(listed=1)
    premises.put("2026/secret-name.txt", "another-service")
    premises.put("2026/z.txt", "another-service")
    service.run("object-orphans")

    described = {each["name"]: each for each in service.results(ADMIN)}

    assert list(described) == NAMES
    assert described["multiparts"]["result"] is None
    assert described["multiparts"]["interval_seconds"] == 3600
    assert described["object-orphans"]["finished_at"] >= described["object-orphans"]["started_at"]
    assert "secret-name" not in str(described)
    with pytest.raises(Forbidden):
        service.results(ALICE)


def test_an_unknown_sweep_is_not_found(premises: Premises) -> None:
    with pytest.raises(NotFound) as refusal:
        premises.sweep("dust")

    assert refusal.value.facts["known"] == NAMES


# Uploads.


def test_an_expired_upload_gives_back_its_room_and_bytes(premises: Premises) -> None:
    messy(premises, "expired-uploads", 1)
    stays = premises.open_upload(size=300)

    result = premises.sweep("expired-uploads")

    assert (result["removed"], result["bytes"]) == (1, 100)
    assert premises.quota() == (0, 300)
    assert {each.upload_id for each in premises.shop.staging.listing()} == {stays.id}
    assert len(premises.rows("chunks")) == 1


def test_an_upload_that_was_completed_in_time_does_not_expire(premises: Premises) -> None:
    upload = premises.open_upload()
    premises.shop.uploads.complete(ALICE, upload.id)
    premises.age("uploads", "expires_at", 2 * DAY)

    result = premises.sweep("expired-uploads")

    assert result["removed"] == 0
    assert state(premises, upload.id) is UploadState.SEALED


def test_an_upload_that_is_completed_while_others_expire_stays(premises: Premises) -> None:
    ids = {premises.open_upload().id for _ in range(2)}
    premises.age("uploads", "expires_at", 2 * DAY)

    def complete_the_other(upload_id: str) -> None:
        premises.shop.uploads.complete(ALICE, *(ids - {upload_id}))

    staging = Meddled(premises.folder, complete_the_other)
    result = premises.sweeps(staging=staging).run("expired-uploads")

    assert (result["seen"], result["removed"]) == (2, 1)
    assert {state(premises, each) for each in ids} == {UploadState.EXPIRED, UploadState.SEALED}
    assert premises.quota() == (0, 100)
    assert len(premises.shop.staged_names()) == 1


def test_an_upload_that_is_retried_while_others_are_given_up_keeps_its_bytes(
    premises: Premises,
) -> None:
    jobs = {claim.upload.id: claim.job.id for claim in (premises.failed(), premises.failed())}
    premises.age("uploads", "updated_at", 8 * DAY)

    def retry_the_other(upload_id: str) -> None:
        (job_id,) = (job for upload, job in jobs.items() if upload != upload_id)
        premises.shop.jobs.retry(ADMIN, job_id)

    result = premises.sweeps(staging=Meddled(premises.folder, retry_the_other)).run(
        "failed-uploads"
    )

    assert (result["seen"], result["removed"]) == (2, 1)
    assert premises.quota() == (0, 100)
    assert len(premises.rows("chunks")) == len(premises.shop.staged_names()) == 1


def test_a_failed_upload_can_be_retried_until_its_bytes_are_given_up(premises: Premises) -> None:
    young, old = premises.failed(), premises.failed()
    premises.age("uploads", "updated_at", 8 * DAY, id=old.upload.id)

    premises.sweep("failed-uploads")

    premises.shop.jobs.retry(ADMIN, young.job.id)
    with pytest.raises(Conflict, match="not kept"):
        premises.shop.jobs.retry(ADMIN, old.job.id)
    assert state(premises, old.upload.id) is UploadState.FAILED
    assert premises.quota() == (0, 100)
    assert {each.upload_id for each in premises.shop.staging.listing()} == {young.upload.id}


# Staging.


def test_an_orphan_is_discarded_only_at_its_second_sighting(premises: Premises) -> None:
    premises.staged()

    first, second = (premises.sweep("staging-orphans") for _ in range(2))

    assert (first["removed"], first["waiting"]) == (0, 1)
    assert (second["removed"], second["bytes"]) == (1, 4)


def test_an_old_orphan_waits_the_grace_between_its_sightings(premises: Premises) -> None:
    premises.staged(old=3 * DAY)
    runs = [premises.sweep("staging-orphans", grace=DAY) for _ in range(3)]
    premises.age("sightings", "first_seen_at", DAY)

    last = premises.sweep("staging-orphans", grace=DAY)

    assert [run["removed"] for run in runs] == [0, 0, 0]
    assert last["removed"] == 1


def test_an_orphan_that_was_touched_lately_stays_however_often_it_was_seen(
    premises: Premises,
) -> None:
    upload_id, name = premises.staged(old=2 * DAY)
    premises.sweep("staging-orphans", grace=DAY)
    premises.age("sightings", "first_seen_at", 5 * DAY)
    premises.touch(upload_id, name, -2 * DAY)

    result = premises.sweep("staging-orphans", grace=DAY)

    assert result["removed"] == 0
    assert len(premises.shop.staged_names()) == 1


def test_while_a_body_arrives_its_first_chunks_stay_though_no_row_knows_them(
    premises: Premises,
) -> None:
    upload_id, _ = premises.staged(old=10 * DAY)
    premises.sweep("staging-orphans", grace=DAY)
    premises.age("sightings", "first_seen_at", 9 * DAY)
    premises.staged(old=timedelta(), upload_id=upload_id)

    result = premises.sweep("staging-orphans", grace=DAY)

    assert result["removed"] == 0
    assert len(premises.shop.staged_names()) == 2


def test_a_folder_that_was_not_listed_to_its_end_is_left_alone(premises: Premises) -> None:
    old = StagedChunk(str(uuid7()), "old", 1, SystemClock().now() - 9 * DAY)
    run = Run("staging-orphans", cap=9, ends=time.monotonic() + 60)

    class Slow(DiskStaging):
        def listing(self) -> Iterator[StagedChunk]:
            yield old
            run.ends = 0
            yield replace(old, name="young", touched_at=SystemClock().now())

    staging_orphans(premises.sweeps(staging=Slow(premises.folder / "staging")).sweeper, run)

    assert (run.capped, run.removed) == (True, 0)
    assert premises.rows("sightings") == []


def test_a_chunk_with_a_row_stays_and_the_lost_attempt_beside_it_goes(premises: Premises) -> None:
    upload = premises.open_upload()
    kept = set(premises.shop.staged_names())
    premises.staged(upload_id=upload.id)
    for name in kept:
        premises.touch(upload.id, name, 30 * DAY)

    premises.sweep("staging-orphans")
    premises.sweep("staging-orphans")

    assert set(premises.shop.staged_names()) == kept


def test_a_name_that_has_found_its_row_is_forgotten(premises: Premises) -> None:
    upload_id, name = premises.staged()
    premises.sweep("staging-orphans")
    premises.shop.staging.discard(upload_id, [name])

    premises.sweep("staging-orphans")

    assert premises.rows("sightings") == []


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_body_that_goes_on_while_its_folder_is_swept_keeps_its_bytes(
    premises: Premises, *, is_committed: bool
) -> None:
    upload = premises.shop.opened(size=100)
    upload_id, name = premises.staged(old=10 * DAY, upload_id=upload.id)
    premises.sweep("staging-orphans", grace=DAY)
    premises.age("sightings", "first_seen_at", 9 * DAY)

    class Late(DiskStaging):
        def sizes(self, upload_id: str) -> dict[str, int]:
            if is_committed:
                with premises.shop.records.begin() as rows:
                    rows.chunks.add([a_chunk(upload_id, name=name, length=4)])
            else:
                premises.staged(old=timedelta(), upload_id=upload_id)
            return super().sizes(upload_id)

    sweeps = premises.sweeps(staging=Late(premises.folder / "staging"), grace=DAY)
    result = sweeps.run("staging-orphans")

    assert result["removed"] == 0
    assert name in premises.shop.staging.sizes(upload_id)


# Objects.


def test_an_intent_that_came_to_nothing_goes_with_its_object(stored: Premises) -> None:
    messy(stored, "object-orphans", 1)

    result = stored.sweep("object-orphans")

    assert (result["removed"], result["bytes"]) == (1, 7)
    assert stored.keys() == set()
    assert stored.rows("objects") == []


def test_an_intent_of_a_failed_upload_stays_as_long_as_it_can_be_retried(stored: Premises) -> None:
    claim = stored.claimed()
    stored.intent(claim)
    stored.shop.claims.give_up(claim, {"code": "x", "detail": "y"})

    kept = stored.sweep("object-orphans")
    stored.sweep("failed-uploads", failed_uploads=timedelta())
    gone = stored.sweep("object-orphans")

    assert (kept["removed"], gone["removed"]) == (0, 1)


def test_an_object_that_another_upload_wrote_is_not_removed(stored: Premises) -> None:
    claim = stored.claimed()
    stored.shop.claims.intend(claim, [claim.upload.key])
    stored.put(claim.upload.key, str(uuid7()))
    stored.rejected(claim)

    stored.sweep("object-orphans")

    assert stored.keys() == {claim.upload.key}
    assert stored.rows("objects") == []


def test_a_file_keeps_its_object_whatever_the_row_of_it_says(stored: Premises) -> None:
    lost, wrong = stored.file(), stored.file()
    with stored.shop.records.begin() as rows:
        rows.objects.drop([lost.key], lost.id)
        rows.objects.deleting([wrong.key], wrong.id)

    results = [stored.sweep("object-orphans") for _ in range(3)]

    assert {result["removed"] for result in results} == {0}
    assert stored.keys() == {lost.key, wrong.key}
    with stored.shop.records.read() as rows:
        assert rows.objects.known([wrong.key])[wrong.key].state == "linked"


def test_killed_between_the_mark_and_the_deletion_the_next_run_goes_on(premises: Premises) -> None:
    messy(premises, "object-orphans", 1)
    broken = failing(premises.folder, premises.keys())

    failed = premises.sweeps(broken).run("object-orphans")
    marked = premises.rows("objects")
    result = premises.sweep("object-orphans", grace=DAY)

    assert failed["failed"] == 1
    assert "deleting" in marked[0]
    assert result["removed"] == 1
    assert premises.keys() == set()


def test_an_object_of_ours_without_a_row_goes_at_its_second_sighting(stored: Premises) -> None:
    stored.put("2020/01/01/lost.txt", str(uuid7()))

    first = stored.sweep("object-orphans")
    before = stored.snapshot()
    dry = stored.sweep("object-orphans", dry_run=True)
    untouched = stored.snapshot() == before
    second, third = (stored.sweep("object-orphans") for _ in range(2))

    assert (first["removed"], first["waiting"]) == (0, 1)
    assert (dry["removed"], dry["bytes"], untouched) == (1, 7, True)
    assert (second["removed"], second["bytes"]) == (1, 7)
    assert third["removed"] == 0
    assert stored.keys() == set()
    assert stored.rows("sightings") == stored.rows("objects") == []


def test_a_young_object_without_a_row_is_not_even_noted(stored: Premises) -> None:
    stored.put("2020/01/01/lost.txt", str(uuid7()))

    result = stored.sweep("object-orphans", grace=HOUR)

    assert result["waiting"] == 0
    assert stored.rows("sightings") == []


def test_an_object_that_gets_a_row_after_its_first_sighting_stays(stored: Premises) -> None:
    claim = stored.claimed()
    stored.put(claim.upload.key, claim.upload.id)
    first = stored.sweep("object-orphans")

    while_it_runs = stored.sweep("object-orphans")
    stored.shop.claims.intend(claim, [claim.upload.key])
    results = [stored.sweep("object-orphans") for _ in range(3)]

    assert first["waiting"] == 1
    assert while_it_runs["removed"] == 0
    assert {result["removed"] for result in results} == {0}
    assert stored.keys() == {claim.upload.key}


def test_objects_of_others_are_never_touched(a_bucket: S3Place, tmp_path: Path) -> None:
    shop = a_workshop(tmp_path)
    premises = Premises(shop, S3Objects(a_bucket), tmp_path)
    client = s3_client(a_bucket, a_bucket.endpoint)
    foreign: Mapping[str, Mapping[str, str]] = {
        "2026/11/21/019f0000-0000-7000-8000-000000000000_a.txt": {},
        "thumbnails/019f0000-0000-7000-8000-000000000000/small.webp": {"id": "7"},
        "uploads/b.txt": {"upload-id": "42"},
        "uploads/c.txt": {"upload-id": "../../etc"},
        "uploads/ü e.txt": {"Upload-Id": "NOT-A-UUID"},
    }
    for key, metadata in foreign.items():
        client.put_object(Bucket=a_bucket.bucket, Key=key, Body=b"x", Metadata=metadata)
    open_by_others = client.create_multipart_upload(Bucket=a_bucket.bucket, Key="uploads/d.bin")

    results = [premises.sweep(name) for name in MESSES for _ in range(3)]

    assert {result["removed"] for result in results} == {0}
    assert premises.keys() == set(foreign)
    assert [each.multipart_id for each in premises.objects.open_multiparts()] == [
        open_by_others["UploadId"]
    ]
    shop.records.close()


def test_more_lost_objects_than_can_be_an_accident_are_left_alone(
    premises: Premises, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        premises.put(f"2026/{number}.txt", str(uuid7()))
    premises.sweep("object-orphans")

    result = premises.sweep("object-orphans", alarm=2)

    assert (result["removed"], "alarm" in result) == (0, True)
    assert len(premises.keys()) == 3
    assert "sweep_alarmed" in caplog.messages


def test_a_large_bucket_is_looked_at_a_part_at_a_time(premises: Premises) -> None:
    for number in range(5):
        premises.put(f"2026/{number}.txt", str(uuid7()))

    runs = [premises.sweep("object-orphans", listed=2, grace=timedelta()) for _ in range(2)]
    seen_by_two = len(premises.rows("sightings"))
    rest = [premises.sweep("object-orphans", listed=2) for _ in range(4)]

    assert [run["waiting"] for run in runs] == [2, 2]
    assert seen_by_two == 2
    assert sum(run["removed"] for run in runs + rest) == 5
    assert premises.keys() == set()


def test_the_store_is_asked_about_no_more_objects_than_a_run_may(premises: Premises) -> None:
    for number in range(3):
        premises.put(f"2026/{number}.txt", str(uuid7()))

    result = premises.sweep("object-orphans", looks=2)

    assert (result["waiting"], result["capped"]) == (0, True)


# Multipart uploads.


def test_what_earlier_attempts_began_goes_too_once_the_upload_has_ended(stored: Premises) -> None:
    claim = stored.claimed()
    key = claim.upload.key
    stored.shop.claims.intend(claim, [key])
    began = [
        stored.objects.begin_multipart(key, content_type="a/b", upload_id=claim.upload.id)
        for _ in range(2)
    ]
    stored.shop.claims.started(claim, key, began[1])

    running = stored.sweep("multiparts")
    stored.rejected(claim)
    ended, again = stored.sweep("multiparts"), stored.sweep("multiparts")

    assert (running["removed"], running["active"]) == (0, 2)
    assert (ended["removed"], ended["waiting"], again["removed"]) == (0, 2, 2)
    assert list(stored.objects.open_multiparts()) == []


def test_an_intent_goes_with_all_that_is_open_under_its_key(stored: Premises) -> None:
    claim = stored.claimed()
    key = claim.upload.key
    stored.shop.claims.intend(claim, [key])
    began = [
        stored.objects.begin_multipart(key, content_type="a/b", upload_id=claim.upload.id)
        for _ in range(2)
    ]
    foreign = stored.objects.begin_multipart("foreign", content_type="a/b", upload_id="7")
    stored.shop.claims.started(claim, key, began[1])
    stored.rejected(claim)

    result = stored.sweep("object-orphans")

    assert result["removed"] == 1
    assert [each.multipart_id for each in stored.objects.open_multiparts()] == [foreign]
    assert stored.rows("objects") == []


def test_a_young_multipart_and_a_foreign_one_stay(stored: Premises) -> None:
    messy(stored, "multiparts", 1)
    stored.objects.begin_multipart("not/ours.bin", content_type="a/b", upload_id="somebody")

    young = stored.sweep("multiparts", grace=HOUR)
    first, old = stored.sweep("multiparts"), stored.sweep("multiparts")

    assert (young["removed"], young["foreign"]) == (0, 0)
    assert (first["removed"], first["waiting"]) == (0, 1)
    assert (old["removed"], old["foreign"]) == (1, 1)
    assert [each.key for each in stored.objects.open_multiparts()] == ["not/ours.bin"]


def test_parts_that_the_store_calls_old_are_aborted_at_their_second_sighting(
    premises: Premises,
) -> None:
    MESSES["multiparts"](premises)
    grow_old(premises.folder, 30 * DAY)

    first, soon = (premises.sweep("multiparts", grace=DAY) for _ in range(2))
    premises.age("sightings", "first_seen_at", 2 * DAY, kind="multipart")
    dry, later = (
        premises.sweep("multiparts", dry_run=is_dry, grace=DAY) for is_dry in (True, False)
    )

    results = [first, soon, dry, later]
    assert [each["removed"] for each in results] == [0, 0, 1, 1]
    assert [each["waiting"] for each in results] == [1, 1, 0, 0]


def test_parts_that_were_needed_in_between_are_seen_anew(premises: Premises) -> None:
    messy(premises, "multiparts", 1)
    become(premises, UploadState.SEALED)
    premises.sweep("multiparts")
    become(premises, UploadState.REJECTED)

    assert premises.sweep("multiparts")["removed"] == 0
    assert premises.sweep("multiparts")["removed"] == 1


# Files.


def test_an_expired_file_is_hidden_and_its_listeners_hear_of_it(premises: Premises) -> None:
    listening(premises, EventType.EXPIRED)
    file = premises.file(expires_in=3600)
    premises.age("files", "expires_at", 2 * HOUR)

    premises.sweep("expired-files")
    premises.sweep("expired-files")

    job = premises.job(file.id)
    with premises.shop.records.read() as rows:
        hidden = rows.files.find(file.id)
        owed = rows.webhooks.due(10)
    assert hidden is not None
    assert hidden.deleted_at is not None
    assert len(owed) == 1
    assert premises.dispatcher.delivered == owed
    assert job is not None
    assert premises.board.forgotten == [job.id]
    assert premises.keys() == {file.key}


def test_without_a_setting_files_of_the_gateway_stay_for_ever(premises: Premises) -> None:
    messy(premises, "gateway-files", 1)
    before = premises.snapshot()

    result = premises.sweep("gateway-files", gateway_files=None)

    assert (result["seen"], result["removed"]) == (0, 0)
    assert premises.snapshot() == before


def test_only_files_of_the_gateway_become_too_old_and_by_the_setting_of_today(
    premises: Premises,
) -> None:
    listening(premises, EventType.EXPIRED)
    gateways, other = premises.file(), premises.file()
    premises.becomes_gateways(gateways)
    premises.age("files", "created_at", 10 * DAY)

    kept = premises.sweep("gateway-files", gateway_files=11 * DAY)
    gone = premises.sweep("gateway-files", gateway_files=9 * DAY)

    assert (kept["removed"], gone["removed"]) == (0, 1)
    with premises.shop.records.read() as rows:
        files = {file.id: file.deleted_at for file in rows.files.many([gateways.id, other.id])}
    assert files[gateways.id] is not None
    assert files[other.id] is None
    assert len(premises.dispatcher.delivered) == 1
    assert premises.keys() == {gateways.key, other.key}  # for good only later


def test_a_file_whose_expiry_is_moved_while_others_expire_stays(premises: Premises) -> None:
    ids = {premises.file(expires_in=3600).id for _ in range(2)}
    premises.age("files", "expires_at", 2 * HOUR)

    def move_the_other(job_ids: Sequence[str]) -> None:
        with premises.shop.records.read() as rows:
            (expired,) = (job.upload_id for job in rows.jobs.many(job_ids))
        premises.age("files", "expires_at", -2 * HOUR, id=(ids - {expired}).pop())

    premises.board.meddle = move_the_other
    result = premises.sweep("expired-files")

    assert (result["seen"], result["removed"]) == (2, 1)


def test_a_file_that_outlived_its_records_expires_too(premises: Premises) -> None:
    file = premises.file(expires_in=3600)
    premises.age("uploads", "updated_at", 31 * DAY)
    premises.sweep("job-records")
    premises.age("files", "expires_at", 2 * HOUR)

    result = premises.sweep("expired-files")

    assert result["removed"] == 1
    assert premises.job(file.id) is None


def test_a_deleted_file_goes_with_rows_objects_and_its_share_of_the_quota(
    stored: Premises,
) -> None:
    stays = stored.file()
    messy(stored, "deleted-files", 1)

    result = stored.sweep("deleted-files")

    assert (result["removed"], result["bytes"]) == (1, 7)
    assert stored.keys() == {stays.key}
    assert len(stored.rows("files")) == len(stored.rows("objects")) == 1
    assert stored.quota() == (7, 0)


def test_a_file_that_somebody_else_removes_meanwhile_is_not_counted(premises: Premises) -> None:
    messy(premises, "deleted-files", 2)
    with premises.shop.records.read() as rows:
        ids = {file.key: file.id for file in rows.files.deleted(DAY, 10)}

    def remove_the_other(keys: Sequence[str]) -> None:
        (other,) = (file_id for key, file_id in ids.items() if key not in keys)
        premises.sweeps().sweeper.files.delete(ALICE, other, hard=True)

    result = premises.sweeps(Watched(premises.folder, remove_the_other)).run("deleted-files")

    assert (result["seen"], result["removed"], result["failed"]) == (2, 1, 0)
    assert premises.keys() == set()
    assert premises.quota() == (0, 0)


# Records.


def test_old_records_go_with_their_keys_and_young_ones_stay(premises: Premises) -> None:
    new = NewUpload("notes.txt", size=10)
    old = premises.shop.uploads.open(ALICE, new, idempotency_key="k")
    premises.shop.uploads.cancel(ALICE, old.id)
    premises.age("uploads", "updated_at", 31 * DAY)
    file, young = premises.file(), premises.rejected()
    premises.age("uploads", "updated_at", 31 * DAY, id=file.id)
    job = premises.job(file.id)

    premises.sweep("job-records")

    assert premises.rows("idempotency") == []
    assert [premises.upload(each) for each in (old.id, file.id)] == [None, None]
    assert premises.upload(young.upload.id) is not None
    assert len(premises.rows("jobs")) == 1
    assert premises.keys() == {file.key}
    assert job is not None
    assert premises.board.forgotten == [job.id]


def test_records_stay_while_something_needs_them(premises: Premises) -> None:
    premises.failed()
    intended, reserving = premises.claimed(), premises.rejected()
    premises.intent(intended)
    premises.rejected(intended)
    with premises.shop.records.begin() as rows:
        rows.uploads.settle(reserving.upload.id, reserved=5)
    premises.age("uploads", "updated_at", 400 * DAY)

    result = premises.sweep("job-records")

    assert result["removed"] == 0
    assert len(premises.rows("uploads")) == len(premises.rows("jobs")) == 3


def test_settled_deliveries_are_forgotten_and_owed_ones_stay(premises: Premises) -> None:
    listening(premises, EventType.READY)
    premises.file()
    premises.file()
    with premises.shop.records.read() as rows:
        first, owed = rows.webhooks.due(10)
    settle(premises, first)
    premises.age("deliveries", "updated_at", 31 * DAY)

    result = premises.sweep("job-records")

    with premises.shop.records.read() as rows:
        left = rows.webhooks.due(10)
    assert (result["removed"], result["deliveries"]) == (1, 1)
    assert left == [owed]


def messy(premises: Premises, name: str, count: int) -> None:
    """Leave things for a sweep, seen once where it wants to see them twice."""
    for _ in range(count):
        MESSES[name](premises)
    if name in {"staging-orphans", "multiparts"}:
        premises.sweep(name)


def become(premises: Premises, state: UploadState) -> None:
    with premises.shop.records._engine.begin() as connection:
        connection.execute(update(uploads).values(state=state))


def a_sweep(does: Callable[[Sweeper, Run], None]) -> Sweep:
    return Sweep("test", DAY, does, "nothing")


def state(premises: Premises, upload_id: str) -> UploadState | None:
    upload = premises.upload(upload_id)
    return None if upload is None else upload.state


def listening(premises: Premises, event: EventType) -> None:
    with premises.shop.records.begin() as rows:
        now = rows.now()
        rows.webhooks.add(
            Webhook(
                id=str(uuid7()),
                tenant="default",
                created_by="alice",
                owner=None,
                url="https://example.com/hook",
                events=[event],
                description=None,
                enabled=True,
                disabled_reason=None,
                secret="whsec_x",
                created_at=now,
                updated_at=now,
            )
        )


def settle(premises: Premises, delivery_id: str) -> None:
    with premises.shop.records.begin() as rows:
        delivery = rows.webhooks.claim(delivery_id, HOUR)
        assert delivery is not None
        rows.webhooks.settle(
            delivery, DeliveryState.DELIVERED, pause=None, response_status=200, error=None
        )
