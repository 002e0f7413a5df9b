"""Receiving when something goes wrong: races, lost commits, a full disk, a quota used up."""

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import text as sql

from shared.errors import (
    ChunksMissing,
    Conflict,
    IdempotencyMisuse,
    NotReceiving,
    OutcomeUnknown,
    QuotaExceeded,
    StorageFull,
    Unavailable,
)
from shared.model.digest import Announced
from shared.model.job import Job
from shared.model.lifecycle import JobState, UploadState
from shared.model.upload import NewUpload, Upload
from shared.services import intake
from shared.services.streams import StreamService
from tests.support.cable import Cable, a_cable
from tests.support.races import at_once
from tests.support.small_disk import a_small_disk
from tests.support.streams import append
from tests.support.workshop import ALICE, BOB, RULES, Bytes, Workshop, a_workshop

NEW = NewUpload("notes.txt", size=900, chunk_size=900)


@pytest.fixture
def shop(database_url: str, tmp_path: Path) -> Iterator[Workshop]:
    made = a_workshop(tmp_path, database=database_url)
    yield made
    made.records.close()


def test_of_eight_who_open_with_one_key_all_get_one_upload(shop: Workshop) -> None:
    opened = at_once([partial(shop.uploads.open, ALICE, NEW, idempotency_key="key")] * 8)

    assert len({upload.id for upload in opened}) == 1
    assert quota(shop) == (0, 900)


def test_a_key_belongs_to_its_caller_and_its_request(shop: Workshop) -> None:
    first = shop.uploads.open(ALICE, NEW, idempotency_key="key")
    bobs = shop.uploads.open(BOB, NEW, idempotency_key="key")

    with pytest.raises(IdempotencyMisuse):
        shop.uploads.open(ALICE, NewUpload("other.txt", size=900), idempotency_key="key")

    assert bobs.id != first.id
    assert quota(shop) == (0, 1800)


def test_a_key_whose_upload_was_refused_can_be_used_again(shop: Workshop) -> None:
    limit(shop, 100)
    with pytest.raises(QuotaExceeded):
        shop.uploads.open(ALICE, NEW, idempotency_key="key")
    limit(shop, 900)

    shop.uploads.open(ALICE, NEW, idempotency_key="key")

    assert quota(shop) == (0, 900)


def test_sixty_four_uploads_at_a_limit_fill_it_exactly(shop: Workshop) -> None:
    limit(shop, 10 * 900 + 899)

    def open_one() -> bool:
        with suppress(QuotaExceeded):
            shop.uploads.open(ALICE, NEW)
            return True
        return False

    assert sum(at_once([open_one] * 64)) == 10
    assert quota(shop) == (0, 9000)


def test_a_chunk_beyond_the_quota_leaves_nothing(shop: Workshop) -> None:
    limit(shop, 1000)
    upload = shop.opened()
    shop.chunks.put(ALICE, upload.id, 0, Bytes(text(900)), None)

    with pytest.raises(QuotaExceeded):
        shop.chunks.put(ALICE, upload.id, 1, Bytes(text(101)), None)

    assert shop.staged_bytes(upload.id) == text(900)
    assert len(shop.staged_names()) == 1
    assert quota(shop) == (0, 900)
    shop.chunks.put(ALICE, upload.id, 1, Bytes(text(100)), None)
    assert quota(shop) == (0, 1000)


def test_of_eight_who_complete_all_get_one_job(shop: Workshop) -> None:
    upload = filled(shop)

    jobs = at_once([partial(shop.uploads.complete, ALICE, upload.id)] * 8)

    assert len({job.id for job in jobs}) == 1
    assert shop.dispatcher.processed == [jobs[0].id]


