"""Where the keys for S3 come from: the settings, a secret that may rotate, or the SDK's own chain."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config

from shared.adapters.client_s3 import S3Place
from shared.adapters.credentials_secret import with_secret
from shared.adapters.objects_s3 import S3Objects
from shared.config import BadSettings, read_settings
from shared.errors import Unavailable
from shared.ports import ObjectStore
from shared.wiring_parts import build_objects
from tests.support import servers
from tests.support.objects import KEY, content, put
from tests.support.races import at_once
from tests.support.waiting import eventually
from tests.support.weather import an_error, it_hangs, weather_before

HOUR: Final = timedelta(hours=1)
_HASTY: Final = Config(connect_timeout=0.3, read_timeout=0.3, retries={"total_max_attempts": 1})
_SLOW: Final = Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 1})
ROLE: Final = {
    "AccessKeyId": "ASIAROLE",
    "SecretAccessKey": "of-the-role",
    "Token": "token-of-the-role",
    "Expiration": "2099-01-01T00:00:00Z",
    "Code": "Success",
}


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with servers.moto() as url:
        yield url


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this host's own AWS is found."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


class Vault:
    """Secrets Manager as an operator uses it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.name = f"sluice/{uuid4().hex}"
        self._client: Any = boto3.client(
            "secretsmanager", "us-east-1", endpoint_url=url,
            aws_access_key_id="operator", aws_secret_access_key="operator",
        )  # fmt: skip

    def create(self, text: str) -> str:
        """Return the new secret's ARN."""
        return str(self._client.create_secret(Name=self.name, SecretString=text)["ARN"])

    def change(self, said: Mapping[str, str]) -> None:
        self._client.put_secret_value(SecretId=self.name, SecretString=json.dumps(said))


