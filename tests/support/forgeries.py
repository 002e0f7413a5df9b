"""Tokens that must open nothing: forged, of somebody else, out of their time, or nonsense."""

import base64
import json
from collections.abc import Callable
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.fixtures import soon
from tests.support.stack import Stack

PLAIN: Final[dict[str, Any]] = {"sub": "mallory", "exp": soon()}

Forge = Callable[[Stack], str]


def signed(**claims: Any) -> Forge:
    return lambda stack: stack.signed(**{**PLAIN, **claims})


def unsigned(algorithm: str) -> Forge:
    """Make a token that says it needs no signature, with an empty one."""
    return lambda stack: f"{packed({'alg': algorithm, 'typ': 'JWT'})}.{claims_of(stack)}."


def keeping_the_signature(algorithm: str) -> Forge:
    """Make a token of a good signature, whose head names another algorithm."""

    def forge(stack: Stack) -> str:
        signature = stack.signed(**PLAIN).rpartition(".")[2]
        return f"{packed({'alg': algorithm, 'typ': 'JWT'})}.{claims_of(stack)}.{signature}"

    return forge


def by_another_key(stack: Stack) -> str:
    return jwt.encode(stack.claims(**PLAIN), "k" * 64, algorithm="HS256")


def by_another_length(stack: Stack) -> str:
    return jwt.encode(stack.claims(**PLAIN), stack.env["JWT_SECRET_KEY"], algorithm="HS512")


def by_a_key_pair(stack: Stack) -> str:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    headers = {"jwk": {"kty": "RSA", "pem": public.decode()}, "jku": "http://127.0.0.1:1/keys"}
    return jwt.encode(stack.claims(**PLAIN), private, algorithm="RS256", headers=headers)


def with_critical_header(stack: Stack) -> str:
    secret = stack.env["JWT_SECRET_KEY"]
    headers = {"crit": ["exp-policy"], "exp-policy": "none"}
    return jwt.encode(stack.claims(**PLAIN), secret, algorithm="HS256", headers=headers)


def with_other_claims(stack: Stack) -> str:
    """Make a token of a good signature over other claims."""
    head, _, signature = stack.signed(**PLAIN).split(".")
    return f"{head}.{packed(stack.claims(**{**PLAIN, 'scope': 'admin'}))}.{signature}"


def without_its_end(stack: Stack) -> str:
    return stack.signed(**PLAIN).rpartition(".")[0]


def claims_of(stack: Stack) -> str:
    return packed(stack.claims(**PLAIN))


def packed(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


FORGED: Final[dict[str, Forge]] = {
    "nothing": lambda _: "",
    "nonsense": lambda _: "nonsense",
    "dots": lambda _: "..",
    "no base64": lambda _: "a!.b!.c!",
    "no JSON": lambda _: "eA.eA.eA",
    "a list": lambda _: ".".join([packed({"alg": "HS256"}), "W10", "eA"]),
    "8 kB of nothing": lambda _: "x" * 7000,
    "expired": signed(exp=soon(-60)),
    "not valid yet": signed(nbf=soon(86_400)),
    "issued in the future": signed(iat=soon(86_400)),
    "without expiry": signed(exp=None),
    "expiry as text": signed(exp="soon"),
    "expiry as digits in text": signed(exp=str(soon())),
    "expiry as a list": signed(exp=[soon()]),
    "expiry that is true": signed(exp=True),
    "another key": by_another_key,
    "another length": by_another_length,
    "a key pair": by_a_key_pair,
    "a critical header": with_critical_header,
    "other claims": with_other_claims,
    "no signature": without_its_end,
    "alg none": unsigned("none"),
    "alg None": unsigned("None"),
    "alg NONE": unsigned("NONE"),
    "alg empty": unsigned(""),
    "alg none with a signature": keeping_the_signature("none"),
    "RS256 with an HS256 signature": keeping_the_signature("RS256"),
    "ES256 with an HS256 signature": keeping_the_signature("ES256"),
    "HS384 with an HS256 signature": keeping_the_signature("HS384"),
    "another audience": signed(aud="other"),
    "an audience that begins alike": signed(aud="sluice2"),
    "other audiences": signed(aud=["other", "another"]),
    "no audience": signed(aud=None),
    "an audience that is a number": signed(aud=1),
    "another issuer": signed(iss="https://evil.example"),
    "an issuer that begins alike": signed(iss="https://issuer.example.evil"),
    "part of the issuer": signed(iss="https://issuer"),
    "no issuer": signed(iss=None),
    "no subject": signed(sub=None),
    "an empty subject": signed(sub=""),
    "a subject of 256": signed(sub="s" * 256),
    "a subject that is a list": signed(sub=["alice"]),
    "a subject that is true": signed(sub=True),
    "a subject with NUL": signed(sub="a\0b"),
    "a subject with half a character": signed(sub="\ud800"),
    "a subject of 5,000 digits": signed(sub=10**4200),
    "a tenant with slashes": signed(tenant="../other"),
    "an empty tenant": signed(tenant=""),
    "a tenant that is a list": signed(tenant=["default"]),
    "a tenant with a line": signed(tenant="default\n"),
    "a tenant that is true": signed(tenant=True),
    "a scope that is a list": signed(scope=["admin"]),
    "a refresh token": signed(type="refresh"),
}
