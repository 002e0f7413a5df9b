"""The webhook routes over the whole web application, with tokens."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.adapters.clock_system import SystemClock
from shared.adapters.records_sql import engine
from shared.adapters.tables import metadata
from shared.config import read_settings
from web.app import create_app

SECRET = "for-tests-only-" * 3
URL = "https://93.184.215.14/hook"
Ask = Callable[..., TestResponse]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    settings = read_settings(
        _env_file=None,
        data_dir=tmp_path,
        database_url=f"sqlite:///{tmp_path / 'sluice.db'}",
        storage_backend="local",
        jwt_secret_key=SECRET,
        base_url="https://sluice.example",
    )
    made = engine(settings.database)
    metadata.create_all(made)
    made.dispose()
    app = create_app(settings)
    yield app.test_client()
    app.extensions["sluice"].records.close()


@pytest.fixture
def ask(client: FlaskClient) -> Ask:
    def asked(
        method: str, path: str = "", *, sub: str = "alice", json: Any = None, **claims: str
    ) -> TestResponse:
        said = {"sub": sub, "exp": SystemClock().now() + timedelta(hours=1), **claims}
        token = jwt.encode(said, SECRET, algorithm="HS256")
        headers = {"Authorization": f"Bearer {token}"}
        return client.open(f"/api/v1/webhooks{path}", method=method, headers=headers, json=json)

    return asked


def make(ask: Ask, **claims: str) -> dict[str, Any]:
    answer = ask("POST", json={"url": URL, "events": ["file.ready"]}, **claims)
    assert answer.status_code == 201
    return dict(answer.get_json())


def test_only_the_answer_to_the_creation_has_the_secret(ask: Ask) -> None:
    new = {"url": URL, "events": ["file.ready", "file.failed"], "description": "ours"}

    answer = ask("POST", json=new)

    made = answer.get_json()
    shown = ask("GET", f"/{made['id']}").get_json()
    listed = ask("GET").get_json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"https://sluice.example/api/v1/webhooks/{made['id']}"
    assert answer.headers["Cache-Control"] == "no-store"
    assert made.pop("secret").startswith("whsec_")
    assert shown == made
    assert listed == {"items": [made], "next_cursor": None}
    assert made["created_at"].endswith("Z")
    assert {name: made[name] for name in new} == new
    assert (made["enabled"], made["disabled_reason"], made["owner"]) == (True, None, "alice")


@pytest.mark.parametrize(
    ("new", "pointer"),
    [
        ({"url": "http://127.0.0.1/", "events": ["file.ready"]}, "/url"),
        ({"url": "http://2130706433/", "events": ["file.ready"]}, "/url"),
        ({"url": "http://①②⑦.⓪.⓪.①/", "events": ["file.ready"]}, "/url"),
        ({"url": "ftp://93.184.215.14/", "events": ["file.ready"]}, "/url"),
        ({"url": URL, "events": ["file.eaten"]}, "/events/0"),
        ({"url": URL, "events": []}, "/events"),
        ({"url": URL, "events": "file.ready"}, "/events"),
        ({"url": URL}, "/events"),
        ({"url": URL, "events": ["file.ready"], "secret": "mine"}, "/secret"),
        ({"url": URL, "events": ["file.ready"], "enabled": "yes"}, "/enabled"),
        ({"url": URL, "events": ["file.ready"], "description": "\x00"}, "/description"),
    ],
)
def test_what_is_wrong_is_422_with_a_pointer(ask: Ask, new: dict[str, Any], pointer: str) -> None:
    answer = ask("POST", json=new)

    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    assert [error["pointer"] for error in answer.get_json()["errors"]] == [pointer]


def test_somebody_elses_webhook_is_404(ask: Ask) -> None:
    webhook_id = make(ask)["id"]

    for method in ("GET", "DELETE"):
        answer = ask(method, f"/{webhook_id}", sub="bob")
        assert (answer.status_code, answer.get_json()["type"]) == (404, "webhook_not_found")
    assert ask("GET", sub="bob").get_json()["items"] == []
    assert ask("GET", f"/{webhook_id}").status_code == 200


def test_a_removed_webhook_is_gone(ask: Ask) -> None:
    webhook_id = make(ask)["id"]

    assert ask("DELETE", f"/{webhook_id}").status_code == 204
    assert ask("DELETE", f"/{webhook_id}").status_code == 404
    assert ask("GET").get_json()["items"] == []


def test_the_scope_decides_who_may_and_what_is_heard(ask: Ask) -> None:
    refused = ask("POST", json={"url": URL, "events": ["file.ready"]}, scope="files:read")

    assert refused.status_code == 403
    assert make(ask, scope="webhooks")["owner"] == "alice"
    assert make(ask, scope="admin")["owner"] is None


def test_the_list_goes_on_with_its_cursor(ask: Ask) -> None:
    made = [make(ask)["id"] for _ in range(5)]
    seen: list[str] = []
    cursor = None

    while len(seen) < 9:
        query = "?limit=2" + (f"&cursor={cursor}" if cursor else "")
        page = ask("GET", query).get_json()
        seen += [each["id"] for each in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == made[::-1]
    assert ask("GET", "?cursor=nonsense").status_code == 400
    assert ask("GET", "?limit=101").status_code == 422


def test_the_21st_webhook_of_a_tenant_is_a_conflict(ask: Ask) -> None:
    for _ in range(20):
        make(ask)

    answer = ask("POST", sub="bob", json={"url": URL, "events": ["file.ready"]})

    assert (answer.status_code, answer.get_json()["limit"]) == (409, 20)
