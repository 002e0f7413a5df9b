"""What staging must do: bytes are durable before they are told of, and never touched again."""

import os
import resource
import stat
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.client_s3 import S3Place
from shared.adapters.clock_system import SystemClock
from shared.adapters.objects_s3 import S3Objects
from shared.adapters.staging_disk import DiskStaging
from shared.adapters.staging_s3 import S3Staging
from shared.errors import Damaged, StorageFull, Unavailable
from shared.model.upload import Chunk
from shared.ports import ChunkWriter, StagedChunk, Staging
from tests.support.builders import a_chunk
from tests.support.races import at_once
from tests.support.small_disk import a_small_disk

ONE, TWO = "0193-one-aa", "0193-two-bb"


class StagingContract:
    """Subclass it, provide `staging`, and you are done."""

    def test_what_was_kept_is_read_in_blocks(self, staging: Staging) -> None:
        chunk = kept(staging, b"hello ", b"world")

        assert list(staging.read(chunk, 4)) == [b"hell", b"o wo", b"rld"]

    @pytest.mark.parametrize("most", [0, 1, 7, 11, 100])
    def test_of_a_chunk_the_first_bytes_may_be_read_alone(
        self, staging: Staging, most: int
    ) -> None:
        chunk = kept(staging, b"hello ", b"world")

        assert b"".join(staging.read(chunk, 4, most=most)) == b"hello world"[:most]

    def test_less_than_was_set_aside_is_kept_as_it_came(self, staging: Staging) -> None:
        chunk = kept(staging, b"hello", length=100_000)

        assert content(staging, chunk) == b"hello"
        assert [each.size for each in staging.listing()] == [5]

    def test_more_than_was_set_aside_is_kept_too(self, staging: Staging) -> None:
        chunk = kept(staging, b"a" * 70_000, length=10)

        assert content(staging, chunk) == b"a" * 70_000

    def test_every_attempt_at_one_place_has_a_name_of_its_own(self, staging: Staging) -> None:
        names = {staging.writer(ONE, 3, 7, None).name for _ in range(50)}

        assert len(names) == 50

    def test_attempts_at_one_place_do_not_see_each_other(self, staging: Staging) -> None:
        first, second = staging.writer(ONE, 0, 0, 10), staging.writer(ONE, 0, 0, 10)
        first.write(b"first")
        second.write(b"second")
        first.keep()
        second.keep()

        assert content(staging, named(first, 5)) == b"first"
        assert content(staging, named(second, 6)) == b"second"

    def test_dropped_bytes_are_gone_kept_or_not(self, staging: Staging) -> None:
        open_one, kept_one = staging.writer(ONE, 0, 0, None), staging.writer(ONE, 0, 0, None)
        for writer in (open_one, kept_one):
            writer.write(b"x")
        kept_one.keep()

        for writer in (open_one, kept_one, open_one):
            writer.drop()

        assert list(staging.listing()) == []

    def test_the_listing_knows_upload_name_size_and_age(self, staging: Staging) -> None:
        one, two = kept(staging, b"12345"), kept(staging, b"1", upload_id=TWO)

        found = sorted(staging.listing(), key=lambda each: each.upload_id)

        now = SystemClock().now()
        assert [(each.upload_id, each.name, each.size) for each in found] == [
            (ONE, one.name, 5),
            (TWO, two.name, 1),
        ]
        assert all(abs(now - each.touched_at) < timedelta(minutes=1) for each in found)

    def test_the_sizes_are_those_of_one_upload(self, staging: Staging) -> None:
        one, also = kept(staging, b"12345"), kept(staging, b"")
        kept(staging, b"1", upload_id=TWO)

        assert staging.sizes(ONE) == {one.name: 5, also.name: 0}
        assert staging.sizes("nobody-zz") == {}

    def test_discarding_takes_what_is_named_and_can_be_repeated(self, staging: Staging) -> None:
        gone, stays, other = kept(staging), kept(staging), kept(staging, upload_id=TWO)

        for _ in range(2):
            staging.discard(ONE, [gone.name, "nothing"])
        staging.discard("nobody-zz", ["nothing"])

        assert {each.name for each in staging.listing()} == {stays.name, other.name}

    def test_clearing_takes_an_upload_whole_and_can_be_repeated(self, staging: Staging) -> None:
        kept(staging)
        kept(staging)
        other = kept(staging, upload_id=TWO)

        for _ in range(2):
            staging.clear(ONE)
        staging.clear("nobody-zz")

        assert [each.name for each in staging.listing()] == [other.name]

    def test_an_upload_that_was_cleared_takes_new_chunks(self, staging: Staging) -> None:
        kept(staging)
        staging.clear(ONE)

        assert content(staging, kept(staging, b"again")) == b"again"

    def test_a_chunk_that_is_not_there_is_damage(self, staging: Staging) -> None:
        chunk = kept(staging)
        staging.discard(ONE, [chunk.name])

        with pytest.raises(Damaged) as damage:
            content(staging, chunk)

        assert damage.value.code == "storage_corrupt"

    def test_a_writer_that_was_kept_writes_no_more(self, staging: Staging) -> None:
        writer = staging.writer(ONE, 0, 0, None)
        writer.write(b"kept")
        writer.keep()

        with pytest.raises(Unavailable):
            writer.write(b"more")

        assert content(staging, named(writer, 4)) == b"kept"

    def test_free_bytes_are_a_number(self, staging: Staging) -> None:
        assert staging.free_bytes() > 0

    def test_writers_and_those_who_discard_do_not_meet(self, staging: Staging) -> None:
        def come_and_go(number: int) -> None:
            for _ in range(40):
                writer = staging.writer(ONE, number, 0, 8)
                writer.write(b"x" * 8)
                if number % 2:
                    writer.keep()
                writer.drop()
                staging.discard(ONE, [])

        at_once(partial(come_and_go, number) for number in range(8))

        assert list(staging.listing()) == []

    def test_listing_while_uploads_come_and_go_only_tells_of_what_it_saw(
        self, staging: Staging
    ) -> None:
        def come_and_go(name: str) -> None:
            for number in range(60):
                kept(staging, upload_id=f"{name}{number}-aa")
                staging.clear(f"{name}{number}-aa")

        def listen() -> None:
            for _ in range(60):
                assert all(isinstance(each, StagedChunk) for each in staging.listing())

        works: list[Callable[[], None]] = [partial(come_and_go, name) for name in "ab"]
        works += [listen, listen]
        at_once(works)


