"""Who asks a web that a module has started; and the environment of whole services in a folder."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import pytest

from shared.adapters.client_s3 import S3Place
from shared.config import settings
from tests.e2e.wire import Wire, a_wire
from tests.support import servers
from tests.support.api import Api
from tests.support.factory import Factory, a_factory
from tests.support.weather import Weather, impatient, weather_before
from tests.support.web import Web

SECRET: Final = "a secret that is long enough for HS256"

Dial = Callable[[], AbstractContextManager[Wire]]


@pytest.fixture
def environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> Iterator[dict[str, str]]:
    """Settings of a service with SQLite and a folder, and with a Redis that is not there."""
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    yield {
        "DATABASE_URL": sqlite_url,
        "DATA_DIR": str(tmp_path),
        "STORAGE_BACKEND": "local",
        "JWT_SECRET_KEY": SECRET,
        "REDIS_URL": f"redis://127.0.0.1:{servers.free_port()}/0",
    }
    settings.cache_clear()


@pytest.fixture
def alice(web: Web) -> Iterator[Api]:
    with web.api() as alice:
        yield alice


@pytest.fixture
def dial(web: Web) -> Dial:
    return lambda: a_wire(web.base_url)


@pytest.fixture
def sky(a_bucket: S3Place) -> Iterator[Weather]:
    """The weather between a store and who uses it."""
    with weather_before(a_bucket) as proxy:
        yield proxy


@pytest.fixture
def far(sky: Weather, tmp_path: Path, sqlite_url: str) -> Iterator[Factory]:
    """A factory whose store is behind the weather."""
    with a_factory(tmp_path, sqlite_url, objects=impatient(sky.place, seconds=5)) as made:
        yield made
        sky.clears()
        made.objects.delete(sorted(made.keys()))
