"""Clients of the predecessors: what their documents show, sent to the running copy as it is."""

import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from tests.support.api import Api
from tests.support.stack import Stack

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
