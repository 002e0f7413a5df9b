"""One running copy for all tests of its surfaces, and callers of their own for each."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final
from uuid import uuid4

import pytest
import requests

from tests.e2e.books import Books
from tests.e2e.manners import Manners
from tests.e2e.wire import Answer, Wire, a_wire
from tests.support.api import Api
from tests.support.stack import Stack, a_stack

MIB: Final = 1024**2
MOST: Final = 24 * MIB  # of any file, in this copy
_STACK: Final = pytest.StashKey[Stack]()

Callers = Callable[..., Api]
Dial = Callable[[], AbstractContextManager[Wire]]
Discreet = Callable[[Answer], Answer]


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """Everything that `./run` starts, with limits that a test can reach."""
    with a_stack(
        WEBHOOK_ALLOW_PRIVATE="1",
        ADOPT_SECONDS="1",
        JWT_ISSUER="https://issuer.example",
        JWT_AUDIENCE="sluice",
        S3_COPY_PART_SIZE=str(5 * MIB),
        MAX_SIZE_IMAGE=str(MOST),
        MAX_SIZE_AUDIO=str(MOST),
        MAX_SIZE_VIDEO=str(MOST),
        MAX_SIZE_DOCUMENT=str(MOST),
    ) as running:
        request.config.stash[_STACK] = running
        yield running
        assert [line for line in running.log if "request_failed" in line] == []
        assert Books(running).strays() == []


@pytest.fixture(scope="session")
def document(stack: Stack) -> dict[str, Any]:
    """The OpenAPI document."""
    found: dict[str, Any] = requests.get(f"{stack.base_url}/openapi.json", timeout=10).json()
    return found


@pytest.fixture(scope="session")
def manners(stack: Stack, document: dict[str, Any]) -> Manners:
    secret_names = ("S3_SECRET_ACCESS_KEY", "JWT_SECRET_KEY", "LINK_SECRET_KEY")
    secrets = {stack.credentials[name] for name in secret_names}
    return Manners(document, frozenset({*secrets, str(stack.data_dir)}))


@pytest.fixture
def books(stack: Stack) -> Books:
    return Books(stack)


@pytest.fixture
def tenant() -> str:
    """A tenant that nobody else has."""
    return f"t-{uuid4().hex[:12]}"


@pytest.fixture
def callers(stack: Stack, manners: Manners, tenant: str) -> Iterator[Callers]:
    """Make callers: of the test's own tenant unless said."""
    made: list[Api] = []

    def new(sub: str, *, tenant: str = tenant, **claims: Any) -> Api:
        made.append(a_caller(stack, manners, sub, tenant=tenant, **claims))
        return made[-1]

    yield new
    for api in made:
        api.close()


@pytest.fixture
def alice(callers: Callers) -> Api:
    return callers("alice")


@pytest.fixture
def bob(callers: Callers) -> Api:
    """Another user of alice's tenant."""
    return callers("bob")


@pytest.fixture
def admin(callers: Callers) -> Api:
    """The admin of alice's tenant."""
    return callers("root", scope="admin")


@pytest.fixture
def stranger(callers: Callers) -> Api:
    """A user of another tenant who has alice's very name."""
    return callers("alice", tenant=f"t-{uuid4().hex[:12]}")


@pytest.fixture
def foreign_admin(callers: Callers) -> Api:
    return callers("root", tenant=f"t-{uuid4().hex[:12]}", scope="admin")


@pytest.fixture
def anybody(callers: Callers) -> Api:
    """A caller without a token."""
    return callers("")


@pytest.fixture
def dial(stack: Stack) -> Dial:
    """Open a connection to write on by hand."""
    return lambda: a_wire(stack.base_url)


@pytest.fixture
def discreet(manners: Manners) -> Discreet:
    """Hold an answer taken by hand against what every answer has to keep to."""

    def checked(answer: Answer) -> Answer:
        manners.check_text(answer.status, answer.body.decode("utf-8", "replace"), "by hand")
        return answer

    return checked


def a_caller(stack: Stack, manners: Manners, sub: str, *, tenant: str, **claims: Any) -> Api:
    """Return a client with a token of these claims, or without any for nobody."""
    token = stack.signed(sub=sub, tenant=tenant, **{"exp": soon(), **claims}) if sub else None
    return Api(stack.base_url, token, sub=sub, tenant=tenant, checks=[manners.check])


def soon(seconds: float = 3600) -> int:
    """Return a time from now, as tokens say it."""
    return int(time.time() + seconds)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the processes said last."""
    report = yield
    if report.failed and (running := item.config.stash.get(_STACK, None)):
        report.sections.append(("log of the stack", "\n".join(running.log[-60:])))
    return report
