"""A folder that is not this installation's staging is an outage: nothing is written, lost or judged."""

import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shared.adapters.records_sql import SqlRecords
from shared.adapters.staging_disk import DiskStaging
from shared.adapters.staging_mark import NAME
from shared.errors import Damaged, Unavailable
from shared.model.job import Job
from shared.model.lifecycle import JobState
from shared.model.upload import Chunk, NewUpload
from shared.ports import Staging
from shared.services.health import Health
from shared.services.identity import StagingIdentity
from tests.support.builders import a_chunk
from tests.support.factory import Factory, a_factory
from tests.support.races import at_once
from tests.support.workshop import ALICE, Bytes

ONE = "0193-one-aa"


@pytest.fixture
def records(database_url: str) -> Iterator[SqlRecords]:
    made = SqlRecords(database_url)
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "volume" / "staging"


def test_the_first_process_ever_marks_the_folder_and_the_next_ones_know_it(
    records: SqlRecords, folder: Path
) -> None:
    chunk = kept(a_staging(records, folder))

    again = a_staging(records, folder)

    assert content(again, chunk) == b"content"
    assert mark(folder) != ""
    assert [path.name for path in folder.iterdir()] != []


def test_of_many_who_start_at_once_one_decides(records: SqlRecords, folder: Path) -> None:
    stagings = [a_staging(records, folder) for _ in range(8)]

    at_once(staging.free_bytes for staging in stagings)

    assert all(content(staging, kept(staging)) for staging in stagings)
    assert sorted(path.name for path in folder.iterdir()) == [NAME, "aa"]


def test_a_folder_of_an_older_release_is_adopted_with_what_lies_in_it(
    records: SqlRecords, folder: Path
) -> None:
    chunk = kept(DiskStaging(folder))

    staging = a_staging(records, folder)

    assert staging.free_bytes() > 0
    assert content(staging, chunk) == b"content"


@pytest.mark.parametrize("there", ["nothing", "empty", "another"])
def test_another_folder_is_an_outage_and_stays_as_it_is(
    records: SqlRecords, folder: Path, tmp_path: Path, there: str
) -> None:
    chunk = kept(a_staging(records, folder))
    bare = tmp_path / "bare"
    if there != "nothing":
        bare.mkdir()
    if there == "another":
        (bare / NAME).write_text("another\n")
    before = sorted(tmp_path.rglob("*"))

    staging = a_staging(records, bare)

    for ask in (
        staging.free_bytes,
        lambda: staging.writer(ONE, 0, 0, None),
        lambda: content(staging, chunk),
        lambda: staging.sizes(ONE),
        lambda: list(staging.listing()),
    ):
        with pytest.raises(Unavailable) as outage:
            ask()
        assert outage.value.code == "staging_unavailable"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_missing_chunk_of_our_own_folder_is_damage(records: SqlRecords, folder: Path) -> None:
    staging = a_staging(records, folder)
    chunk = kept(staging)
    staging.discard(ONE, [chunk.name])

    with pytest.raises(Damaged):
        content(staging, chunk)

    assert staging.sizes(ONE) == {}


