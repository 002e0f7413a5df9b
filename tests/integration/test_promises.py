"""What was committed is answered, though the database goes away before the answer."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Final, cast

import jwt
import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr

from shared.config import Settings
from shared.errors import Unavailable
from shared.records import Records, Transaction
from tests.support.factory import Factory, a_factory
from tests.support.tus import metadata
from tests.support.workshop import ALICE
from web.app import create_app

SECRET: Final = "for-tests-only-" * 3


@dataclass
class WriteOnly:
    """Records that take what is written, and then do not answer."""

    inner: Records

    def __getattr__(self, verb: str) -> Any:
        return getattr(self.inner, verb)

    def read(self) -> AbstractContextManager[Transaction]:
        raise Unavailable("records", "The database does not answer.")


@pytest.fixture
def factory(tmp_path: Path, sqlite_url: str) -> Iterator[Factory]:
    with a_factory(tmp_path, sqlite_url) as made:
        yield made


@pytest.fixture
def client(factory: Factory) -> FlaskClient:
    blind = cast("Records", WriteOnly(factory.records))
    services = factory.services
    jobs, resuming = services.jobs, services.resuming
    services = replace(
        services, jobs=replace(jobs, records=blind), resuming=replace(resuming, records=blind)
    )
    settings = Settings(
        _env_file=None, jwt_secret_key=SecretStr(SECRET), data_dir=factory.folder, web_threads=4
    )
    return create_app(settings, services).test_client()


def authorized() -> dict[str, str]:
    said = {"sub": ALICE.subject, "tenant": ALICE.tenant, "exp": time.time() + 600}
    return {"Authorization": f"Bearer {jwt.encode(said, SECRET, 'HS256')}"}


def test_a_file_that_was_taken_is_promised(factory: Factory, client: FlaskClient) -> None:
    said = client.post(
        "/api/v1/files/upload",
        headers={**authorized(), "Prefer": "wait=1"},
        data={"file": (BytesIO(b"hello world"), "notes.txt")},
    )

    assert said.status_code == 202
    (job,) = factory.query("SELECT id, state FROM jobs")
    assert said.get_json()["id"] == job["id"]


@pytest.mark.parametrize("body", [None, b"hello world"])
def test_an_upload_that_was_opened_has_its_address(
    factory: Factory, client: FlaskClient, body: bytes | None
) -> None:
    told = {"Upload-Length": "11", "Upload-Metadata": metadata(filename="notes.txt")}
    told |= {} if body is None else {"Content-Type": "application/offset+octet-stream"}

    said = client.post(
        "/tus/", headers={**authorized(), "Tus-Resumable": "1.0.0", **told}, data=body
    )

    assert said.status_code == 201
    (upload,) = factory.query("SELECT id, received FROM uploads")
    assert upload["id"] in said.headers["Location"]
    assert said.headers["Upload-Offset"] == str(upload["received"])
    assert upload["received"] == len(body or b"")