class TestStagingOnDisk(StagingContract):
    @pytest.fixture
    def staging(self, tmp_path: Path) -> Staging:
        return DiskStaging(tmp_path / "staging")

    def test_bytes_that_were_never_kept_are_found_by_the_listing(self, staging: Staging) -> None:
        writer = staging.writer(ONE, 0, 0, None)
        writer.write(b"lost")

        assert [(each.upload_id, each.name) for each in staging.listing()] == [(ONE, writer.name)]


class TestStagingInTheBucket(StagingContract):
    @pytest.fixture
    def staging(self, bucket: S3Place) -> Staging:
        return S3Staging(S3Objects(bucket), ".staging/")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "staging"


def test_a_chunk_is_synced_then_its_folders_then_told_of(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = DiskStaging(folder)
    done: list[str] = []
    spy = partial(spied, monkeypatch, done)
    spy("write", lambda target, *_: f"write {name_of(target)}")
    spy("fdatasync", lambda target: f"sync {name_of(target)}")
    spy("fsync", lambda target: f"sync {name_of(target)}")
    spy("close", lambda target: f"close {name_of(target)}")

    writer = staging.writer(ONE, 0, 0, 10)
    begun, done[:] = list(done), []
    writer.write(b"0123456789")
    writer.keep()

    file = f"{ONE}/{writer.name}"
    assert begun == ["sync staging", "close staging"]
    assert done == [
        f"write {file}",
        f"sync {file}",
        f"sync {ONE}",
        f"close {ONE}",
        "sync aa",
        "close aa",
        f"close {file}",
    ]


def test_short_writes_are_gone_on_with(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_write = os.write
    monkeypatch.setattr(os, "write", lambda target, block: real_write(target, block[:7]))

    chunk = kept(DiskStaging(folder), b"0123456789" * 10)

    assert content(DiskStaging(folder), chunk) == b"0123456789" * 10


@pytest.mark.parametrize("call", ["write", "fdatasync", "fsync", "ftruncate"])
def test_a_disk_that_fails_is_unavailable_and_nothing_is_told_of(
    folder: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    staging = DiskStaging(folder)
    kept(staging, b"there")
    writer = staging.writer(ONE, 1, 0, 100)
    monkeypatch.setattr(os, call, failing)

    with pytest.raises(Unavailable):
        write_and_keep(writer, b"x")
    monkeypatch.undo()
    writer.drop()

    assert [each.size for each in staging.listing()] == [5]


def test_bytes_whose_name_was_taken_away_are_not_told_of(folder: Path) -> None:
    staging = DiskStaging(folder)
    lost, replaced = staging.writer(ONE, 0, 0, None), staging.writer(ONE, 1, 0, None)
    staging.discard(ONE, [lost.name, replaced.name])
    (folder / ONE[-2:] / ONE).mkdir()
    (folder / ONE[-2:] / ONE / replaced.name).write_bytes(b"other")

    for writer in (lost, replaced):
        with pytest.raises(Unavailable):
            write_and_keep(writer, b"x")


def test_folders_and_files_are_private(folder: Path) -> None:
    previous = os.umask(0)
    try:
        kept(DiskStaging(folder))
    finally:
        os.umask(previous)

    modes = {stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.rglob("*")]}
    files = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}
    assert modes - files == {0o700}
    assert files == {0o600}


def test_a_link_at_the_chunks_name_is_refused_and_its_target_untouched(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = DiskStaging(folder)
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"foreign")
    monkeypatch.setattr("secrets.token_hex", lambda _: "guessed")
    link = folder / ONE[-2:] / ONE / f"{0:08d}.{0:015d}.guessed"
    link.parent.mkdir(parents=True)

    for make in (link.symlink_to, link.hardlink_to):
        make(foreign)
        with pytest.raises(Unavailable):
            staging.writer(ONE, 0, 0, None)
        link.unlink()

    assert foreign.read_bytes() == b"foreign"


def test_what_is_no_chunk_does_not_disturb_the_listing(folder: Path) -> None:
    staging = DiskStaging(folder)
    chunk = kept(staging)
    (folder / "lock").write_text("")
    (folder / "aa" / "stray").write_text("")

    assert [each.name for each in staging.listing()] == [chunk.name]


def test_below_the_floor_nothing_is_begun(folder: Path) -> None:
    roomy = DiskStaging(folder)
    free = roomy.free_bytes()
    staging = DiskStaging(folder, floor=free - 50 * 1024**2)

    with pytest.raises(StorageFull) as refusal:
        staging.writer(ONE, 0, 0, 100 * 1024**2)
    assert content(staging, kept(staging, length=1)) == b"content"

    assert refusal.value.code == "storage_full"
    with pytest.raises(StorageFull):
        DiskStaging(folder, floor=free * 2).writer(ONE, 0, 0, None)


class TestFullDisk:
    """On a disk of one megabyte."""

    @pytest.fixture
    def small(self, tmp_path: Path) -> Iterator[Path]:
        with a_small_disk(tmp_path / "small", "1m") as place:
            yield place

    def test_no_room_is_found_before_a_byte_is_taken(self, small: Path) -> None:
        staging = DiskStaging(small / "staging")

        with pytest.raises(StorageFull):
            staging.writer(ONE, 0, 0, 2 * 1024**2)

        assert list(staging.listing()) == []

    def test_a_body_of_unknown_length_ends_where_the_disk_does(self, small: Path) -> None:
        staging = DiskStaging(small / "staging")
        there = kept(staging, b"there")
        writer = staging.writer(ONE, 1, 0, None)

        with pytest.raises(StorageFull):
            write_and_keep(writer, b"x" * 2 * 1024**2)
        writer.drop()

        assert content(staging, there) == b"there"
        assert content(staging, kept(staging, b"y" * 500_000)) == b"y" * 500_000

    def test_the_floor_is_kept_by_a_body_of_unknown_length(self, small: Path) -> None:
        staging = DiskStaging(small / "staging", floor=300_000)
        writer = staging.writer(ONE, 0, 0, None)

        with pytest.raises(StorageFull):
            for _ in range(16):
                writer.write(b"x" * 65_536)
        left = staging.free_bytes()
        writer.drop()

        assert left > 300_000 - 65_536  # a block may go below it

    def test_the_floor_is_kept_by_two_that_were_let_in_at_once(
        self, small: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        staging = DiskStaging(small / "staging", floor=300_000)
        free = staging.free_bytes()
        kept(staging, b"first" * 100_000)
        seen = iter([free])
        monkeypatch.setattr(
            staging, "free_bytes", lambda: next(seen, DiskStaging.free_bytes(staging))
        )

        with pytest.raises(StorageFull):
            staging.writer(TWO, 0, 0, 500_000)

        assert DiskStaging.free_bytes(staging) >= 300_000

    def test_no_inode_left_is_no_room(self, tmp_path: Path) -> None:
        with a_small_disk(tmp_path / "few", "1m,nr_inodes=12") as place:
            staging = DiskStaging(place / "staging")

            with pytest.raises(StorageFull):
                for number in range(20):
                    kept(staging, upload_id=f"{number}-aa")

            assert staging.free_bytes() == 0
            assert all(each.size == 7 for each in staging.listing())


def test_a_file_larger_than_the_process_may_write_is_no_room(folder: Path) -> None:
    staging = DiskStaging(folder)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer = staging.writer(ONE, 0, 0, None)

    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(StorageFull):
            writer.write(b"x" * 200_000)
        with pytest.raises(StorageFull):
            staging.writer(ONE, 1, 0, 200_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    writer.drop()

    assert list(staging.listing()) == []


def named(writer: ChunkWriter, length: int, upload_id: str = ONE) -> Chunk:
    return a_chunk(upload_id, name=writer.name, length=length)


def kept(
    staging: Staging, *blocks: bytes, upload_id: str = ONE, length: int | None = None
) -> Chunk:
    writer = staging.writer(upload_id, 0, 0, length)
    blocks = blocks or (b"content",)
    for block in blocks:
        writer.write(block)
    writer.keep()
    return named(writer, sum(map(len, blocks)), upload_id)


def write_and_keep(writer: ChunkWriter, block: bytes) -> None:
    writer.write(block)
    writer.keep()


def content(staging: Staging, chunk: Chunk) -> bytes:
    return b"".join(staging.read(chunk, 1000))


def failing(*_: object) -> None:
    raise OSError(5, "Input/output error")


def name_of(descriptor: int) -> str:
    """Return the last two names of the path behind a descriptor, or its last where it is a folder."""
    path = Path(f"/proc/self/fd/{descriptor}").readlink()
    return path.name if path.is_dir() else f"{path.parent.name}/{path.name}"


def spied(
    monkeypatch: pytest.MonkeyPatch, done: list[str], call: str, says: Callable[..., str]
) -> None:
    real = getattr(os, call)

    def spy(*arguments: Any) -> Any:
        done.append(says(*arguments))
        return real(*arguments)

    monkeypatch.setattr(os, call, spy)


def test_an_empty_folder_in_its_place_is_used_and_none_is_an_outage(folder: Path) -> None:
    staging = DiskStaging(folder)
    kept(staging, b"before")
    folder.rename(folder.with_name("elsewhere"))

    with pytest.raises(Unavailable):
        kept(staging, b"nowhere")
    with pytest.raises(Unavailable):
        staging.free_bytes()
    folder.mkdir()

    assert content(staging, kept(staging, b"after")) == b"after"