def test_a_chunk_that_is_acknowledged_while_the_upload_is_sealed_is_in_it(shop: Workshop) -> None:
    for _ in range(8):
        upload = shop.opened()
        shop.chunks.put(ALICE, upload.id, 0, Bytes(text(900)), None)
        acknowledged: list[int] = []

        def put(number: int, upload: Upload = upload, seen: list[int] = acknowledged) -> None:
            with suppress(NotReceiving):
                shop.chunks.put(ALICE, upload.id, number, Bytes(text(100, number)), None)
                seen.append(number)

        def complete(upload: Upload = upload) -> None:
            with suppress(ChunksMissing):
                shop.uploads.complete(ALICE, upload.id)

        works: list[Callable[[], None]] = [partial(put, number) for number in (1, 2, 3)]
        at_once([*works, complete])

        status = shop.uploads.status(ALICE, upload.id)
        assert [chunk.number for chunk in status.chunks or ()] == [0, *sorted(acknowledged)]
        assert status.upload.received == 900 + 100 * len(acknowledged)
        if status.upload.state is UploadState.SEALED:
            assert status.upload.size == status.upload.received


def test_a_cancellation_leaves_nothing_of_chunks_that_arrive_meanwhile(shop: Workshop) -> None:
    for _ in range(8):
        upload = shop.opened()

        def put(number: int, upload: Upload = upload) -> None:
            with suppress(NotReceiving):
                shop.chunks.put(ALICE, upload.id, number, Bytes(text(100)), None)

        works: list[Callable[[], None]] = [partial(put, number) for number in range(4)]
        works.append(partial(shop.uploads.cancel, ALICE, upload.id))
        at_once(works)

        status = shop.uploads.status(ALICE, upload.id)
        assert (status.upload.state, status.chunks) == (UploadState.CANCELLED, [])
        assert quota(shop) == (0, 0)
        assert shop.staged_names() == []


def test_a_chunk_whose_first_bytes_a_cancel_takes_away_is_refused_as_too_late(
    shop: Workshop,
) -> None:
    upload = shop.opened(chunk_size=100)

    class Late(Bytes):
        def read(self, size: int, /) -> bytes:
            block = super().read(size)
            if not block:  # the same chunk comes first, and goes
                shop.chunks.put(ALICE, upload.id, 0, Bytes(text(100)), None)
                shop.uploads.cancel(ALICE, upload.id)
            return block

    with pytest.raises(NotReceiving):
        shop.chunks.put(ALICE, upload.id, 0, Late(text(100)), None)

    assert (shop.staged_names(), quota(shop)) == ([], (0, 0))


def test_a_chunk_size_of_one_makes_no_file_per_byte(shop: Workshop) -> None:
    upload = shop.opened(chunk_size=1)

    shop.chunks.put(ALICE, upload.id, 0, Bytes(text(2000)), None)

    status = shop.uploads.status(ALICE, upload.id)
    assert [chunk.length for chunk in status.chunks or ()] == [1024, 976]


def test_a_cancellation_and_a_completion_at_once_are_one_of_the_two(shop: Workshop) -> None:
    for _ in range(8):
        upload = filled(shop)
        jobs: list[Job] = []

        def complete(upload: Upload = upload, seen: list[Job] = jobs) -> None:
            with suppress(NotReceiving):
                seen.append(shop.uploads.complete(ALICE, upload.id))

        def cancel(upload: Upload = upload) -> None:
            with suppress(Conflict):
                shop.uploads.cancel(ALICE, upload.id)

        at_once([complete, cancel])

        status = shop.uploads.status(ALICE, upload.id)
        assert status.upload.state is UploadState.CANCELLED
        assert (status.job is not None) is bool(jobs)
        assert status.job is None or status.job.state is JobState.CANCELLED
        assert quota(shop) == (0, 0)