def test_a_disk_that_goes_is_told_of_once_and_its_return_needs_no_restart(
    records: SqlRecords, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    staging = a_staging(records, folder)
    chunk = kept(staging)

    folder.rename(folder.with_name("unmounted"))
    folder.mkdir()
    for _ in range(3):
        with pytest.raises(Unavailable):
            kept(staging)
    folder.rmdir()
    folder.with_name("unmounted").rename(folder)

    assert content(staging, chunk) == b"content"
    assert content(staging, kept(staging)) == b"content"
    told = [each.message for each in caplog.records if each.message.startswith("staging")]
    assert told == ["staging_not_ours", "staging_is_back"]


def test_an_empty_folder_is_accepted_once_somebody_writes_the_id_into_it(
    records: SqlRecords, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    staging = a_staging(records, folder)
    kept(staging)
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(Unavailable):
        staging.free_bytes()
    (expected,) = [vars(each)["expected"] for each in caplog.records]

    (folder / NAME).write_text(f"{expected}\n")

    assert content(staging, kept(staging)) == b"content"


def test_a_database_that_is_away_at_the_start_is_asked_again(
    records: SqlRecords, folder: Path
) -> None:
    said = [Unavailable("records", "The database does not answer.")]

    class Away(StagingIdentity):
        def settle(self, *asked: object) -> str:
            while said:
                raise said.pop()
            return StagingIdentity.settle(self, *asked)  # type: ignore[arg-type]  # passed on

    staging = DiskStaging(folder, settle=Away(records).settle)
    with pytest.raises(Unavailable) as outage:
        kept(staging)
    assert outage.value.code == "records_unavailable"

    assert content(staging, kept(staging)) == b"content"


class TestOnAHostWithoutTheDisk:
    @pytest.fixture
    def factory(self, database_url: str, tmp_path: Path) -> Iterator[Factory]:
        with a_factory(tmp_path, database_url) as made:
            yield made

    @pytest.fixture
    def elsewhere(self, factory: Factory, tmp_path: Path) -> Factory:
        """The same service, on a host whose staging is not mounted."""
        a_staging(factory.records, tmp_path / "staging").free_bytes()
        return with_staging(factory, a_staging(factory.records, tmp_path / "not-mounted"))

    def test_jobs_wait_and_succeed_where_the_disk_is(
        self, factory: Factory, elsewhere: Factory
    ) -> None:
        factory.listen()
        jobs = [factory.received(b"content %d" % number) for number in range(5)]

        waiting = [elsewhere.run(job) for job in jobs]
        ended = [factory.run(job) for job in jobs]

        assert {(job.state, job.attempts, code(job)) for job in waiting} == {
            (JobState.QUEUED, 0, "staging_unavailable")
        }
        assert {job.state for job in ended} == {JobState.SUCCEEDED}
        assert set(factory.events()) == {"file.ready"}

    def test_no_byte_is_acknowledged(self, elsewhere: Factory, tmp_path: Path) -> None:
        services = elsewhere.services
        upload = services.uploads.open(ALICE, NewUpload("a.txt", size=5, chunk_size=5))

        with pytest.raises(Unavailable):
            services.chunks.put(ALICE, upload.id, 0, Bytes(b"hello"), None)

        assert not (tmp_path / "not-mounted").exists()

    def test_it_is_not_ready(self, factory: Factory, elsewhere: Factory) -> None:
        checks = [health(factory), health(elsewhere)]

        assert [check["staging"] is None for check in checks] == [True, False]

    def test_the_auditor_takes_nothing_for_lost(self, factory: Factory, elsewhere: Factory) -> None:
        factory.received(b"content")
        sweeps = elsewhere.services.sweeps
        sweeper = replace(sweeps.sweeper, staging=elsewhere.staging)

        result = replace(sweeps, sweeper=sweeper).run("audit", dry_run=True)

        assert result["error"]["code"] == "staging_unavailable"
        assert "chunk_missing" not in result["findings"]


def a_staging(records: SqlRecords, folder: Path) -> DiskStaging:
    return DiskStaging(folder, settle=StagingIdentity(records).settle)


def with_staging(factory: Factory, staging: DiskStaging) -> Factory:
    services = factory.services
    changed = replace(
        services,
        staging=staging,
        uploads=replace(services.uploads, staging=staging),
        chunks=replace(services.chunks, staging=staging),
        claims=replace(services.claims, staging=staging),
    )
    return replace(factory, services=changed, staging=staging)


def health(factory: Factory) -> dict[str, str | None]:
    services = factory.services
    asked = Health(factory.records, factory.staging, factory.objects, services.board, 0)
    return asked.checks()


def kept(staging: Staging) -> Chunk:
    writer = staging.writer(ONE, 0, 0, None)
    writer.write(b"content")
    writer.keep()
    return a_chunk(ONE, name=writer.name, length=len(b"content"))


def content(staging: Staging, chunk: Chunk) -> bytes:
    return b"".join(staging.read(chunk, 1000))


def mark(folder: Path) -> str:
    return (folder / NAME).read_text(encoding="utf-8").strip()


def code(job: Job) -> str:
    assert job.error is not None
    return str(job.error["code"])
