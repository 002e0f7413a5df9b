"""A store that hangs has some of the threads, and never those of who does not need it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any, Final

import jwt
import pytest
from flask import Flask
from pydantic import SecretStr

from shared.config import Settings
from tests.integration.conftest import SECRET
from tests.integration.test_direct import FIVE, opened
from tests.support.factory import Factory
from tests.support.weather import Answer, Call, Weather, an_error
from tests.support.workshop import ALICE
from web.app import create_app

Ask = Callable[..., Any]
JSON: Final[dict[str, Any]] = {"content_type": "application/json", "content_length": 2}


class Gathered(BytesIO):
    """A body that came with its head, and needs no slot."""

    is_gathered = True


@pytest.fixture
def app(far: Factory) -> Flask:
    secret = SecretStr(SECRET)
    chosen = Settings(_env_file=None, jwt_secret_key=secret, data_dir=far.folder, web_threads=4)
    return create_app(chosen, far.services)


@pytest.fixture
def ask(app: Flask) -> Ask:
    claims = {"sub": ALICE.subject, "tenant": ALICE.tenant, "exp": time.time() + 600}
    token = jwt.encode(claims, SECRET, "HS256")

    def asked(method: str, path: str, **said: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}", **said.pop("headers", {})}
        url = f"/api/v1/uploads{path}"
        return app.test_client().open(url, method=method, headers=headers, **said)

    return asked


def test_who_waits_for_the_store_leaves_threads_to_others(
    far: Factory, sky: Weather, ask: Ask
) -> None:
    upload = opened(far)
    chunked = ask("POST", "", json={"filename": "notes.txt", "size": 3}).get_json()["id"]
    waiting, over = threading.Semaphore(0), threading.Event()

    def slowly(call: Call) -> Answer:
        waiting.release()
        over.wait(20)
        return call.forward()

    sky.brings(slowly, times=None)
    with ThreadPoolExecutor(3) as threads:
        held = [threads.submit(ask, "GET", f"/{upload.id}") for _ in range(3)]
        assert all(waiting.acquire(timeout=20) for _ in held)

        for refused in (
            ask("GET", f"/{upload.id}"),
            ask("GET", f"/{upload.id}/targets"),
            ask("POST", f"/{upload.id}/complete", input_stream=Gathered(b"{}"), **JSON),
        ):
            assert (refused.status_code, refused.get_json()["type"]) == (503, "web_unavailable")
        assert ask("GET", f"/{chunked}").status_code == 200
        completed = ask("POST", f"/{chunked}/complete", input_stream=Gathered(b"{}"), **JSON)
        assert completed.status_code == 409
        over.set()
        assert [each.result().status_code for each in held] == [200] * 3


def test_an_outage_is_told_as_what_is_not_known(far: Factory, sky: Weather, ask: Ask) -> None:
    upload = opened(far)
    sky.brings(an_error(503, "SlowDown"), times=None)

    answer = ask("GET", f"/{upload.id}")

    said = answer.get_json()
    assert (answer.status_code, said["state"]) == (200, "receiving")
    assert [said[each] for each in ("received", "received_bytes", "missing")] == [None] * 3


def test_an_upload_opened_in_vain_leaves_nothing_unless_it_has_a_key(
    far: Factory, sky: Weather, ask: Ask
) -> None:
    new = {"filename": "a.txt", "transfer": "direct", "size": 2 * FIVE, "chunk_size": FIVE}
    sky.brings(an_error(503, "SlowDown"), times=None)
    for _ in range(2):
        assert ask("POST", "", json=new).status_code == 503
    assert far.quota() == (0, 0)

    key = {"Idempotency-Key": "once"}
    assert ask("POST", "", json=new, headers=key).status_code == 503
    sky.clears()

    opened_after_all = ask("POST", "", json=new, headers=key)
    assert opened_after_all.status_code == 201
    assert len(opened_after_all.get_json()["targets"]) == 2
    assert far.quota() == (0, 2 * FIVE)
