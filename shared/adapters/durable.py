"""What outlasts the power: a file or a folder whose bytes are on the disk."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Return once a file or a folder is on durable storage."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