@pytest.fixture
def vault(moto: str, monkeypatch: pytest.MonkeyPatch) -> Vault:
    """A vault that processes find by themselves, and may read with the role that they have."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", moto)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-host")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-host")
    return Vault(moto)


def right(place: S3Place) -> dict[str, str]:
    return {
        "access_key_id": place.access_key_id or "",
        "secret_access_key": place.secret_access_key or "",
    }


def wrong(number: int = 1) -> dict[str, str]:
    return {"access_key_id": f"AKIAOLD{number}", "secret_access_key": "old"}


def a_store(place: S3Place, secret: str, every: timedelta = HOUR) -> S3Objects:
    keyless = replace(place, access_key_id=None, secret_access_key=None)
    return S3Objects(with_secret(keyless, secret, every))


def _refused(store: ObjectStore) -> float:
    """Return how many seconds a request took that the store refused."""
    began = monotonic()
    with pytest.raises(Unavailable):
        store.find(KEY)
    return monotonic() - began


def link(store: ObjectStore) -> dict[str, list[str]]:
    url = store.presign(KEY, HOUR, disposition="inline", content_type="a/b")
    return parse_qs(urlsplit(url).query)


def signed_by(store: ObjectStore) -> str:
    return link(store)["X-Amz-Credential"][0].split("/")[0]


@pytest.mark.parametrize(
    ("access", "secret"),
    [
        ("access_key_id", "secret_access_key"),
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"),
        ("S3_ACCESS_KEY", "S3_SECRET_KEY"),
        ("AccessKeyId", "SecretAccessKey"),
        ("accessKey", "secretKey"),
    ],
)
def test_objects_are_written_with_the_keys_of_the_secret(
    vault: Vault, a_bucket: S3Place, access: str, secret: str
) -> None:
    vault.create(
        json.dumps({access: a_bucket.access_key_id, secret: a_bucket.secret_access_key, "x": 1})
    )
    store = a_store(a_bucket, vault.name)

    put(store, KEY, b"hello")

    assert content(store) == b"hello"
    store.delete([KEY])


def test_a_secret_may_be_named_by_its_arn_in_another_region(
    moto: str, vault: Vault, a_bucket: S3Place
) -> None:
    there: Any = boto3.client(
        "secretsmanager", "eu-west-1", endpoint_url=moto,
        aws_access_key_id="a", aws_secret_access_key="s",
    )  # fmt: skip
    arn = there.create_secret(Name=vault.name, SecretString=json.dumps(right(a_bucket)))["ARN"]

    assert "eu-west-1" in arn
    assert signed_by(a_store(a_bucket, arn)) == a_bucket.access_key_id


def test_the_session_token_of_a_secret_is_sent(vault: Vault, a_bucket: S3Place) -> None:
    vault.create(json.dumps(right(a_bucket) | {"session_token": "for an hour"}))

    assert link(a_store(a_bucket, vault.name))["X-Amz-Security-Token"] == ["for an hour"]


def test_a_request_that_meets_a_rotation_is_signed_again_and_nobody_notices(
    vault: Vault, a_bucket: S3Place
) -> None:
    vault.create(json.dumps(wrong()))
    store = a_store(a_bucket, vault.name)
    vault.change(right(a_bucket))

    put(store, KEY, b"hello")

    assert content(store) == b"hello"
    store.delete([KEY])


def test_a_part_that_meets_a_rotation_is_sent_again_whole(vault: Vault, a_bucket: S3Place) -> None:
    vault.create(json.dumps(wrong()))
    store, other = a_store(a_bucket, vault.name), S3Objects(a_bucket)
    begun = other.begin_multipart(KEY, content_type="a/b", upload_id="u")
    vault.change(right(a_bucket))

    part = store.put_part(KEY, begun, 1, 0, BytesIO(b"hello"))
    store.complete_multipart(KEY, begun, [part])

    assert content(store) == b"hello"
    store.delete([KEY])


def test_a_question_without_a_body_in_its_answer_meets_it_as_well(
    vault: Vault, a_bucket: S3Place
) -> None:
    vault.create(json.dumps(wrong()))
    store = a_store(a_bucket, vault.name)
    vault.change(right(a_bucket))

    assert store.find(KEY) is None


def test_keys_that_stay_wrong_are_an_outage_and_the_secret_is_not_asked_each_time(
    vault: Vault, a_bucket: S3Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.create(json.dumps(wrong()))
    with weather_before(replace(a_bucket, endpoint=vault.url)) as way:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", way.place.endpoint or "")
        store = a_store(a_bucket, vault.name)

        for _ in range(5):
            with pytest.raises(Unavailable):
                put(store, KEY, b"hello")

        assert len(way.calls) == 2  # at the start, and at the first refusal


@pytest.mark.parametrize(("longest", "most"), [(10, 3), (0.2, 1)])
def test_requests_refused_at_once_look_once_however_long_the_secret_is_silent(
    vault: Vault,
    a_bucket: S3Place,
    monkeypatch: pytest.MonkeyPatch,
    longest: float,
    most: float,
) -> None:
    vault.create(json.dumps(wrong()))
    with weather_before(replace(a_bucket, endpoint=vault.url)) as way:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", way.place.endpoint or "")
        monkeypatch.setattr("shared.adapters.credentials_secret._ATTEMPTS", _SLOW)
        monkeypatch.setattr("shared.adapters.credentials_secret._PAUSE_SECONDS", 1.5)
        monkeypatch.setattr("shared.adapters.credentials_secret._WAIT_SECONDS", longest)
        store = a_store(a_bucket, vault.name)
        way.brings(it_hangs, times=None)

        took = sorted(at_once([lambda: _refused(store)] * 6))
        way.over.set()

    assert len(way.calls) == 2  # at the start, and at the first refusal
    assert took[-2] < most  # the others wait for a while only


def test_the_secret_is_read_again_every_so_often(vault: Vault, a_bucket: S3Place) -> None:
    vault.create(json.dumps(wrong(1)))
    store = a_store(a_bucket, vault.name, timedelta(seconds=1))
    vault.change(wrong(2))
    assert signed_by(store) == "AKIAOLD1"

    eventually(lambda: signed_by(store) == "AKIAOLD2", timeout=5)


@pytest.mark.parametrize("fault", [an_error(500, "InternalServiceError"), it_hangs])
def test_while_the_secret_can_not_be_read_the_known_keys_go_on(
    vault: Vault, a_bucket: S3Place, monkeypatch: pytest.MonkeyPatch, fault: Any
) -> None:
    vault.create(json.dumps(right(a_bucket)))
    with weather_before(replace(a_bucket, endpoint=vault.url)) as way:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", way.place.endpoint or "")
        monkeypatch.setattr("shared.adapters.credentials_secret._ATTEMPTS", _HASTY)
        store = a_store(a_bucket, vault.name, timedelta(seconds=0.3))
        way.brings(fault, times=None)

        began = monotonic()
        while monotonic() - began < 2:  # three times as long as the keys are believed
            store.check()
        way.over.set()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nonsense of hunter2", "is no JSON object"),
        ('["hunter2"]', "is no JSON object"),
        ('{"access_key_id": "hunter2"}', "has no access_key_id with a secret_access_key"),
        ('{"password": "hunter2"}', "has no access_key_id with a secret_access_key"),
    ],
)
def test_a_secret_of_another_kind_stops_the_start_and_is_not_shown(
    vault: Vault, text: str, why: str
) -> None:
    vault.create(text)

    with pytest.raises(BadSettings) as refusal:
        build_objects(read_settings(_env_file=None, s3_credentials_secret=vault.name))

    assert str(refusal.value) == f"S3_CREDENTIALS_SECRET: {why}"


@pytest.mark.usefixtures("vault")
def test_a_secret_that_is_not_there_stops_the_start() -> None:
    with pytest.raises(BadSettings, match=r"^S3_CREDENTIALS_SECRET: .*ResourceNotFoundException$"):
        build_objects(read_settings(_env_file=None, s3_credentials_secret="no/such"))


def test_without_a_way_to_the_secret_there_is_no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = f"http://127.0.0.1:{servers.free_port()}"
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", nobody)
    said = {"s3_access_key_id": "a", "s3_secret_access_key": "s", "s3_credentials_secret": "x"}

    with pytest.raises(BadSettings, match=r"^S3_CREDENTIALS_SECRET: .*EndpointConnectionError$"):
        build_objects(read_settings(_env_file=None, **said))


def test_the_keys_of_the_settings_are_those_that_are_sent_with_their_token() -> None:
    said = {
        "s3_access_key_id": "ASIASET", "s3_secret_access_key": "s", "s3_session_token": "and token",
    }  # fmt: skip

    store = build_objects(read_settings(_env_file=None, **said))

    assert signed_by(store) == "ASIASET"
    assert link(store)["X-Amz-Security-Token"] == ["and token"]


def test_without_keys_a_container_has_those_of_its_role(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering({"/role": ROLE}) as url:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/role")
        store = build_objects(read_settings(_env_file=None))

        assert signed_by(store) == "ASIAROLE"
        assert link(store)["X-Amz-Security-Token"] == ["token-of-the-role"]


def test_without_keys_a_host_has_those_of_its_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/latest/meta-data/iam/security-credentials/"
    said = {"/latest/api/token": "a-token", path: "the-role", f"{path}the-role": ROLE}
    with answering(said) as url:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
        store = build_objects(read_settings(_env_file=None))

        assert signed_by(store) == "ASIAROLE"
        assert link(store)["X-Amz-Security-Token"] == ["token-of-the-role"]


@contextmanager
def answering(said: Mapping[str, Any]) -> Iterator[str]:
    """Run what tells a host or a container of its role."""

    class Metadata(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = said.get(self.path)
            body = (found if isinstance(found, str) else json.dumps(found)).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_GET  # noqa: N815  # the base's name

        def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002  # the base's name

    server = ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
