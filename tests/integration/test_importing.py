"""A folder's import on real parts, where files change and parts fail while it runs."""

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from shared.model.caller import Caller
from shared.services.importing import ImportService, Outcome, Plan, What
from shared.services.walking import Found, Passed, walk
from tests.support.factory import Factory, a_factory
from worker.processing import Processing

OWNER = Caller("import")


@dataclass
class Working:
    """A bell whose ring is a job done at once."""

    factory: Factory

    def process(self, job_id: str) -> bool:
        Processing(self.factory.services, "worker", lambda: False).process(job_id)
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.factory.bell, name)


@dataclass
class Odd(Working):
    """One that breaks at its first ring, as nothing should."""

    rings: int = 0

    def process(self, job_id: str) -> bool:
        self.rings += 1
        if self.rings == 1:
            raise ZeroDivisionError
        return super().process(job_id)


@pytest.fixture
def factory(tmp_path: Path, database_url: str) -> Iterator[Factory]:
    with a_factory(tmp_path / "data", database_url) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "old"
    made.mkdir()
    return made


def outcomes(
    factory: Factory, folder: Path, bell: Working | None = None, **said: Any
) -> dict[str, Outcome]:
    services = factory.services
    jobs = replace(services.jobs, dispatcher=bell or Working(factory))
    uploads = replace(services.uploads, jobs=jobs)
    importing = ImportService(factory.records, uploads, jobs, services.files, services.clock)
    plan = Plan(folder, OWNER, **said)
    return {each.name: each for each in importing.run(plan)}


def test_a_file_that_changes_while_it_is_read_is_refused_and_leaves_nothing(
    factory: Factory, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "log.txt"
    path.write_text("a line\n")
    real = os.fstat

    def growing(number: int) -> os.stat_result:
        if Path(f"/proc/self/fd/{number}").readlink() == path:
            path.write_text("a line\nand another\n")
        return real(number)

    monkeypatch.setattr(os, "fstat", growing)
    found = outcomes(factory, folder)
    monkeypatch.undo()

    assert found["log.txt"].what is What.REFUSED
    assert "changed" in found["log.txt"].reason
    assert (factory.staged(), factory.query("SELECT * FROM uploads")) == ([], [])
    assert outcomes(factory, folder)["log.txt"].what is What.IMPORTED


def test_a_name_that_is_somebody_s_is_refused_and_theirs_stays(
    factory: Factory, folder: Path
) -> None:
    (folder / "notes.txt").write_text("first")
    outcomes(factory, folder)
    stranger = replace(OWNER, subject="another")
    services = factory.services
    importing = ImportService(
        factory.records, services.uploads, services.jobs, services.files, services.clock
    )

    (refused,) = importing.run(Plan(folder, stranger))

    assert refused.what is What.REFUSED
    assert factory.content("notes.txt") == b"first"


def test_a_job_that_failed_is_run_again_by_the_next_import(factory: Factory, folder: Path) -> None:
    (folder / "notes.txt").write_text("hello")

    def damage() -> None:
        (path,) = factory.staged()
        kept.append(path.read_bytes())
        path.write_bytes(b"damaged")

    kept: list[bytes] = []
    factory.board.before["inspect"] = damage
    failed = outcomes(factory, folder)
    (path,) = factory.staged()
    path.write_bytes(kept[0])

    again = outcomes(factory, folder)

    assert [said["notes.txt"].what for said in (failed, again)] == [What.REFUSED, What.IMPORTED]
    assert len(factory.query("SELECT * FROM jobs")) == 1
    assert factory.content("notes.txt") == b"hello"


def test_a_file_that_was_removed_for_good_comes_in_again(factory: Factory, folder: Path) -> None:
    (folder / "notes.txt").write_text("hello")
    outcomes(factory, folder)
    (row,) = factory.query("SELECT id FROM files")
    factory.services.files.delete(OWNER, row["id"], hard=True)

    again = outcomes(factory, folder)

    assert again["notes.txt"].what is What.IMPORTED
    assert factory.content("notes.txt") == b"hello"


def test_a_file_that_was_hidden_since_is_not_brought_back(factory: Factory, folder: Path) -> None:
    (folder / "notes.txt").write_text("hello")
    outcomes(factory, folder)
    (row,) = factory.query("SELECT id FROM files")
    factory.services.files.delete(OWNER, row["id"], hard=False)

    assert outcomes(factory, folder)["notes.txt"].what is What.SKIPPED


@pytest.fixture
def odd_times() -> Iterator[Path]:
    """A folder where files may be of any time: most file systems end in 2446."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="sluice-") as made:
        yield Path(made)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "1969-12-31T23:59:59Z"),
        (-86_400 * 365, "1969-01-01T00:00:00Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
        (253_402_300_800, None),
        (-62_135_596_801, None),
        (2**40, None),
    ],
)
def test_a_file_of_any_time_comes_in_and_is_known_again(
    factory: Factory, odd_times: Path, seconds: int, shown: str | None
) -> None:
    for name in ("a.txt", "b.txt"):
        (odd_times / name).write_text("hello")
    os.utime(odd_times / "a.txt", ns=(0, seconds * 10**9))
    if (odd_times / "a.txt").stat().st_mtime_ns != seconds * 10**9:
        pytest.skip("this file system keeps no such time")

    first, again = (outcomes(factory, odd_times) for _ in range(2))

    assert {each.what for each in first.values()} == {What.IMPORTED}
    assert {each.what for each in again.values()} == {What.SKIPPED}
    (row,) = factory.query("SELECT attributes FROM files WHERE filename = 'a.txt'")
    attributes = row["attributes"]
    said = json.loads(attributes) if isinstance(attributes, str) else attributes
    assert (said.get("modified_at"), int(said["modified_ns"])) == (shown, seconds * 10**9)


def test_a_fault_that_nobody_foresaw_is_of_one_file(
    factory: Factory, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text("hello")

    found = outcomes(factory, folder, Odd(factory), parallel=1)

    assert [found[name].what for name in ("a.txt", "b.txt")] == [What.REFUSED, What.IMPORTED]
    assert "import_failed" in [record.message for record in caplog.records]


def test_names_that_are_no_utf_8_come_in_under_what_is_left_of_them(
    factory: Factory, folder: Path
) -> None:
    (folder / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"hello")

    (found,) = outcomes(factory, folder).values()

    assert found.what is What.IMPORTED
    (row,) = factory.query("SELECT filename FROM files")
    assert row["filename"] == "caf.txt"


def test_links_and_devices_are_passed_over_in_a_walk(folder: Path) -> None:
    (folder / "b").mkdir()
    (folder / "b" / "c.txt").write_text("c")
    (folder / "a.txt").write_text("a")
    (folder / "out").symlink_to("/etc", target_is_directory=True)

    found = list(walk(folder))

    assert [each.name for each in found if isinstance(each, Found)] == ["a.txt", "b/c.txt"]
    assert [each.name for each in found if isinstance(each, Passed)] == ["out"]
