"""The web application over a factory: real rows and store, tokens, and no server between."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse

from shared.model.file import File
from tests.support.factory import Factory, a_factory
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
        headers: dict[str, str] | None = None,
        **said: Any,
    ) -> TestResponse:
        claims = {"sub": sub, "exp": int(time.time()) + 60}
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


@contextmanager
def a_front(folder: Path, database_url: str) -> Iterator[Front]:
    with a_factory(folder, database_url) as made:
        factory = made.with_settings(jwt_secret_key=SecretStr(_SECRET), storage_backend="local")
        app = create_app(factory.services.settings, factory.services)
        yield Front(factory, app.test_client())
