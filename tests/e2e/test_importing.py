"""`./run import-local`: a folder comes in through the same checks and jobs, and a run goes on."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from tests.support.api import Api
from tests.support.pictures import a_png
from tests.support.quick import a_quick_stack
from tests.support.stack import ROOT, Stack
from tests.support.waiting import eventually

FEW, MANY = 6, 60
_SECONDS: Final = 120


@pytest.fixture(scope="module")
def copy() -> Iterator[Stack]:
    """A copy of its own: what a killed run leaves in staging is for its sweeps."""
    with a_quick_stack() as running:
        yield running


@pytest.fixture
def tenant() -> str:
    return f"t-{uuid4().hex[:12]}"


@pytest.fixture
def owner(copy: Stack, tenant: str) -> Iterator[Api]:
    token = copy.signed(sub="import", tenant=tenant, exp=2**33)
    api = Api(copy.base_url, token, sub="import", tenant=tenant)
    yield api
    api.close()


def begun(copy: Stack, folder: Path, tenant: str, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tools.command", "import-local", str(folder)]
    return subprocess.Popen(
        [*command, "--tenant", tenant, *more],
        cwd=ROOT,
        env=copy.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def imported(copy: Stack, folder: Path, tenant: str, *more: str) -> tuple[int, list[str]]:
    """Run the command to its end; return its code and what it printed."""
    with begun(copy, folder, tenant, *more) as running:
        said, errors = running.communicate(timeout=_SECONDS)
    assert "Traceback" not in errors, errors
    return running.returncode, said.splitlines()


def written(folder: Path, numbers: range) -> None:
    for number in numbers:
        (folder / f"{number:02}.txt").write_text(f"file {number}\n" * 500)


def files(owner: Api) -> dict[str, dict[str, Any]]:
    items = owner.get("/api/v1/files", params={"limit": 100}).json()["items"]
    return {f"{each['folder'] or ''}/{each['filename']}": each for each in items}


def test_paths_become_folders_and_keys_and_bytes_stay_what_they_are(
    copy: Stack, owner: Api, tenant: str, tmp_path: Path
) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/photo.png").write_bytes(a_png(200, 100))
    (tmp_path / "notes.txt").write_text("hello")
    os.utime(tmp_path / "notes.txt", (10**9, 10**9))

    code, said = imported(copy, tmp_path, tenant, "--prefix", "old")

    assert (code, said) == (0, ["2 imported, 0 skipped, 0 refused, 0 ignored"])
    there = files(owner)
    assert set(there) == {"old/notes.txt", "old/a/b/photo.png"}
    photo, notes = there["old/a/b/photo.png"], there["old/notes.txt"]
    assert (photo["s3_key"], len(photo["thumbnails"])) == (f"{tenant}/old/a/b/photo.png", 3)
    assert notes["metadata"]["modified_at"] == "2001-09-09T01:46:40Z"
    content = owner.get(f"/api/v1/files/{photo['id']}/download").content
    assert content == (tmp_path / "a/b/photo.png").read_bytes()


def test_what_is_not_welcome_is_named_and_the_others_come(
    copy: Stack, owner: Api, tenant: str, tmp_path: Path
) -> None:
    (tmp_path / "good.txt").write_text("good")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "virus.exe").write_bytes(b"MZ\x90\x00" + bytes(100))
    (tmp_path / "link.txt").symlink_to(tmp_path / "good.txt")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(tmp_path / "pipe")

    code, said = imported(copy, tmp_path, tenant)

    assert code == 1
    assert said[-1] == "1 imported, 0 skipped, 2 refused, 3 ignored"
    told = {line.split(": ")[1]: line for line in said[:-1]}
    assert set(told) == {"empty.txt", "virus.exe", "link.txt", "loop", "pipe"}
    assert told["empty.txt"] == "refused: empty.txt: The file is empty."
    assert told["link.txt"] == "ignored: link.txt: a link, not followed"
    assert set(files(owner)) == {"/good.txt"}


def test_a_dry_run_says_the_same_and_changes_nothing(
    copy: Stack, owner: Api, tenant: str, tmp_path: Path
) -> None:
    (tmp_path / "good.txt").write_text("good")
    (tmp_path / "virus.exe").write_bytes(b"MZ\x90\x00" + bytes(100))

    code, said = imported(copy, tmp_path, tenant, "--dry-run")

    assert (code, said[-1]) == (1, "1 imported, 0 skipped, 1 refused, 0 ignored")
    assert files(owner) == {}


def test_a_second_run_brings_what_is_new_and_what_has_changed(
    copy: Stack, owner: Api, tenant: str, tmp_path: Path
) -> None:
    for name in ("same.txt", "touched.txt", "changed.txt"):
        (tmp_path / name).write_text(name)
    imported(copy, tmp_path, tenant)
    before = files(owner)
    os.utime(tmp_path / "touched.txt", (10**9, 10**9))
    (tmp_path / "changed.txt").write_text("another text")
    (tmp_path / "new.txt").write_text("new")

    code, said = imported(copy, tmp_path, tenant)

    assert (code, said) == (0, ["2 imported, 2 skipped, 0 refused, 0 ignored"])
    after = files(owner)
    assert set(after) == {"/same.txt", "/touched.txt", "/changed.txt", "/new.txt"}
    kept = [name for name in before if before[name]["id"] == after[name]["id"]]
    assert sorted(kept) == ["/same.txt", "/touched.txt"]
    assert owner.get(f"/api/v1/files/{after['/changed.txt']['id']}/download").text == "another text"


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_a_run_that_was_stopped_is_gone_on_with(
    copy: Stack, owner: Api, tenant: str, tmp_path: Path, death: signal.Signals
) -> None:
    written(tmp_path, range(FEW))
    assert imported(copy, tmp_path, tenant)[0] == 0
    written(tmp_path, range(FEW, MANY))
    before = set(copy.staging.glob("*/*/*"))
    with copy.paused("worker"):  # so that nothing of this ends before the signal is there
        running = begun(copy, tmp_path, tenant, "--parallel", "4")
        try:
            eventually(lambda: len(set(copy.staging.glob("*/*/*")) - before) == 4, timeout=60)
            running.send_signal(death)
            _, errors = running.communicate(timeout=_SECONDS)
        finally:
            running.kill()
    assert running.returncode == (-9 if death is signal.SIGKILL else 130)
    assert "Traceback" not in errors

    code, said = imported(copy, tmp_path, tenant)

    assert code == 0, said
    there = owner.get("/api/v1/files", params={"limit": 100, "offset": 0}).json()
    assert there["total"] == MANY
    assert {each["filename"] for each in there["items"]} == {f"{n:02}.txt" for n in range(MANY)}
    skipped = int(said[-1].split(", ")[1].split()[0])
    assert skipped >= FEW
