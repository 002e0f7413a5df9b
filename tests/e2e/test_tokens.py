"""Who may come in: no token but a true one, and no more than its scopes."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any, Final

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.e2e.books import Books
from tests.support.api import Api, answered, refused
from tests.support.fixtures import Callers, Dial, Discreet, soon
from tests.support.samples import text
from tests.support.stack import Stack

FILES: Final = "/api/v1/files"
NOBODYS: Final = "01890000-0000-7000-8000-000000000000"
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


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_opens_nothing(
    stack: Stack, anybody: Api, books: Books, forge: Forge
) -> None:
    headers = {"Authorization": f"Bearer {forge(stack)}"}
    asked = {"filename": "notes.txt"}

    with books.unchanged():
        refused(anybody.get(FILES, headers=headers), 401, "unauthenticated")
        refused(anybody.post("/api/v1/uploads", json=asked, headers=headers), 401)
        form = anybody.post(f"{FILES}/upload", files={"file": b"text"}, headers=headers)
        refused(form, 401)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic YWxpY2U6c2VjcmV0",
        "Token {token}",
        "{token}",
        "Bearer {token} {token}",
        "Bearer {token}, Bearer {token}",
        "Bearer {token},",
        "Digest username=alice",
    ],
)
def test_a_token_comes_as_a_bearer_alone(
    stack: Stack, anybody: Api, authorization: str | None
) -> None:
    said = authorization and authorization.format(token=stack.signed(sub="alice", exp=soon()))

    refused(anybody.get(FILES, headers={"Authorization": said}), 401, "unauthenticated")


def test_a_token_elsewhere_is_not_looked_at(stack: Stack, anybody: Api) -> None:
    token = stack.signed(sub="alice", exp=soon(), scope="admin")

    for name in ("token", "jwt", "access_token"):
        refused(anybody.get(f"{FILES}?{name}={token}"), 401)
        refused(anybody.get(FILES, headers={"Cookie": f"{name}={token}"}), 401)
    refused(anybody.get(FILES, headers={"Cookie": f"access_token_cookie={token}"}), 401)
    refused(anybody.get(FILES, headers={"X-Remote-User": "alice", "X-User": "alice"}), 401)


def test_two_authorization_headers_are_refused(
    stack: Stack, dial: Dial, discreet: Discreet
) -> None:
    token = stack.signed(sub="alice", exp=soon())

    with dial() as wire:
        wire.head("GET", FILES, token, f"Authorization: Bearer {token}")
        answer = discreet(wire.answer())

    assert (answer.status, answer.json()["type"]) == (401, "unauthenticated")


def test_every_documented_route_wants_a_token(
    document: dict[str, Any], anybody: Api, books: Books
) -> None:
    with books.unchanged():
        for method, path in protected(document):
            refused(anybody.request(method, path), 401, "unauthenticated")


def test_a_token_without_scopes_may_do_nothing(
    document: dict[str, Any], callers: Callers, books: Books
) -> None:
    nobody = callers("alice", scope="files:everything")

    with books.unchanged():
        for method, path in protected(document):
            form = {"file": ("a.txt", b"a")} if path.endswith("/files/upload") else None
            body = BODIES.get((method, path)) if form is None else None
            answer = nobody.request(method, path, json=body, files=form)
            refused(answer, 403, "forbidden")


@pytest.mark.parametrize(
    ("scope", "may"),
    [
        ("files:read", {"read"}),
        ("files:write", {"write"}),
        ("files:delete", {"delete"}),
        ("webhooks", {"webhooks"}),
        ("admin", {"read", "write", "delete", "webhooks"}),
        ("files:write files:read files:read", {"read", "write"}),
        (None, {"read", "write", "delete", "webhooks"}),
    ],
)
def test_a_token_may_do_what_its_scopes_say(
    callers: Callers, scope: str | None, may: set[str]
) -> None:
    api = callers("alice", scope=scope)
    asked = {
        "read": api.get(FILES),
        "write": api.post("/api/v1/uploads", json={"filename": "notes.txt"}),
        "delete": api.delete(f"{FILES}/{NOBODYS}"),
        "webhooks": api.get("/api/v1/webhooks"),
    }

    assert {name for name, answer in asked.items() if answer.status_code != 403} == may


@pytest.mark.parametrize("headers", [{"X-HTTP-Method-Override": "DELETE"}, {"X-Method": "DELETE"}])
def test_a_method_is_not_changed_by_a_header(
    alice: Api, callers: Callers, headers: dict[str, str]
) -> None:
    file = alice.stored(text())
    reader = callers("alice", scope="files:read")

    refused(reader.post(f"{FILES}/{file['id']}", headers=headers), 405)

    assert alice.file(file["id"]) == file


def test_a_number_may_be_a_subject_and_customer_id_a_tenant(stack: Stack) -> None:
    tenant = f"c-{time.time_ns()}"
    token = stack.signed(sub=42, customer_id=tenant, exp=soon())

    with Api(stack.base_url, token) as api:
        assert api.stored(text())["owner"] == "42"


def test_no_token_and_no_signed_link_stands_in_the_log(
    stack: Stack, alice: Api, anybody: Api
) -> None:
    file = alice.stored(text())
    link = answered(alice.get(f"{FILES}/{file['id']}/presigned-url"), 200)["url"]
    requests.get(link, timeout=10)
    anybody.get(f"{FILES}?token={alice.token}")
    refused(alice.get(f"{FILES}/{NOBODYS}"), 404)
    ready = stack.log.index("ready")

    said = "\n".join(stack.log[ready:])

    for secret in (str(alice.token), "X-Amz-Signature", "whsec_", stack.env["JWT_SECRET_KEY"]):
        assert secret not in said


def protected(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return every documented route that wants a token, with ids that nobody has."""
    return [
        (method.upper(), FILLED.get(path) or path.format_map(Nobody(number="0", name="small")))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if operation.get("security")
    ]


class Nobody(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return NOBODYS


FILLED: Final = {"/api/v1/jobs": f"/api/v1/jobs?ids={NOBODYS}"}
BODIES: Final[dict[tuple[str, str], Any]] = {
    ("POST", "/api/v1/uploads"): {"filename": "notes.txt"},
    ("POST", f"/api/v1/uploads/{NOBODYS}/complete"): {},
    ("POST", "/api/v1/webhooks"): {"url": "https://93.184.215.14/", "events": ["file.ready"]},
}
