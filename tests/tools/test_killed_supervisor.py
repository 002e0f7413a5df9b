"""`kill -9` of the supervisor, in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.waiting import eventually
from tools.data_folder import DataFolder

ROOT = Path(__file__).parents[2]
SUPERVISOR = """
import os, sys
from pathlib import Path
from tests.support.crews import SpokenCrew, a_part
from tools.data_folder import DataFolder
from tools.running import Guard

folder = Path(sys.argv[1])
with DataFolder(folder).claimed() as lock:
    crew = SpokenCrew(folder, Guard(lock, patience_seconds=0.5))
    child = "sh -c 'trap \\"\\" TERM; while :; do sleep 0.1; done' &"
    crew.start([
        (a_part("obedient", "exec sleep 60"),),
        (a_part("stubborn", f"{child} trap '' TERM; while :; do sleep 0.1; done"),),
    ])
    (folder / "started").touch()
    crew.watch()
"""


@pytest.fixture
def supervisor(folder: DataFolder) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", SUPERVISOR, str(folder.path)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        eventually((folder.path / "started").exists)
        yield process
        process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "data")
    folder.prepare()
    return folder


def test_a_killed_supervisor_leaves_nothing_running(supervisor: subprocess.Popen[bytes]) -> None:
    family = psutil.Process(supervisor.pid).children(recursive=True)
    assert len(family) >= 4

    supervisor.kill()
    supervisor.wait()

    eventually(lambda: not alive(family), says="something outlived the supervisor")


def test_the_next_one_waits_for_the_remains(
    supervisor: subprocess.Popen[bytes], folder: DataFolder
) -> None:
    family = psutil.Process(supervisor.pid).children(recursive=True)
    stubborn = [child for child in family if "trap" in command(child)]
    supervisor.kill()
    supervisor.wait()

    with folder.claimed():
        assert not alive(stubborn)


def command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has just ended
        return ""


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
