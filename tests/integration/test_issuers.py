"""Tokens of an issuer with keys of its own: RS256 and ES256, by a public key or a JWKS address."""

import hmac
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask.testing import FlaskClient
from jwt.algorithms import RSAAlgorithm
from jwt.utils import base64url_encode

from shared.adapters.migrate import migrate
from shared.config import BadSettings, read_settings
from shared.errors import Unavailable
from tests.support.races import at_once
from tests.support.waiting import eventually
from web.app import create_app
from web.keys import PublishedKeys

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


def pem(key: Any) -> str:
    made = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return str(made.decode())


class Issuer:
    """Publishes the key `one`; counts how often it is asked, and may be told to say otherwise."""

    def __init__(self) -> None:
        self.url = ""
        self.calls = 0
        self.released = Event()
        self.says: bytes | str = b""
        self.publish("one")

    def publish(self, *key_ids: str) -> None:
        key = json.loads(RSAAlgorithm.to_jwk(RSA.public_key())) | {"use": "sig"}
        self.says = json.dumps({"keys": [key | {"kid": each} for each in key_ids]}).encode()


def a_client(folder: Path, **settings: Any) -> FlaskClient:
    chosen = read_settings(data_dir=folder, _env_file=None, **settings)
    migrate(chosen.database)
    return create_app(chosen).test_client()


def asked(client: FlaskClient, token: str) -> int:
    answer = client.get("/api/v1/files", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code


def status(folder: Path, token: str, **settings: Any) -> int:
    return asked(a_client(folder, **settings), token)


def a_token(key: Any, algorithm: str, **headers: Any) -> str:
    claims = {"sub": 42, "exp": int(time.time()) + 60}
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers or None)


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (EC, "ES256")])
def test_a_public_key_verifies_its_issuer(tmp_path: Path, key: Any, algorithm: str) -> None:
    token = a_token(key, algorithm)

    assert status(tmp_path, token, jwt_algorithm=algorithm, jwt_public_key=pem(key)) == 200


def test_what_is_no_public_key_stops_the_start(tmp_path: Path) -> None:
    for said in ("your_jwt_public_key", pem(EC), pem(RSA)[:100]):
        with pytest.raises(BadSettings, match="JWT_PUBLIC_KEY") as refusal:
            a_client(tmp_path, jwt_algorithm="RS256", jwt_public_key=said)
        assert said not in str(refusal.value)


def test_another_key_and_another_algorithm_are_refused(tmp_path: Path) -> None:
    settings = {"jwt_algorithm": "RS256", "jwt_public_key": pem(RSA)}
    for token in (
        a_token(OTHER_RSA, "RS256"),
        a_token(EC, "ES256"),
        signed_with(pem(RSA)),
    ):
        assert status(tmp_path, token, **settings) == 401


def test_an_issuers_published_keys_are_found_by_their_id(tmp_path: Path, issuer: Issuer) -> None:
    settings = {"jwt_algorithm": "RS256", "jwt_jwks_url": issuer.url}

    assert status(tmp_path, a_token(RSA, "RS256", kid="one"), **settings) == 200
    assert status(tmp_path, a_token(RSA, "RS256", kid="two"), **settings) == 401
    assert status(tmp_path, a_token(OTHER_RSA, "RS256", kid="one"), **settings) == 401


def test_however_many_tokens_name_an_unknown_key_the_issuer_is_asked_once(
    tmp_path: Path, issuer: Issuer
) -> None:
    client = a_client(tmp_path, jwt_algorithm="RS256", jwt_jwks_url=issuer.url)
    tokens = [a_token(RSA, "RS256", kid=f"unknown {number}") for number in range(20)]

    statuses = [asked(client, token) for token in tokens]

    assert set(statuses) == {401}
    assert asked(client, a_token(RSA, "RS256", kid="one")) == 200
    assert issuer.calls == 1


def test_a_key_that_was_published_since_is_found_after_the_pause(issuer: Issuer) -> None:
    keys = PublishedKeys(issuer.url, pause=0.3)
    assert keys.find("two") is None
    issuer.publish("one", "two")
    assert keys.find("two") is None
    calls = issuer.calls

    found = eventually(lambda: keys.find("two"), 5, every=0.1)

    assert found is not None
    assert (calls, issuer.calls) == (1, 2)


def test_of_many_threads_one_asks(issuer: Issuer) -> None:
    keys = PublishedKeys(issuer.url)

    found = at_once(partial(keys.find, "one" if number % 2 else "unknown") for number in range(16))

    assert sorted(key is None for key in found) == [False] * 8 + [True] * 8
    assert issuer.calls == 1


@pytest.mark.parametrize("said", ["hangs up", b"", b"[]", b'{"keys": []}', b"\xff", b"cut"])
def test_an_issuer_that_says_nothing_of_use_is_an_outage_that_is_asked_about_once(
    issuer: Issuer, said: bytes | str
) -> None:
    keys = PublishedKeys(issuer.url)
    issuer.says = said

    for _ in range(5):
        outage(keys, "one")

    assert issuer.calls == 1


def test_while_the_issuer_is_away_its_known_keys_are_good(issuer: Issuer) -> None:
    keys = PublishedKeys(issuer.url, pause=0)
    assert keys.find("one") is not None
    issuer.says = b""

    with pytest.raises(Unavailable):
        keys.find("unknown")

    assert keys.find("one") is not None


def test_an_issuer_that_hangs_holds_nobody_for_long(issuer: Issuer) -> None:
    keys = PublishedKeys(issuer.url, pause=0)
    assert keys.find("one") is not None
    issuer.says = "hangs"
    began = time.monotonic()
    works: list[Callable[[], object]] = [partial(outage, keys, "unknown") for _ in range(8)]
    works.append(partial(keys.find, "one"))

    at_once(works)

    assert time.monotonic() - began < 12
    issuer.released.set()


def test_an_issuer_that_does_not_answer_is_an_outage(tmp_path: Path) -> None:
    token = a_token(RSA, "RS256", kid="one")
    nobody = "http://127.0.0.1:9/keys"

    assert status(tmp_path, token, jwt_algorithm="RS256", jwt_jwks_url=nobody) == 503


def test_settings_without_a_key_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="JWT_PUBLIC_KEY or JWT_JWKS_URL"):
        status(tmp_path, "", jwt_algorithm="RS256")
    with pytest.raises(BadSettings, match="JWT_SECRET_KEY"):
        status(tmp_path, "")


def signed_with(secret: str) -> str:
    """An HS256 token whose secret is the public key: what a careless verifier would accept."""
    claims = json.dumps({"sub": "a", "exp": int(time.time()) + 60}).encode()
    parts = [base64url_encode(part) for part in (b'{"alg":"HS256","typ":"JWT"}', claims)]
    signature = hmac.digest(secret.encode(), b".".join(parts), "sha256")
    return b".".join([*parts, base64url_encode(signature)]).decode()


def outage(keys: PublishedKeys, key_id: str) -> None:
    with pytest.raises(Unavailable) as refusal:
        keys.find(key_id)
    assert refusal.value.code == "keys_unavailable"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()

    class Desk(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.calls += 1
            if isinstance(made.says, str):
                if made.says == "hangs":
                    made.released.wait(30)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(made.says) + 10 * (made.says == b"cut")))
            self.end_headers()
            self.wfile.write(made.says)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Desk) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        made.url = f"http://127.0.0.1:{server.server_port}/keys"
        yield made
        made.released.set()
        server.shutdown()
