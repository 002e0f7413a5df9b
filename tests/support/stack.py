"""The whole service as `./run` starts it, on ports of its own and in a folder that goes with it.

Inside `with a_stack(WEBHOOK_ALLOW_PRIVATE="1") as stack:` it answers at `stack.base_url`.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import jwt
import psutil
import pytest
from botocore.config import Config

from tests.support.frost import is_writable
from tests.support.servers import free_block
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROOT: Final = Path(__file__).parents[2]
_SAID: Final = re.compile(r"sluice *\| (\S+) (ready after|died) ")
_READY_SECONDS: Final = 90.0
_STOP_SECONDS: Final = 60.0
# What tells the process of a part from the others.
_MARKS: Final[Mapping[str, str]] = {
    "web": "gunicorn",
    "worker": "worker -Q ingest -n ingest-",
    "worker-2": "worker -Q ingest -n other-",
    "worker-io": "worker -Q webhooks",
    "reconciler": "worker.reconciler",
    "beat": "worker.app beat",
    "flower": "worker.app flower",
    "valkey": "valkey-server",
    "s3": "weed",
}


class Stack:
    """A running copy: where it is, its settings, its processes and what they said."""

    def __init__(self, environment: Mapping[str, str], supervisor: str) -> None:
        self.environment = dict(environment)
        self.data_dir = Path(environment["DATA_DIR"])
        self.log: list[str] = []
        self.starts: Counter[str] = Counter()  # how often the supervisor has found a part ready
        self.up: set[str] = set()  # the parts that it has found ready and not dead since
        self._ready = threading.Event()
        self._supervisor = subprocess.Popen(
            [sys.executable, "-m", supervisor],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def wait_until_ready(self) -> None:
        """Return when the supervisor has said `ready`; fails with its log when it does not."""

        def ready_or_over() -> bool:
            if self._supervisor.poll() is not None:
                pytest.fail("the stack ended:\n" + "\n".join(self.log))
            return self._ready.is_set()

        try:
            eventually(ready_or_over, timeout=_READY_SECONDS)
        except AssertionError:
            pytest.fail("the stack is not ready:\n" + "\n".join(self.log))

    def stop(self) -> int:
        """Stop everything as Ctrl-C does; return the exit code."""
        if self._supervisor.poll() is None:
            self._supervisor.send_signal(signal.SIGINT)
        try:
            code = self._supervisor.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            code = self._supervisor.wait()
        self._reader.join()
        return code

    def end(self) -> None:
        """Stop everything at once, as a second Ctrl-C does: nobody needs it any more."""
        if self._supervisor.poll() is None:
            self._supervisor.terminate()
        self.stop()

    @cached_property
    def env(self) -> Mapping[str, str]:
        """What `./run env` prints."""
        lines = self.command("env").splitlines()
        return dict(line.split("=", 1) for line in lines)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.environment['PORT']}"

    @property
    def staging(self) -> Path:
        return self.data_dir / "staging"

    @cached_property
    def credentials(self) -> Mapping[str, str]:
        """The secrets that were made for this copy."""
        lines = (self.data_dir / "credentials.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    @cached_property
    def s3(self) -> "S3Client":
        """A client of the store, beside the service."""
        said = self.env
        return boto3.client(
            "s3",
            endpoint_url=said["S3_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id=said["S3_ACCESS_KEY_ID"],
            aws_secret_access_key=said["S3_SECRET_ACCESS_KEY"],
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )

    def command(self, *arguments: str) -> str:
        """Return what `./run ARGUMENTS` prints."""
        done = subprocess.run(
            [sys.executable, "-m", "tools.command", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def token(
        self,
        sub: str,
        *,
        tenant: str | None = None,
        scope: str | None = None,
        admin: bool = False,
        ttl: str | None = None,
    ) -> str:
        """Return what `./run token` prints: it takes a second, see `signed`."""
        options = {"--tenant": tenant, "--scope": scope, "--ttl": ttl}
        said = [word for pair in options.items() if pair[1] is not None for word in pair if word]
        return self.command("token", "--sub", sub, *said, *(["--admin"] if admin else []))

    def claims(self, **said: Any) -> dict[str, Any]:
        """Return `said` with the issuer and audience of this copy; without those that are None."""
        known = {"iss": self.env["JWT_ISSUER"] or None, "aud": self.env["JWT_AUDIENCE"] or None}
        return {name: value for name, value in (known | said).items() if value is not None}

    def signed(self, **said: Any) -> str:
        """Return a token of these `claims`, signed with the secret of this copy."""
        return jwt.encode(self.claims(**said), self.env["JWT_SECRET_KEY"], algorithm="HS256")

    def process(self, name: str) -> psutil.Process:
        """Return the process of a part; its children are the workers it has."""
        family = psutil.Process(self._supervisor.pid).children()
        for child in family:
            with suppress(psutil.Error):  # it ended, and is about to be started again
                if _MARKS[name] in re.sub(r"\s+", " ", " ".join(child.cmdline())):
                    return child
        raise AssertionError(f"there is no process {name} now")

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Freeze a part and its children until the block ends, or until `resume`.

        Not in the middle of a transaction: the whole file of SQLite would be locked with it.
        """
        eventually(lambda: self._freeze(name), timeout=30)
        try:
            yield
        finally:
            self.resume(name)

    def resume(self, name: str) -> None:
        os.killpg(self.process(name).pid, signal.SIGCONT)

    def _freeze(self, name: str) -> bool:
        """Freeze a part; False, and it runs again, if the database can't be written to then."""
        part = self.process(name)
        os.killpg(part.pid, signal.SIGSTOP)
        eventually(lambda: part.status() == psutil.STATUS_STOPPED)
        if "DATABASE_URL" in self.environment or is_writable(self.data_dir / "sluice.db"):
            return True
        self.resume(name)
        return False

    def _note(self, part: str, what: str) -> None:
        if what == "died":
            self.up.discard(part)
        else:
            self.up.add(part)
            self.starts[part] += 1

    def _listen(self) -> None:
        if self._supervisor.stdout is None:
            return
        with self._supervisor.stdout as lines:
            for line in lines:
                self.log.append(line.rstrip("\n"))
                if (found := _SAID.match(line)) is not None:
                    self._note(*found.groups())
                if line == "ready\n":
                    self._ready.set()


@contextmanager
def a_stack(supervisor: str = "tools.supervisor", **settings: str) -> Iterator[Stack]:
    """Start everything with these settings, and stop it when the block ends."""
    # Not pytest's folder: SeaweedFS makes sockets there, whose names may not be long.
    with tempfile.TemporaryDirectory(prefix="sluice-", ignore_cleanup_errors=True) as folder:
        stack = Stack(
            {
                "PATH": os.defpath,
                "LC_ALL": "C.UTF-8",
                "HOME": folder,
                "PYTHONPATH": str(ROOT),
                "PORT": str(free_block().web),
                "DATA_DIR": f"{folder}/data",
                "RATE_LIMITS": "off",
                **settings,
            },
            supervisor,
        )
        try:
            stack.wait_until_ready()
            yield stack
        finally:
            stack.end()
