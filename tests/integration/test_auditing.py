"""The auditor on real parts: every damage is found, and nothing else; what is safe is repaired."""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from shared.adapters.client_s3 import S3Place
from shared.adapters.objects_disk import DiskObjects
from shared.adapters.objects_s3 import S3Objects
from shared.errors import AccessDenied, Unavailable
from shared.model.caller import Caller, Scope
from shared.model.job import Shown
from shared.model.lifecycle import JobState
from shared.services.auditing import findings as finding
from shared.services.auditing.findings import Kind
from tests.support import damages
from tests.support.builders import an_upload
from tests.support.damages import DAMAGES, ODDITIES, every_state
from tests.support.damages_left import chunks_left, owe
from tests.support.factory import Bell, a_factory
from tests.support.grounds import CONTENT, DAY, Grounds, ShowingBoard, findings
from tests.support.straight import a_straight_store
from tests.support.workshop import ALICE

ADMIN = Caller("root", scopes=frozenset({Scope.ADMIN}))
NOTHING = timedelta()
HOUR = timedelta(hours=1)


@dataclass
class Counted(Bell):
    """Holds as many messages of `ingest` as it is told, look by look."""

    counts: list[int | None] = field(default_factory=list)

    def backlog(self, queue: str) -> int | None:
        return self.counts.pop(0) if queue == "ingest" else 0


@pytest.fixture
def grounds(database_url: str, tmp_path: Path) -> Iterator[Grounds]:
    with a_factory(tmp_path, database_url, objects=a_straight_store(tmp_path)) as factory:
        yield Grounds(factory)


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_found_and_what_is_safe_is_repaired(grounds: Grounds, name: str) -> None:
    grounds.file()
    expected = DAMAGES[name](grounds)

    dry = grounds.found(dry_run=True)
    found = grounds.found()
    grounds.answer_the_bell()
    again = grounds.found()

    assert {each[:2] for each in dry} >= {each[:2] for each in expected}
    assert found == expected
    assert again == {each for each in expected if not each[2]}


def test_a_service_in_all_its_states_has_nothing_wrong(grounds: Grounds) -> None:
    every_state(grounds)
    for oddity in ODDITIES.values():
        oddity(grounds)

    found = grounds.found()

    assert found == set()


def test_a_dry_run_changes_nothing(grounds: Grounds) -> None:
    for plant in DAMAGES.values():
        plant(grounds)
    bell = grounds.factory.bell
    before = grounds.snapshot(), len(bell.processed), len(bell.delivered)

    found = grounds.found(dry_run=True)

    assert (grounds.snapshot(), len(bell.processed), len(bell.delivered)) == before
    assert {repaired for _, _, repaired in found} == {False}


def test_nothing_that_is_stored_or_staged_is_ever_deleted(grounds: Grounds) -> None:
    for plant in [*DAMAGES.values(), *ODDITIES.values()]:
        plant(grounds)
    before = grounds.stored()

    for _ in range(3):
        grounds.found(grace=NOTHING)

    assert grounds.stored() == before


def test_repairs_end_at_the_cap_and_the_next_run_goes_on(grounds: Grounds) -> None:
    for _ in range(3):
        damages.sealed_without_job(grounds)

    first, second, third = (grounds.run("audit", cap=2) for _ in range(3))

    assert [each["repaired"] for each in (first, second, third)] == [2, 1, 0]
    assert [each["unrepaired"] for each in (first, second, third)] == [1, 0, 0]
    assert [each["capped"] for each in (first, second, third)] == [True, False, False]