class TestLostCommits:
    """PostgreSQL behind a cable that loses answers: what was committed is found, not repeated."""

    @pytest.fixture
    def cable(self, postgres_rows: str) -> Iterator[Cable]:
        with a_cable(postgres_rows) as made:
            yield made

    @pytest.fixture
    def shop(self, cable: Cable, tmp_path: Path) -> Iterator[Workshop]:
        made = a_workshop(tmp_path, database=cable.url)
        yield made
        made.records.close()

    def test_a_chunk_that_was_committed_is_acknowledged(self, shop: Workshop, cable: Cable) -> None:
        upload = shop.opened(size=900, chunk_size=900)
        cable.loses_the_answer_to(b"COMMIT")

        first = shop.chunks.put(ALICE, upload.id, 0, Bytes(text(900)), None)
        again = shop.chunks.put(ALICE, upload.id, 0, Bytes(text(900)), None)

        assert (cable.lost, first.repeated, again.repeated) == (1, False, True)
        assert shop.staged_bytes(upload.id) == text(900)
        assert len(shop.staged_names()) == 1

    def test_a_stream_goes_on_behind_what_was_committed(self, shop: Workshop, cable: Cable) -> None:
        upload = shop.opened(size=1500)
        cable.loses_the_answer_to(b"COMMIT")

        append(shop, ALICE, upload.id, 0, Bytes(text(1500)))

        assert cable.lost == 1
        assert shop.staged_bytes(upload.id) == text(1500)

    def test_a_chunk_that_may_have_been_committed_keeps_its_bytes_while_nobody_can_look(
        self, shop: Workshop, cable: Cable
    ) -> None:
        upload = shop.opened(size=900, chunk_size=900)
        cable.loses_the_answer_to(b"COMMIT", and_is_cut=True)

        with pytest.raises(OutcomeUnknown):
            shop.chunks.put(ALICE, upload.id, 0, Bytes(text(900)), None)
        cable.mend()

        assert shop.staged_bytes(upload.id) == text(900)
        assert shop.chunks.put(ALICE, upload.id, 0, Bytes(text(900)), None).repeated

    def test_a_chunk_whose_commit_was_never_sent_leaves_nothing(
        self, shop: Workshop, cable: Cable
    ) -> None:
        upload = shop.opened(size=900, chunk_size=900)
        body = Cutting(text(900), cable)
        with pytest.raises(Unavailable):
            shop.chunks.put(ALICE, upload.id, 0, body, None)
        assert shop.staged_names() == []
        cable.mend()

        receipt = shop.chunks.put(ALICE, upload.id, 0, Bytes(text(900)), None)

        assert not receipt.repeated
        assert shop.staged_bytes(upload.id) == text(900)

    @pytest.mark.parametrize("key", ["key", None])
    def test_an_upload_that_was_opened_is_answered(
        self, shop: Workshop, cable: Cable, key: str | None
    ) -> None:
        cable.loses_the_answer_to(b"COMMIT")

        upload = shop.uploads.open(ALICE, NEW, idempotency_key=key)

        assert (cable.lost, upload.state) == (1, UploadState.RECEIVING)
        assert key is None or shop.uploads.open(ALICE, NEW, idempotency_key=key).id == upload.id
        assert quota(shop) == (0, 900)

    def test_an_upload_that_was_completed_answers_its_job(
        self, shop: Workshop, cable: Cable
    ) -> None:
        upload = filled(shop)
        cable.loses_the_answer_to(b"COMMIT")

        job = shop.uploads.complete(ALICE, upload.id)

        assert (cable.lost, job.state) == (1, JobState.QUEUED)
        assert shop.uploads.complete(ALICE, upload.id).id == job.id
        with shop.records.read() as rows:
            assert rows.jobs.queued() == 1

    def test_a_submission_that_was_committed_answers_its_job(
        self, shop: Workshop, cable: Cable
    ) -> None:
        cable.loses_the_answer_to(b"COMMIT")

        job = submit(shop)

        assert (cable.lost, submit(shop).id) == (1, job.id)
        assert shop.staged_bytes(job.upload_id) == text(900)
        assert quota(shop) == (0, 900)


