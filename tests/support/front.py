"""The web application over a factory: real rows and store, tokens, and no server between."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import jwt
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse

from shared.adapters.clock_system import SystemClock
from shared.model.file import File
from shared.ports import Clock, ObjectStore, Staging
from shared.services.drafting import UploadRules
from tests.support.factory import UPLOADS, Factory, a_factory
from web.app import create_app

_SECRET: Final = "for-tests-only-" * 3


@dataclass(frozen=True)
class Front:
    factory: Factory
    client: FlaskClient

    def ask(
        self,
        method: str,
        path: str,
        *,
        sub: str = "alice",
        tenant: str = "default",
        headers: dict[str, str] | None = None,
        **said: Any,
    ) -> TestResponse:
        claims = {"sub": sub, "tenant": tenant, "exp": int(time.time()) + 60}
        token = jwt.encode(claims, _SECRET, algorithm="HS256")
        named = {"Authorization": f"Bearer {token}", **(headers or {})}
        return self.client.open(path, method=method, headers=named, buffered=True, **said)

    def get(self, path: str, query: dict[str, Any] | None = None, **headers: str) -> TestResponse:
        """Underscores in header names stand for hyphens."""
        named = {name.replace("_", "-"): said for name, said in headers.items()}
        return self.ask("GET", path, headers=named, query_string=query)

    def published(self, content: bytes = b"hello world", **said: Any) -> File:
        job = self.factory.received(content, **said)
        self.factory.run(job)
        file = self.factory.file(job)
        assert file is not None
        return file


class Hasty(SystemClock):
    """A clock that has waited as soon as it is told to; meanwhile something may happen."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], object] = lambda: None
        self._waited = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self._waited

    def wait(self, seconds: float) -> None:
        self._waited += seconds
        self.meanwhile()


@contextmanager
def a_front(
    folder: Path,
    database_url: str,
    *,
    objects: ObjectStore | None = None,
    staging: Staging | None = None,
    clock: Clock | None = None,
    uploads: UploadRules = UPLOADS,
    **settings: Any,
) -> Iterator[Front]:
    """Serve from a factory; whoever waits for a job waits by this clock."""
    with a_factory(folder, database_url, objects=objects, staging=staging, uploads=uploads) as made:
        said = {"jwt_secret_key": SecretStr(_SECRET), "storage_backend": "local", **settings}
        factory = made.with_settings(**said)
        services = factory.services
        if clock is not None:
            jobs = replace(services.jobs, clock=clock)
            services = replace(services, clock=clock, jobs=jobs)
        app = create_app(services.settings, services)
        yield Front(factory, app.test_client())


Fronts = Callable[..., AbstractContextManager[Front]]
