"""The embedded S3: SeaweedFS on loopback, one identity, no anonymous access, no telemetry.

For one developer's machine: its filer and volume ports ask for no credentials, so any local user
can read through them.
"""

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Final

from tools.embedded import WEED, Embedded
from tools.part import Part
from tools.ports import GRPC_OFFSET
from tools.probes import s3_stores
from tools.refusal import Refused

LONGEST_SOCKET_PATH: Final = 100  # the kernel takes 107 bytes, macOS 103
ERRORS: Final = re.compile(r"^[EF]\d{4} ")


def part(embedded: Embedded) -> Part:
    """Describe the server; its identity file is written here, mode 600."""
    folder, ports = embedded.folder.s3, embedded.ports
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    refuse_foreign_sockets(ports.s3)
    identities = folder / "s3.json"
    _write_identities(identities, embedded)
    return Part(
        "s3",
        (
            *(str(WEED), "-logtostderr=true", "-v=-1", "mini", f"-dir={folder}"),
            *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"),
            *("-webdav=false", "-admin.ui=false", "-s3.iam=false"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0"),
            *(f"-s3.port={ports.s3}", f"-master.port={ports.s3 + 1}"),
            *(f"-volume.port={ports.s3 + 2}", f"-filer.port={ports.s3 + 3}"),
            *(f"-admin.port={ports.s3 + 4}", f"-s3.config={identities}"),
            *(f"-bucket={embedded.variables['S3_BUCKET_NAME']}", "-s3.autoCreateBucket=false"),
            *("-filer.disableDirListing", "-filer.exposeDirectoryData=false"),
            *_sockets(folder),
        ),
        ready=s3_stores(embedded.variables),
        # Without it, large objects take a gigabyte; half of it, and all it does is collect garbage.
        environment={"GOMEMLIMIT": "512MiB"},
        # It writes its flags there and reads them back: one that was dropped would stay in force.
        discards=folder / "mini.options",
        shows=ERRORS,
    )


def synced_writes(embedded: Embedded) -> Part:
    """Make every object synced to the disk before it is acknowledged; repeating it is harmless."""
    master, filer = embedded.ports.s3 + 1, embedded.ports.s3 + 3
    return Part(
        "s3-sync",
        (
            *(str(WEED), "-logtostderr=true", "-v=-1", "shell"),
            *(f"-master=127.0.0.1:{master}", f"-filer=127.0.0.1:{filer}"),
        ),
        feed=b"fs.configure -locationPrefix=/buckets/ -fsync=true -apply\n",
        shows=ERRORS,
        once=True,
        optional=True,
    )


def refuse_foreign_sockets(port: int, folder: Path = Path("/tmp")) -> None:  # noqa: S108  # fixed in SeaweedFS
    """Raise `Refused` for a socket that another user's killed copy left: weed hangs on it."""
    if os.geteuid() == 0:
        return
    for number in range(port + GRPC_OFFSET, port + GRPC_OFFSET + 5):
        for socket in folder.glob(f"seaweedfs-*-grpc-{number}.sock"):
            if socket.lstat().st_uid != os.geteuid():
                raise Refused(f"{socket} belongs to another user: remove it or change PORT")


def _sockets(folder: Path) -> tuple[str, ...]:
    s3, filer = folder / "s3.sock", folder / "filer.sock"
    if len(str(filer).encode()) > LONGEST_SOCKET_PATH:
        return ()
    return (f"-s3.localSocket={s3}", f"-filer.localSocket={filer}")


def _write_identities(path: Path, embedded: Embedded) -> None:
    keys = {
        "accessKey": embedded.variables["S3_ACCESS_KEY_ID"],
        "secretKey": embedded.variables["S3_SECRET_ACCESS_KEY"],
    }
    actions = ["Admin", "Read", "List", "Tagging", "Write"]
    identity = {"name": "sluice", "credentials": [keys], "actions": actions}
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 600
    with os.fdopen(descriptor, "w") as file:
        json.dump({"identities": [identity]}, file)
    Path(draft).replace(path)
