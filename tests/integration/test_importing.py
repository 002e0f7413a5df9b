"""A folder's import on real parts, where files change and parts fail while it runs."""

import os
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


@pytest.fixture
def factory(tmp_path: Path, database_url: str) -> Iterator[Factory]:
    with a_factory(tmp_path / "data", database_url) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "old"
    made.mkdir()
    return made


def outcomes(factory: Factory, folder: Path, **said: Any) -> dict[str, Outcome]:
    services = factory.services
    jobs = replace(services.jobs, dispatcher=Working(factory))
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
