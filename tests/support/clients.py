"""Clients by others, run as they come: npm packages at the versions of tests/clients."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

_LONGEST_SECONDS: Final = 60
SOURCES: Final = Path(__file__).parent.parent / "clients"


@dataclass(frozen=True)
class Clients:
    """A folder with the scripts and what they need."""

    folder: Path

    @contextmanager
    def running(self, script: str, said: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
        """Run a script with its arguments; it is killed at the end of the block."""
        command = ["node", script, json.dumps(said)]
        process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, text=True)
        watch = threading.Timer(_LONGEST_SECONDS, process.kill)
        watch.start()
        try:
            yield process
        finally:
            watch.cancel()
            process.kill()
            process.communicate()

    def told(self, script: str, said: dict[str, Any]) -> list[dict[str, Any]]:
        """Run a script to its end; return what it told."""
        with self.running(script, said) as process:
            return list(lines(process))


def lines(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """Yield what a script tells, until it ends."""
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


@pytest.fixture(scope="session")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Clients:
    """The clients, installed with npm; what is locked is what is run."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm: apt install npm")
    folder = tmp_path_factory.mktemp("clients")
    shutil.copytree(SOURCES, folder, dirs_exist_ok=True)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=100)
    return Clients(folder)
