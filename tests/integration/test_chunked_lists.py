"""`GET /upload/files` names all files, however many, without remembering them."""

import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from flask.testing import FlaskClient

from shared.adapters.migrate import migrate
from shared.adapters.records_sql import SqlRecords
from shared.config import Settings, read_settings
from tests.support.builders import a_file
from web.app import create_app

SECRET = "s" * 32


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = read_settings(
        _env_file=None, data_dir=tmp_path, storage_backend="local", jwt_secret_key=SECRET
    )
    migrate(made.database)
    return made


@pytest.fixture
def records(settings: Settings) -> Iterator[SqlRecords]:
    made = SqlRecords(settings.database)
    yield made
    made.close()


@pytest.fixture
def client(settings: Settings) -> FlaskClient:
    return create_app(settings).test_client()


@pytest.mark.parametrize("count", [0, 1, 500, 501, 1203])
def test_every_file_is_named_once(
    client: FlaskClient, records: SqlRecords, settings: Settings, count: int
) -> None:
    with records.begin() as rows:
        for number in range(count):
            rows.files.add(a_file(profile="chunked", key=f"alice/{number}/ä.mp3"), None)
        rows.files.add(a_file(profile="default", key="other"), None)
        rows.files.add(a_file(profile="chunked", key="bob/1/a.mp3", owner="bob"), None)
    token = jwt.encode({"sub": "alice", "exp": time.time() + 60}, SECRET, "HS256")

    answer = client.get("/upload/files", headers={"Authorization": f"Bearer {token}"})

    folder = settings.staging.absolute() / "final" / "alice"
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    body = answer.get_json()
    assert body["status"] == "success"
    assert len(body["files"]) == count
    assert set(body["files"]) == {str(folder / f"{number}/ä.mp3") for number in range(count)}
    assert ("Content-Length" in answer.headers) is (count <= 500)  # else it streams
