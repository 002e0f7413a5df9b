"""Who may come in: no token but a true one, and no more than its scopes."""

import time
from typing import Any, Final

import jwt
import pytest
import requests

from tests.e2e.books import Books
from tests.support.api import Api, answered, refused
from tests.support.fixtures import Callers, Dial, Discreet, soon
from tests.support.forgeries import FORGED, Forge
from tests.support.samples import text
from tests.support.stack import Stack

FILES: Final = "/api/v1/files"
NOBODYS: Final = "01890000-0000-7000-8000-000000000000"


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
    claims = stack.claims(sub=42, customer_id=tenant, exp=soon()) | {"tenant": None}
    token = jwt.encode(claims, stack.env["JWT_SECRET_KEY"], algorithm="HS256")

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
    ("POST", "/api/v1/files/delete"): {"ids": [NOBODYS]},
    ("POST", "/api/v1/webhooks"): {"url": "https://93.184.215.14/", "events": ["file.ready"]},
}