def test_what_was_queued_again_can_be_worked_off(grounds: Grounds) -> None:
    damages.sealed_without_job(grounds)
    damages.running_without_job(grounds)
    grounds.run("audit")

    ends = [grounds.factory.run(job).state for job in grounds.jobs()]

    assert ends == [JobState.SUCCEEDED, JobState.SUCCEEDED]
    assert grounds.found() == set()


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        ([9, 9, 9, 9], 1),
        ([8, 8, 7, 7, 8, 8], 2),
        ([8, 8, 7, 7, 10, 10], 1),
        ([9, 9, 10, 10], 0),
        ([9, 10], 0),
        ([10, 9], 0),
        ([None] * 6, 10),
    ],
)
def test_of_a_long_queue_only_what_it_lacks_twice_is_stuck(
    grounds: Grounds, counts: list[int | None], found: int
) -> None:
    jobs = [grounds.queued() for _ in range(9)] + [grounds.claimed().job]
    for job in jobs:
        for column in ("due_at", "dispatched_at", "lease_until"):
            grounds.age("jobs", column, HOUR, id=job.id)
    bell = Counted(counts=[*counts, *[10] * 9])
    service = grounds.sweeps()

    result = replace(service, sweeper=replace(service.sweeper, dispatcher=bell)).run("audit")

    assert result["findings"] == ({Kind.JOB_STUCK: found} if found else {})
    assert len(bell.processed) == found


def test_a_job_that_the_auditor_rings_for_is_to_be_had(grounds: Grounds) -> None:
    damages.lease_long_over(grounds)
    grounds.factory.bell.processed.clear()

    grounds.run("audit")

    (job_id,) = grounds.factory.bell.processed
    assert grounds.factory.claims.claim(job_id, "another") is not None


def test_a_quota_that_was_lost_counts_its_files_on(grounds: Grounds) -> None:
    numbers = [grounds.file().number for _ in range(3)]
    grounds.sql("DELETE FROM quotas")

    found = grounds.found()
    numbers.append(grounds.file().number)

    assert found == {(Kind.QUOTA_WRONG, "default", True)}
    assert numbers == [1, 2, 3, 4]
    assert grounds.factory.quota() == (4 * len(CONTENT), 0)


def test_chunks_that_were_left_go_by_the_sweep_of_staging(grounds: Grounds) -> None:
    chunks_left(grounds)
    grounds.run("audit")

    for path in grounds.factory.staged():
        grounds.touch(path, 3 * DAY)
    runs = [grounds.run("staging-orphans") for _ in range(2)]
    grounds.age("sightings", "first_seen_at", 2 * DAY, kind="staging")
    runs.append(grounds.run("staging-orphans"))

    assert [each["removed"] for each in runs] == [0, 0, 1]
    assert list(grounds.factory.staged()) == []


@pytest.mark.parametrize(("messages", "found"), [(0, 1), (1, 1), (2, 0)])
def test_a_delivery_is_overdue_when_messages_are_fewer_than_what_is_due(
    grounds: Grounds, messages: int, found: int
) -> None:
    damages.delivery_overdue(grounds)
    owe(grounds)
    grounds.factory.bell.waiting = messages

    result = grounds.run("audit")

    assert result["findings"] == ({Kind.DELIVERY_OVERDUE: found} if found else {})


def test_a_recount_loses_nothing_of_who_commits_meanwhile(grounds: Grounds) -> None:
    grounds.file()
    grounds.sql("UPDATE quotas SET used = 1 WHERE tenant = 'default'")
    records = grounds.factory.records
    auditor = threading.Thread(target=grounds.run, args=("audit",))

    with records.begin() as rows:
        rows.uploads.add(an_upload(reserved=10), HOUR)
        assert rows.quotas.reserve("default", 10)
        auditor.start()
        auditor.join(0.5)
    auditor.join()

    assert grounds.factory.quota() == (len(CONTENT), 10)


