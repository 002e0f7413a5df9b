"""What `./run` embeds, and the environment that tells every process so.

Only what is not configured is embedded, whether by the environment or by a line in `.env`; the
environment wins. An empty value counts as not configured.
"""

import os
import shutil
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from dotenv import dotenv_values

from shared.aliases import ALIASES, Disagreement, agreed
from tools import credentials
from tools.data_folder import DataFolder
from tools.ports import Ports
from tools.refusal import Refused

ROOT: Final = Path(__file__).resolve().parent.parent
WEED: Final = Path(sysconfig.get_path("scripts")) / "weed"

S3_NAMES: Final = (
    "S3_ENDPOINT_URL",
    "S3_ACCESS_KEY_ID",
    "S3_ACCESS_KEY",
    "S3_CREDENTIALS_SECRET",
)
# Every AWS tool reads these, so they count as meant for us only where a bucket is named too.
AWS_NAMES: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
BUCKET_NAMES: Final = ("S3_BUCKET_NAME", *ALIASES["S3_BUCKET_NAME"])
JWT_NAMES: Final = (
    "JWT_SECRET_KEY",
    "JWT_PUBLIC_KEY",
    "MAIN_SERVICE_JWT_PUBLIC_KEY",
    "JWT_JWKS_URL",
)
_LEAST_FLOOR: Final = 256 * 1024**2


@dataclass(frozen=True, slots=True)
class Embedded:
    """Which parts run here, where, and the whole environment of the other processes."""

    folder: DataFolder
    ports: Ports
    database: bool
    broker: bool
    objects: bool
    variables: Mapping[str, str]
    withheld: tuple[str, ...]

    def web(self, path: str) -> str:
        """Return the address of `path` at the web process itself, whatever `BASE_URL` says."""
        bind = self.variables.get("BIND", "")
        host = "127.0.0.1" if bind in {"", "0.0.0.0", "::", "[::]"} else bind  # noqa: S104  # compared only
        return f"http://{host}:{self.ports.web}{path}"

    def in_words(self) -> str:
        """Say what is used for what, and no password."""
        if self.objects:
            objects = f"SeaweedFS S3 (embedded, port {self.ports.s3})"
        elif self.variables["STORAGE_BACKEND"] == "local":
            objects = "a local folder" + (
                "" if WEED.exists() else " (no SeaweedFS for this system)"
            )
        else:
            objects = f"S3 at {_host(self.variables.get('S3_ENDPOINT_URL', '//AWS'))} (configured)"
        database = (
            "SQLite (embedded)"
            if self.database
            else f"{_scheme(self.variables['DATABASE_URL'])} (configured)"
        )
        broker = (
            f"Valkey (embedded, port {self.ports.redis})"
            if self.broker
            else f"Redis at {_host(self.variables['REDIS_URL'])} (configured)"
        )
        return f"database {database}; broker {broker}; objects {objects}; data {self.folder.path}"


def load() -> Embedded:
    """Read what is configured, and make the data folder and its credentials where missing."""
    configured = {name: value for name, value in _configured() if value}
    folder = DataFolder((Path.cwd() / configured.get("DATA_DIR", ROOT / "data")).resolve())
    folder.prepare()
    made = embed(configured, credentials.kept(folder.credentials), folder, weed=WEED.exists())
    if not made.objects:
        return made
    floor = _floor(shutil.disk_usage(folder.path).total)
    return replace(made, variables={"STAGING_FLOOR": str(floor), **made.variables})


def embed(
    configured: Mapping[str, str], made: Mapping[str, str], folder: DataFolder, *, weed: bool
) -> Embedded:
    """Fill what `configured` leaves open; `made` are the generated credentials."""
    ports = Ports.chosen(configured)
    database = "DATABASE_URL" not in configured
    broker = "REDIS_URL" not in configured
    s3_elsewhere = _any(configured, S3_NAMES) or (
        "AWS_ACCESS_KEY_ID" in configured and _any(configured, BUCKET_NAMES)
    )
    said = configured.get("STORAGE_BACKEND", "").lower()
    backend = said or ("s3" if s3_elsewhere or weed else "local")
    objects = backend == "s3" and not s3_elsewhere
    if objects and not weed:
        raise Refused("STORAGE_BACKEND=s3 needs S3_ENDPOINT_URL here: no SeaweedFS for this system")

    open_ended = {
        **_for_every_copy(ports, folder),
        "FLOWER_BASIC_AUTH": made["FLOWER_BASIC_AUTH"],
        "LINK_SECRET_KEY": made["LINK_SECRET_KEY"],
    }
    if objects:
        open_ended |= _for_embedded_s3(ports, made)
    if not _any(configured, JWT_NAMES):
        open_ended["JWT_SECRET_KEY"] = made["JWT_SECRET_KEY"]
    # The keys of an S3 that is not used must not reach the processes, which would find two.
    withheld = AWS_NAMES if objects else ()
    try:
        kept = agreed({name: said for name, said in configured.items() if name not in withheld})
    except Disagreement as error:
        raise Refused(str(error)) from None
    variables = {**open_ended, **kept, "STORAGE_BACKEND": backend, "DATA_DIR": str(folder.path)}
    return Embedded(folder, ports, database, broker, objects, variables, withheld)


def _for_every_copy(ports: Ports, folder: DataFolder) -> dict[str, str]:
    return {
        "PORT": str(ports.web),
        "DATABASE_URL": f"sqlite:///{folder.database}",
        "REDIS_URL": f"redis://127.0.0.1:{ports.redis}/0",
        "STAGING_DIR": str(folder.staging),
        "FLOWER_URL": f"http://127.0.0.1:{ports.flower}",
        # Without these glibc keeps three times the memory of the bodies that pass through.
        "MALLOC_MMAP_THRESHOLD_": "67108864",
        "MALLOC_TRIM_THRESHOLD_": "268435456",
        "PYTHONUNBUFFERED": "1",
        "LOG_FORMAT": "text",  # somebody reads along
    }


def _for_embedded_s3(ports: Ports, made: Mapping[str, str]) -> dict[str, str]:
    return {
        "S3_ENDPOINT_URL": f"http://127.0.0.1:{ports.s3}",
        "S3_BUCKET_NAME": "uploads",
        "S3_REGION": "us-east-1",
        "S3_ACCESS_KEY_ID": made["S3_ACCESS_KEY_ID"],
        "S3_SECRET_ACCESS_KEY": made["S3_SECRET_ACCESS_KEY"],
    }


def _configured() -> Iterator[tuple[str, str | None]]:
    yield from dotenv_values(ROOT / ".env").items()
    yield from ((name, value) for name, value in os.environ.items() if value)


def _floor(disk_bytes: int) -> int:
    """Let staging end before SeaweedFS does, which stores nothing where less than 1 % is free."""
    return max(_LEAST_FLOOR, disk_bytes // 50)


def _any(configured: Mapping[str, str], names: tuple[str, ...]) -> bool:
    return any(name in configured for name in names)


def _host(url: str) -> str:
    parts = urlsplit(url)
    return parts.hostname or parts.path


def _scheme(url: str) -> str:
    return urlsplit(url).scheme.partition("+")[0]
