"""`./run make-bucket`: the pages that may ask us may send to the store."""

from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from cli.store import make_bucket
from shared.adapters.client_s3 import S3Place
from shared.config import settings
from tests.support.servers import settings_of


def test_pages_of_tenants_may_send_to_the_store_too(
    a_bucket: S3Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = {
        **settings_of(a_bucket),
        "JWT_SECRET_KEY": "for-tests-only-" * 3,
        "CORS_ORIGINS": "https://www.example",
        "TENANT_ORIGINS": "acme=https://App.acme.example/",
    }
    settings.cache_clear()

    try:
        done = CliRunner().invoke(make_bucket, env=said)
    finally:
        settings.cache_clear()

    assert (done.exit_code, done.output) == (0, "made\n"), done.exception
    allowed = {
        origin: requests.options(
            f"{a_bucket.endpoint}/{a_bucket.bucket}/x",
            headers={"Origin": origin, "Access-Control-Request-Method": "PUT"},
            timeout=10,
        ).headers.get("Access-Control-Allow-Origin")
        for origin in ("https://www.example", "https://app.acme.example", "https://other.example")
    }
    assert list(allowed.values()) == ["https://www.example", "https://app.acme.example", None]
