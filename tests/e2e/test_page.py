"""The page that documents the API, in a real browser, with nothing from elsewhere."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import requests

from tests.support.stack import Stack

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
    "--virtual-time-budget=8000",
)  # fmt: skip


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt install chromium")
def test_the_page_shows_every_route(stack: Stack, tmp_path: Path) -> None:
    paths = requests.get(f"{stack.base_url}/openapi.json", timeout=10).json()["paths"]
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path}", "--dump-dom"]

    done = subprocess.run(
        [*command, f"{stack.base_url}/docs/"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    shown = {path.replace("\u200b", "") for path in re.findall(r'data-path="([^"]+)"', done.stdout)}
    assert shown == set(paths)


def test_the_page_is_made_of_our_own_files(stack: Stack) -> None:
    page = requests.get(f"{stack.base_url}/docs/", timeout=10).text
    assets = re.findall(r'(?:src|href)="([^"]+)"', page)

    assert assets
    for asset in assets:
        assert not re.match(r"(?:https?:)?//", asset)
        address = requests.compat.urljoin(f"{stack.base_url}/docs/", asset)
        assert requests.get(address, timeout=10).status_code == 200, asset