def test_what_has_ended_while_it_was_looked_at_is_no_finding(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, cancelled = grounds.file(), grounds.queued()
    listing = DiskObjects.listing
    sizes = type(grounds.factory.staging).sizes

    def list_late(self: DiskObjects, *, after: str = "") -> Any:
        found = list(listing(self, after=after))
        grounds.factory.services.files.delete(ALICE, gone.id, hard=True)
        return iter(found)

    def stat_late(self: Any, upload_id: str) -> dict[str, int]:
        grounds.factory.services.uploads.cancel(ALICE, cancelled.upload_id)
        return dict(sizes(self, upload_id))

    monkeypatch.setattr(DiskObjects, "listing", list_late)
    monkeypatch.setattr(type(grounds.factory.staging), "sizes", stat_late)
    found = findings(grounds.run("audit"))

    assert [each for each in found if each[0] is not Kind.BOARD_LIES] == []


def test_a_deletion_that_the_board_hears_of_meanwhile_is_no_finding(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    damages.board_of_a_removed_file(grounds)
    find = ShowingBoard.find

    def find_once(self: ShowingBoard, job_ids: object) -> dict[str, Shown]:
        found = find(self, job_ids)
        self.forget(job_ids)
        return found

    monkeypatch.setattr(ShowingBoard, "find", find_once)

    assert grounds.found() == set()


def test_a_service_at_work_has_nothing_wrong(grounds: Grounds) -> None:
    is_over = threading.Event()
    worker = threading.Thread(target=work, args=(grounds, is_over))
    worker.start()

    found = [grounds.found(grace=NOTHING) for _ in range(20)]
    is_over.set()
    worker.join()

    assert [some for some in found if some] == []
    assert len(grounds.jobs()) > 5


def test_an_audit_that_ran_out_of_time_goes_on_where_it_stopped(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.services.auditing.audit.BATCH", 2)
    monkeypatch.setattr("shared.services.auditing.stored.BATCH", 2)
    expected = {(Kind.OBJECT_UNKNOWN, owner, False) for owner in strays(grounds, 5)}

    runs = [grounds.run("audit", looks=2) for _ in range(4)]

    assert {each for run in runs for each in findings(run)} == expected
    assert [run["capped"] for run in runs] == [True, True, False, True]


def test_missing_objects_are_found_in_buckets_of_many_batches(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("audit", "stored", "states", "staged", "rooms", "boards"):
        monkeypatch.setattr(f"shared.services.auditing.{module}.BATCH", 3)
    files = [grounds.file() for _ in range(10)]
    lost = files[0], files[4], files[9]
    grounds.factory.objects.delete([each.key for each in lost])

    found = set(findings(grounds.run("audit")))

    assert found == {(Kind.OBJECT_MISSING, each.id, False) for each in lost}


def test_a_bucket_that_is_gone_is_one_finding_a_file(grounds: Grounds) -> None:
    files = [grounds.file() for _ in range(3)]
    grounds.factory.objects.delete([each.key for each in files])

    found = set(findings(grounds.run("audit")))

    assert found == {(Kind.OBJECT_MISSING, each.id, False) for each in files}


def test_a_store_that_does_not_answer_leaves_what_was_found(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    damages.quota_drifted(grounds)
    monkeypatch.setattr(DiskObjects, "listing", unplugged)

    result = grounds.run("audit")

    assert result["error"]["code"] == "objects_unavailable"
    assert result["findings"] == {"quota_wrong": 1}


def test_a_check_that_breaks_keeps_no_other_from_being_made(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    damages.staged_bytes_lost(grounds)
    damages.object_deleted(grounds)
    monkeypatch.setattr(type(grounds.factory.staging), "sizes", unplugged)

    result = grounds.run("audit")

    assert result["error"]["code"] == "objects_unavailable"
    assert result["findings"] == {"object_missing": 1}


def test_more_findings_than_are_told_are_counted(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "MOST_TOLD", 2)
    strays(grounds, 3)

    result = grounds.run("audit")

    assert result["findings"] == {"object_unknown": 3}
    assert len(result["report"]) == 2


def test_a_repair_that_fails_is_counted_and_the_others_are_made(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    damages.quota_drifted(grounds)
    damages.sealed_without_job(grounds)

    monkeypatch.setattr("shared.services.auditing.rooms._recount", unplugged)
    result = grounds.run("audit")

    assert (result["repaired"], result["unrepaired"], result["failed"]) == (1, 1, 1)


def test_admins_read_counts_and_no_ids(grounds: Grounds) -> None:
    subjects = [subject for plant in DAMAGES.values() for _, subject, _ in plant(grounds)]
    grounds.found()

    described = str(grounds.sweeps().results(ADMIN))

    assert "quota_wrong" in described
    assert [each for each in subjects if each in described and each != "default"] == []


def test_an_audit_asks_no_store_once_its_worker_is_stopped_and_the_next_does(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange = {damages.object_without_row(grounds).pop() for _ in range(3)}
    asked: list[str] = []
    find = DiskObjects.find

    def find_and_tell(self: DiskObjects, key: str) -> Any:
        asked.append(key)
        return find(self, key)

    monkeypatch.setattr(DiskObjects, "find", find_and_tell)
    stopped = grounds.sweeps().run_if_due("audit", is_stopping=lambda: len(asked) > 3)
    at_the_stop = len(asked)

    # A folder looks at each of three to list them.
    assert (at_the_stop, stopped["capped"], stopped["cursor"]) == (4, True, "")
    assert grounds.found() == strange


# Reading again.


def test_a_run_reads_what_it_may_and_the_next_goes_on(grounds: Grounds) -> None:
    for _ in range(5):
        grounds.file()

    runs = [grounds.run("reread", reread_bytes=2 * len(CONTENT)) for _ in range(4)]

    assert [run["files"] for run in runs] == [2, 2, 1, 2]
    assert [run["files_total"] for run in runs] == [2, 4, 5, 7]
    assert [run["capped"] for run in runs] == [True, True, False, True]
    assert runs[0]["bytes"] == 2 * len(CONTENT)


def test_a_file_larger_than_a_night_is_read_alone(grounds: Grounds) -> None:
    grounds.file()

    result = grounds.run("reread", reread_bytes=1)

    assert (result["files"], result["findings"]) == (1, {})


def test_a_file_that_was_being_read_when_its_worker_was_stopped_is_the_next(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    damages.byte_flipped_in_object(grounds)
    reading = threading.Event()
    read = DiskObjects.read

    def read_and_tell(self: DiskObjects, key: str, start: int, stop: int) -> Any:
        reading.set()
        return read(self, key, start, stop)

    monkeypatch.setattr(DiskObjects, "read", read_and_tell)
    stopped = grounds.sweeps().run_if_due("reread", is_stopping=reading.is_set)
    again = grounds.run("reread")

    assert (stopped["capped"], stopped["stopped"], stopped["damaged"]) == (True, True, 0)
    assert again["damaged"] == 1


def test_chunks_and_files_share_what_is_read(grounds: Grounds) -> None:
    for _ in range(3):
        grounds.receiving()
        grounds.file()

    result = grounds.run("reread", reread_bytes=4 * len(CONTENT))

    assert (result["chunks"], result["files"]) == (2, 2)


def test_a_damaged_file_is_one_error_event_and_stays(
    grounds: Grounds, caplog: pytest.LogCaptureFixture
) -> None:
    damages.byte_flipped_in_object(grounds)
    before = grounds.snapshot()

    with caplog.at_level(logging.WARNING):
        result = grounds.run("reread")

    errors = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == ["file_damaged"]
    assert (result["damaged"], result["damaged_total"]) == (1, 1)
    assert grounds.snapshot() == before


def test_bytes_that_were_read_wrong_once_are_no_damage(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    grounds.file()
    reads: list[str] = []
    read = DiskObjects.read

    def read_wrong_once(self: DiskObjects, key: str, start: int, stop: int) -> Any:
        reads.append(key)
        return iter([b"noise"]) if len(reads) == 1 else read(self, key, start, stop)

    monkeypatch.setattr(DiskObjects, "read", read_wrong_once)
    result = grounds.run("reread")

    assert (len(reads), result["findings"]) == (2, {})


def test_a_store_in_trouble_ends_the_run_and_is_no_damage(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        grounds.file()
    monkeypatch.setattr(DiskObjects, "read", unplugged)

    result = grounds.run("reread")

    assert (result["unread"], result["failed"], result["findings"]) == (3, 3, {})


def test_chunks_that_cannot_be_read_keep_no_file_from_being_read(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        grounds.receiving()
        grounds.file()
    monkeypatch.setattr(type(grounds.factory.staging), "read", unplugged)

    nights = [grounds.run("reread") for _ in range(2)]

    facts = ("chunks", "unread", "files", "findings")
    assert [[each[fact] for fact in facts] for each in nights] == [[3, 3, 3, {}]] * 2


def test_what_cannot_be_read_while_others_can_is_found_and_the_others_are_read(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [grounds.file() for _ in range(9)]
    uploads = [grounds.receiving() for _ in range(3)]
    bad = files[1:6]
    grounds.factory.objects.delete([files[-1].key])  # what is not there says nothing of the others
    deny(monkeypatch, *(each.key for each in bad))
    deny_staging(grounds, monkeypatch, uploads[1].id)

    nights = [grounds.run("reread") for _ in range(2)]

    expected = {(Kind.FILE_UNREADABLE, each.id, False) for each in bad}
    expected |= {(Kind.CHUNK_UNREADABLE, uploads[1].id, False)}
    assert [set(findings(night)) for night in nights] == [expected, expected]
    assert [(night["files"], night["chunks"], night["unread"]) for night in nights] == [
        (9, 3, 6)
    ] * 2


def test_what_cannot_be_read_is_found_though_a_run_begins_with_it(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = sorted((grounds.file() for _ in range(6)), key=lambda each: each.id)
    uploads = sorted((grounds.receiving() for _ in range(5)), key=lambda each: each.id)
    bad, chunked = files[:3], uploads[:4]
    deny(monkeypatch, *(each.key for each in bad))
    deny_staging(grounds, monkeypatch, *(each.id for each in chunked))

    night = grounds.run("reread")

    expected = {(Kind.FILE_UNREADABLE, each.id, False) for each in bad}
    expected |= {(Kind.CHUNK_UNREADABLE, each.id, False) for each in chunked}
    assert set(findings(night)) == expected
    assert (night["files"], night["chunks"], night["unread"]) == (6, 5, 7)


def test_what_cannot_be_read_is_found_though_a_run_begins_and_ends_with_it(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = sorted((grounds.file() for _ in range(4)), key=lambda each: each.id)
    deny(monkeypatch, *(each.key for each in files[2:]))

    nights = [grounds.run("reread", reread_bytes=2 * len(CONTENT)) for _ in range(2)]

    expected = {(Kind.FILE_UNREADABLE, each.id, False) for each in files[2:]}
    assert [set(findings(night)) for night in nights] == [set(), expected]


def test_what_could_be_read_at_the_second_attempt_is_no_finding(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    damages.byte_flipped_in_object(grounds)
    grounds.file()
    reads: list[str] = []
    read = DiskObjects.read

    def fail_once(self: DiskObjects, key: str, start: int, stop: int) -> Any:
        reads.append(key)
        return unplugged() if len(reads) == 1 else read(self, key, start, stop)

    monkeypatch.setattr(DiskObjects, "read", fail_once)
    result = grounds.run("reread")

    assert (result["unread"], result["failed"], result["damaged"]) == (0, 0, 1)


def test_a_store_that_goes_away_in_between_is_no_finding(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(8):
        grounds.file()
    reads: list[str] = []
    read = DiskObjects.read

    def fail_later(self: DiskObjects, key: str, start: int, stop: int) -> Any:
        reads.append(key)
        return read(self, key, start, stop) if len(reads) <= 2 else unplugged()

    monkeypatch.setattr(DiskObjects, "read", fail_later)
    away = grounds.run("reread")
    monkeypatch.undo()
    back = grounds.run("reread")

    assert (away["files"], away["unread"], away["findings"]) == (5, 3, {})
    assert (back["files"], back["unread"], back["findings"]) == (3, 0, {})


def test_what_is_deleted_while_it_cannot_be_read_is_no_finding(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [grounds.file() for _ in range(2)]
    uploads = [grounds.receiving() for _ in range(2)]
    staging = type(grounds.factory.staging)
    read, read_chunk = DiskObjects.read, staging.read
    services = grounds.factory.services

    def deleted_file(self: DiskObjects, key: str, start: int, stop: int) -> Any:
        if key == files[1].key:
            services.files.delete(ALICE, files[1].id, hard=True)
            unplugged()
        return read(self, key, start, stop)

    def cancelled(self: Any, chunk: Any, size: int) -> Any:
        if chunk.upload_id == uploads[1].id:
            services.uploads.cancel(ALICE, uploads[1].id)
            unplugged()
        return read_chunk(self, chunk, size)

    monkeypatch.setattr(DiskObjects, "read", deleted_file)
    monkeypatch.setattr(staging, "read", cancelled)
    result = grounds.run("reread")

    assert result["findings"] == {}


# With S3.


@pytest.fixture
def in_s3(a_bucket: S3Place, tmp_path: Path, sqlite_url: str) -> Iterator[Grounds]:
    store = S3Objects(a_bucket)
    with a_factory(tmp_path, sqlite_url, objects=store) as factory:
        yield Grounds(factory)
        store.delete([each.key for each in store.listing()])
        for each in store.open_multiparts():
            store.abort_multipart(each.key, each.multipart_id)


def test_what_another_service_keeps_to_itself_hides_nothing_of_ours(
    in_s3: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = S3Objects.find

    def find_or_refuse(self: S3Objects, key: str) -> Any:
        if key == damages.FOREIGN_KEY:
            raise AccessDenied("The object store refuses.")
        return find(self, key)

    monkeypatch.setattr(S3Objects, "find", find_or_refuse)
    damages.foreign_object(in_s3)
    planted = damages.object_without_row(in_s3)
    result = in_s3.run("audit")

    assert set(findings(result)) == planted
    assert (result["foreign"], result["cursor"], result.get("error")) == (1, "", None)


def test_the_same_is_found_in_s3(in_s3: Grounds, monkeypatch: pytest.MonkeyPatch) -> None:
    # S3 says itself when it began.
    monkeypatch.setattr("shared.services.sweeps.audits._LATE", NOTHING)
    every_state(in_s3)
    clean = in_s3.found()
    planted = [
        plant(in_s3)
        for plant in (
            damages.object_deleted,
            damages.object_cut,
            damages.object_overwritten,
            damages.object_overwritten_by_another,
            damages.object_without_row,
            damages.object_doubled,
            damages.hash_changed_in_row,
        )
    ]
    damages.foreign_object(in_s3)
    file = in_s3.file()
    in_s3.factory.objects.begin_multipart(file.key, content_type="a/b", upload_id=file.id)

    found = in_s3.found(grace=NOTHING)

    assert clean == set()
    assert found >= set().union(*planted) | {(Kind.MULTIPART_LEFT, file.id, False)}


def unplugged(*_: object, **said: object) -> Any:
    del said
    raise Unavailable("objects", "The object store does not answer.")


def deny(monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    """Let the store refuse to give the bytes of these, and of no others."""
    read = DiskObjects.read

    def read_or_refuse(self: DiskObjects, key: str, start: int, stop: int) -> Any:
        if key in keys:
            raise AccessDenied("The object store refuses.")
        return read(self, key, start, stop)

    monkeypatch.setattr(DiskObjects, "read", read_or_refuse)


def deny_staging(grounds: Grounds, monkeypatch: pytest.MonkeyPatch, *upload_ids: str) -> None:
    staging = type(grounds.factory.staging)
    read = staging.read

    def read_or_refuse(self: Any, chunk: Any, size: int) -> Any:
        return unplugged() if chunk.upload_id in upload_ids else read(self, chunk, size)

    monkeypatch.setattr(staging, "read", read_or_refuse)


def strays(grounds: Grounds, count: int) -> list[str]:
    """Put objects that carry our metadata and have no row; return their owners."""
    owners = [str(uuid7()) for _ in range(count)]
    for owner in owners:
        grounds.put(f"2026/01/01/{owner}_lost.txt", CONTENT, owner)
    return owners


def work(grounds: Grounds, is_over: threading.Event) -> None:
    """Take files in, and some of them away again, until it is over."""
    factory = grounds.factory
    while not is_over.is_set():
        kept, dropped = (factory.run(factory.received(CONTENT)) for _ in range(2))
        factory.services.files.delete(ALICE, dropped.upload_id, hard=True)
        factory.services.uploads.cancel(ALICE, factory.received(CONTENT).upload_id)
        factory.services.files.delete(ALICE, kept.upload_id, hard=False)