class TestFullDisk:
    @pytest.fixture
    def shop(self, database_url: str, tmp_path: Path) -> Iterator[Workshop]:
        with a_small_disk(tmp_path / "small", "1m") as place:
            made = a_workshop(
                place, database=database_url, rules=replace(RULES, chunk_size=100_000)
            )
            yield made
            made.records.close()

    def test_what_does_not_fit_is_refused_whole_and_fits_once_there_is_room(
        self, shop: Workshop
    ) -> None:
        body = text(700_000)
        first, second = (shop.opened(size=700_000, chunk_size=700_000) for _ in range(2))
        shop.chunks.put(ALICE, first.id, 0, Bytes(body), None)

        with pytest.raises(StorageFull):
            shop.chunks.put(ALICE, second.id, 0, Bytes(body), None)

        assert shop.uploads.status(ALICE, second.id).upload.received == 0
        assert shop.staged_bytes(first.id) == body
        assert len(shop.staged_names()) == 1
        shop.uploads.cancel(ALICE, first.id)
        shop.chunks.put(ALICE, second.id, 0, Bytes(body), None)
        assert shop.staged_bytes(second.id) == body

    def test_a_stream_keeps_what_was_acknowledged_before_the_disk_was_full(
        self, shop: Workshop
    ) -> None:
        body = text(1_500_000)
        upload = shop.opened()

        with pytest.raises(StorageFull):
            append(shop, ALICE, upload.id, 0, Bytes(body, declared=None))

        received = shop.uploads.status(ALICE, upload.id).upload.received
        assert received % 100_000 == 0
        assert 0 < received < 1_048_576
        assert shop.staged_bytes(upload.id) == body[:received]


class Cutting(Bytes):
    """A body whose end comes when the cable is cut."""

    def __init__(self, content: bytes, cable: Cable) -> None:
        super().__init__(content)
        self._cable = cable

    def read(self, size: int, /) -> bytes:
        block = super().read(size)
        if not block:
            self._cable.cut()
        return block


def text(size: int, seed: int = 1) -> bytes:
    return bytes(random.Random(seed).choices(b"abcdefgh \n", k=size))  # noqa: S311  # test bytes


def filled(shop: Workshop) -> Upload:
    upload = shop.opened(size=900, chunk_size=900)
    shop.chunks.put(ALICE, upload.id, 0, Bytes(text(900)), None)
    return upload


def submit(shop: Workshop) -> Job:
    with shop.uploads.begin_submission(ALICE, "notes.txt") as intake:
        intake.take(Bytes(text(900)))
        return shop.uploads.submit(ALICE, NewUpload("notes.txt"), intake, idempotency_key="key")


def limit(shop: Workshop, size: int) -> None:
    with shop.records._engine.begin() as connection:
        connection.execute(sql("DELETE FROM quotas"))
        connection.execute(
            sql("INSERT INTO quotas (tenant, limit_bytes, used, reserved) VALUES (:t, :n, 0, 0)"),
            {"t": "default", "n": size},
        )


def quota(shop: Workshop) -> tuple[int, int]:
    with shop.records._engine.connect() as connection:
        row = connection.execute(sql("SELECT used, reserved FROM quotas")).one()
    return row.used, row.reserved


def test_bytes_that_were_swept_while_their_body_stalled_are_not_acknowledged(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_LONG_SECONDS", 0.0)  # else a body that takes this long
    upload, content = shop.opened(size=3000), b"a" * 3000

    class Stalling(Bytes):
        """The first of its chunks goes while the others come."""

        def read(self, size: int, /) -> bytes:
            if self._stream.tell() == 2000:
                shop.staging.discard(upload.id, sorted(shop.staged_names())[:1])
            return super().read(min(size, 1000))

    digest = Announced("sha256", hashlib.sha256(content).digest())
    with pytest.raises(Unavailable) as refusal:
        StreamService(shop.chunks).append(upload, 0, Stalling(content), digest)
    kept = shop.staged_names()
    receipt = StreamService(shop.chunks).append(upload, 0, Bytes(content), digest)

    assert refusal.value.code == "staging_unavailable"
    assert kept == []
    assert (receipt.offset, receipt.length) == (0, 3000)
    assert shop.staged_bytes(upload.id) == content


def test_a_form_whose_file_was_swept_while_its_fields_stalled_makes_no_job(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_LONG_SECONDS", 0.0)
    with (
        pytest.raises(Unavailable),
        shop.uploads.begin_submission(ALICE, "notes.txt") as arriving,
    ):
        arriving.take(Bytes(b"a" * 3000))
        shop.staging.discard(arriving.upload_id, shop.staged_names()[:1])
        shop.uploads.submit(ALICE, NewUpload("notes.txt"), arriving)

    with shop.records.read() as rows:
        assert rows.uploads.find(arriving.upload_id) is None
    assert shop.staged_names() == []
    assert shop.dispatcher.processed == []
