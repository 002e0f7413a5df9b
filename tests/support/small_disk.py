"""A disk that is soon full."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def a_small_disk(place: Path, options: str) -> Iterator[Path]:
    """Mount a tmpfs with such a size, or skip the test where that is not allowed."""
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    place.mkdir()
    if mount is None or unmount is None or os.geteuid() != 0:
        pytest.skip("a small disk wants root: run as root to try a full disk")
    made = subprocess.run(
        (mount, "-t", "tmpfs", "-o", f"size={options}", "tmpfs", str(place)),
        capture_output=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {made.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run((unmount, str(place)), check=True)
