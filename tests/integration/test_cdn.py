"""The `cdn_url` of files in both dialects, and a start without a usable key."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import servers
from tests.support.api import Api, answered
from tests.support.web import Web, a_web
from tests.unit.adapters.test_cdn_cloudfront import DOMAIN, PEM

ROOT = Path(__file__).parents[2]
SIGNED = {
    "CLOUDFRONT_DOMAIN": DOMAIN,
    "CLOUDFRONT_KEY_PAIR_ID": "K2JCJMDEHXQW5F",
    "CLOUDFRONT_PRIVATE_KEY": PEM.replace("\n", "\\n"),
}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with a_web(tmp_path_factory.mktemp("web"), WEB_WORKERS="1", RATE_LIMITS="off", **SIGNED) as web:
        yield web


def shown(api: Api, path: str) -> dict[str, Any]:
    return answered(api.get(path), 200)


def test_both_dialects_show_a_public_file_at_the_cdn(web: Web, alice: Api) -> None:
    file_id = web.public_file(b"hello").split("/")[2]

    file = shown(alice, f"/api/v1/files/{file_id}")
    listed = shown(alice, "/api/files?limit=100")["files"]

    assert file["cdn_url"] == f"https://{DOMAIN}/{file['s3_key']}"
    assert file["cdn_url"] in {each["cdn_url"] for each in listed}


def test_a_private_file_is_signed_for_and_each_answer_says_the_same(web: Web, alice: Api) -> None:
    file_id = web.file(b"hello", is_public=False).id

    first, second = (shown(alice, f"/api/v1/files/{file_id}") for _ in range(2))

    assert first["cdn_url"].startswith(f"https://{DOMAIN}/{first['s3_key']}?Expires=")
    assert first["cdn_url"] == second["cdn_url"]


def test_nobody_else_is_shown_it(web: Web) -> None:
    file_id = web.file(b"hello", is_public=False).id

    with web.api("bob") as bob:
        assert bob.get(f"/api/v1/files/{file_id}").status_code == 404


def test_a_key_that_is_none_stops_the_start_with_one_line_that_does_not_show_it(
    tmp_path: Path,
) -> None:
    said = {**SIGNED, "CLOUDFRONT_PRIVATE_KEY": "no key at all", "PORT": str(servers.free_port())}

    done = subprocess.run(
        (sys.executable, "-m", "gunicorn", "-c", "web/gunicorn_conf.py", "web.wsgi:app"),
        cwd=ROOT,
        env={
            "PATH": os.defpath, "DATA_DIR": str(tmp_path), "STORAGE_BACKEND": "local",
            "JWT_SECRET_KEY": "for-tests-only-" * 3, "WEB_WORKERS": "1", **said,
        },
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    lines = [line for line in done.stderr.splitlines() if line.startswith("sluice:")]
    assert done.returncode != 0
    assert lines == ["sluice: CLOUDFRONT_PRIVATE_KEY: is no private key in PEM"]
    assert "Traceback" not in done.stderr
    assert "no key at all" not in done.stderr
