"""The web alone, under its real server: rows in SQLite, objects in a folder, nothing behind it."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt
import psutil

from shared.adapters.objects_disk import DiskObjects
from shared.model.file import File
from tests.support import servers
from tests.support.api import Api
from tests.support.factory import a_factory
from tools.part import Part
from tools.probes import http_answers

_SECRET: Final = "for-tests-only-" * 3
_ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class Web:
    base_url: str
    folder: Path
    process: psutil.Process

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.folder / 'sluice.db'}"

    def api(self, sub: str = "alice", **said: str) -> Api:
        claims = {"sub": sub, "exp": int(time.time()) + 600, **said}
        return Api(self.base_url, jwt.encode(claims, _SECRET, algorithm="HS256"), sub=sub)

    def public_file(self, content: bytes) -> str:
        """Publish a file; return the path that anybody may read it at."""
        return f"/public/{self.file(content, is_public=True).id}/notes.txt"

    def file(self, content: bytes, **said: Any) -> File:
        """Publish a file of alice's."""
        staging = self.folder / "staging"  # where the web looks for objects, too
        store = DiskObjects(
            staging / "objects", base_url=self.base_url, secret=_SECRET, folder=staging / "final"
        )
        with a_factory(self.folder, self.database_url, objects=store) as factory:
            job = factory.received(content, **said)
            factory.run(job)
            file = factory.file(job)
        assert file is not None
        return file


def connections(process: psutil.Process) -> int:
    """Return how many clients its workers have."""
    found = [each for worker in process.children() for each in worker.net_connections("tcp")]
    ports = {each.laddr.port for each in found if each.status == psutil.CONN_LISTEN}
    return sum(each.laddr.port in ports and each.status != psutil.CONN_LISTEN for each in found)


def descriptors(process: psutil.Process) -> int:
    return sum(worker.num_fds() for worker in process.children())


def resident(process: psutil.Process) -> int:
    """Return the bytes of memory that its workers have."""
    return sum(int(worker.memory_info().rss) for worker in process.children())


@contextmanager
def a_web(folder: Path, **settings: str) -> Iterator[Web]:
    """Run it with these settings until the block ends."""
    port = servers.free_port()
    base_url = f"http://127.0.0.1:{port}"
    environment = {
        "PORT": str(port),
        "DATA_DIR": str(folder),
        "DATABASE_URL": f"sqlite:///{folder / 'sluice.db'}",
        "STORAGE_BACKEND": "local",
        "JWT_SECRET_KEY": _SECRET,
        "REDIS_URL": f"redis://127.0.0.1:{servers.free_port()}/0",
        **settings,
    }
    command = (sys.executable, "-m", "gunicorn", "-c", "web/gunicorn_conf.py", "web.wsgi:app")
    part = Part("web", command, http_answers(f"{base_url}/healthz"), environment)
    servers.make_tables(environment["DATABASE_URL"])
    with servers.running(part, _ROOT) as process:
        yield Web(base_url, folder, psutil.Process(process.pid))
