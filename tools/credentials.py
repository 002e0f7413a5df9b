"""The secrets of the embedded parts: generated once, kept mode 600 in the data folder."""

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from tools.refusal import Refused

NAMES: Final = (
    "S3_ACCESS_KEY_ID",
    "S3_SECRET_ACCESS_KEY",
    "JWT_SECRET_KEY",
    "LINK_SECRET_KEY",
    "FLOWER_BASIC_AUTH",
)


def kept(path: Path) -> Mapping[str, str]:
    """Return the credentials in `path`, generating them first where there are none."""
    if not path.exists():
        _write_once(path, _generated())
    path.chmod(0o600)
    pairs = (line.partition("=") for line in path.read_text().splitlines() if line)
    found = {name: value for name, _, value in pairs}
    for name in NAMES:
        if not found.get(name):
            raise Refused(f"{path} lacks {name}: put the file back, or remove it for new secrets")
    return found


def _generated() -> Mapping[str, str]:
    return {
        "S3_ACCESS_KEY_ID": secrets.token_hex(10),
        "S3_SECRET_ACCESS_KEY": secrets.token_hex(20),
        "JWT_SECRET_KEY": secrets.token_hex(32),
        "LINK_SECRET_KEY": secrets.token_hex(32),
        "FLOWER_BASIC_AUTH": f"flower:{secrets.token_hex(12)}",
    }


def _write_once(path: Path, values: Mapping[str, str]) -> None:
    """Create `path` whole or not at all; of two starters the first one's values stay."""
    draft = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(f"{name}={value}\n" for name, value in values.items())
        file.flush()
        os.fsync(descriptor)
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
