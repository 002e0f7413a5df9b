"""Tokens of an issuer with keys of its own: RS256 and ES256, by a public key or a JWKS address."""

import hmac
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm
from jwt.utils import base64url_encode

from shared.adapters.migrate import migrate
from shared.config import BadSettings, read_settings
from web.app import create_app

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


def pem(key: Any) -> str:
    made = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return str(made.decode())


def status(folder: Path, token: str, **settings: Any) -> int:
    chosen = read_settings(data_dir=folder, _env_file=None, **settings)
    migrate(chosen.database)
    client = create_app(chosen).test_client()
    answer = client.get("/api/v1/files", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code


def a_token(key: Any, algorithm: str, **headers: Any) -> str:
    claims = {"sub": 42, "exp": int(time.time()) + 60}
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers or None)


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (EC, "ES256")])
def test_a_public_key_verifies_its_issuer(tmp_path: Path, key: Any, algorithm: str) -> None:
    token = a_token(key, algorithm)

    assert status(tmp_path, token, jwt_algorithm=algorithm, jwt_public_key=pem(key)) == 200


def test_another_key_and_another_algorithm_are_refused(tmp_path: Path) -> None:
    settings = {"jwt_algorithm": "RS256", "jwt_public_key": pem(RSA)}
    for token in (
        a_token(OTHER_RSA, "RS256"),
        a_token(EC, "ES256"),
        signed_with(pem(RSA)),
    ):
        assert status(tmp_path, token, **settings) == 401


def test_an_issuers_published_keys_are_found_by_their_id(tmp_path: Path, published: str) -> None:
    settings = {"jwt_algorithm": "RS256", "jwt_jwks_url": published}

    assert status(tmp_path, a_token(RSA, "RS256", kid="one"), **settings) == 200
    assert status(tmp_path, a_token(RSA, "RS256", kid="two"), **settings) == 401
    assert status(tmp_path, a_token(OTHER_RSA, "RS256", kid="one"), **settings) == 401


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


@pytest.fixture
def published() -> Iterator[str]:
    """An issuer that publishes one key, called `one`."""
    key = json.loads(RSAAlgorithm.to_jwk(RSA.public_key())) | {"kid": "one", "use": "sig"}
    body = json.dumps({"keys": [key]}).encode()

    class Issuer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Issuer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/keys"
        server.shutdown()
