"""Clients of the predecessors: what their documents show, sent to the running copy as it is."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from shared.adapters.client_s3 import S3Place
from tests.support.api import Api
from tests.support.front import Fronts, a_front
from tests.support.stack import Stack
from tests.support.weather import Weather, weather_before

Clients = Callable[..., Api]


@pytest.fixture
def clients(stack: Stack) -> Iterator[Clients]:
    """Make clients, each with a token of its own: of a user and, unless said, of a new tenant."""
    made: list[Api] = []
    own = f"t-{uuid4().hex[:12]}"

    def new(sub: str | int = "alice", *, tenant: str | int = own, **claims: object) -> Api:
        token = stack.signed(sub=sub, tenant=tenant, exp=int(time.time()) + 3600, **claims)
        made.append(Api(stack.base_url, token, sub=str(sub), tenant=str(tenant)))
        return made[-1]

    yield new
    for each in made:
        each.close()


@pytest.fixture
def sky(a_bucket: S3Place) -> Iterator[Weather]:
    with weather_before(a_bucket) as proxy:
        yield proxy


@pytest.fixture
def fronts(tmp_path: Path, sqlite_url: str) -> Fronts:
    return partial(a_front, tmp_path, sqlite_url)
