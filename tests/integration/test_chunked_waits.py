"""`/upload/complete` while nobody works: in time or not, the job goes on and the answer says so."""

import time
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr

from shared.adapters.clock_system import SystemClock
from shared.config import Settings
from tests.support.factory import Factory, a_factory
from tests.support.samples import mp3
from web.app import create_app

SECRET = "s" * 32


class Hours(SystemClock):
    """A clock on which every look is an hour later."""

    hours = 0

    def monotonic(self) -> float:
        self.hours += 1
        return super().monotonic() + 3600 * self.hours


@pytest.fixture
def factory(tmp_path: Path, database_url: str) -> Iterator[Factory]:
    with a_factory(tmp_path, database_url) as made:
        services, hours = made.services, Hours()
        jobs = replace(services.jobs, clock=hours)
        yield replace(made, services=replace(services, clock=hours, jobs=jobs))


@pytest.fixture
def client(factory: Factory, tmp_path: Path) -> FlaskClient:
    settings = Settings(_env_file=None, jwt_secret_key=SecretStr(SECRET), data_dir=tmp_path)
    made = create_app(settings, factory.services).test_client()
    token = jwt.encode({"sub": "alice", "exp": time.time() + 600}, SECRET, "HS256")
    made.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return made


def asked(client: FlaskClient, method: str, path: str, **said: Any) -> tuple[int, dict[str, Any]]:
    answer = client.open(f"/upload/{path}", method=method, **said)
    return answer.status_code, answer.get_json()


def opened(client: FlaskClient) -> str:
    new = {"main_service_file_id": 1, "original_file_name": "a.mp3"}
    status, body = asked(client, "POST", "init", json=new)
    assert status == 200
    name: str = body["data"]["upload_session_id"]
    form = {"upload_session_id": name, "chunk_index": "0", "chunk": (BytesIO(mp3()), "blob")}
    assert asked(client, "POST", "chunk", data=form)[0] == 200
    return name


def completed(client: FlaskClient, name: str) -> tuple[int, dict[str, Any]]:
    said = {"upload_session_id": name, "total_chunks": 1, "main_service_file_id": 1}
    return asked(client, "POST", "complete", json=said)


def test_a_job_that_is_not_done_in_time_is_a_504_and_goes_on(
    client: FlaskClient, factory: Factory
) -> None:
    name = opened(client)

    status, body = completed(client, name)

    assert (status, body["status"], body["code"]) == (504, "error", "not_in_time")
    with factory.records.read() as rows:
        job = rows.jobs.of_upload(name)
    assert job is not None
    assert body["job_id"] == job.id
    factory.run(job)
    status, body = completed(client, name)
    assert (status, body["data"]["notified"]) == (200, False)


def test_a_sealed_session_is_cancelled_and_its_name_free(
    client: FlaskClient, factory: Factory
) -> None:
    name = opened(client)
    completed(client, name)

    new = {"main_service_file_id": 1, "original_file_name": "a.mp3"}
    assert asked(client, "POST", "init", json=new)[0] == 409
    assert asked(client, "DELETE", "file", json={"upload_session_id": name})[0] == 200

    assert factory.staged() == []
    status, body = completed(client, name)
    assert (status, body["code"]) == (409, "conflict")
    assert opened(client) != name
