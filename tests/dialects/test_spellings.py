"""Paths with a slash too many, and tokens as other issuers and clients write them."""

import time
from typing import Any, Final

import pytest
import requests

from tests.dialects.conftest import Clients
from tests.e2e.wire import a_wire
from tests.support.api import Api
from tests.support.samples import picture, text
from tests.support.stack import Stack

LISTS: Final = ("/api/files", "/upload/files", "/api/v1/upload/list", "/api/v1/files")


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(("before", "after"), [("", "/"), ("/", ""), ("/", "/")])
def test_a_slash_too_many_is_none(
    stack: Stack, clients: Clients, path: str, before: str, after: str
) -> None:
    with a_wire(stack.base_url) as wire:
        wire.head("GET", f"{before}{path}{after}", clients().token)
        answer = wire.answer()

    assert answer.status == 200


def test_a_file_is_taken_at_a_path_with_a_slash_too_many(stack: Stack, clients: Clients) -> None:
    client = clients(tenant=7)
    fields = {"category": "image", "action": "upload", "customerId": "7"}

    for path in ("/api/v1/storage/upload/", "//api/v1/storage/upload"):
        answer = requests.post(
            f"{stack.base_url}{path}",
            data=fields,
            files={"file": ("notes.txt", text())},
            headers=client.headers,
            allow_redirects=False,
            timeout=60,
        )
        assert answer.status_code == 200, answer.text


def test_a_slash_at_the_end_of_a_key_is_the_key_s(clients: Clients) -> None:
    client = clients()
    sent = client.post("/api/v1/upload/direct", files={"file": ("a.png", picture("PNG"))}).json()

    asked: list[Any] = [
        client.request(method, f"/api/v1/upload/{place}{sent['file_id']}/")
        for method, place in (("GET", "download/"), ("GET", "metadata/"), ("DELETE", ""))
    ]

    assert [each.status_code for each in asked] == [404, 404, 404]
    assert client.get(f"/api/v1/upload/download/{sent['file_id']}").status_code == 200


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer", "bEARER "])
def test_a_scheme_is_one_in_any_case(stack: Stack, client_token: str, scheme: str) -> None:
    assert listed(stack, f"{scheme} {client_token}") == 200


@pytest.mark.parametrize("scheme", ["Basic", "bearerx", "token"])
def test_another_scheme_is_none_of_ours(stack: Stack, client_token: str, scheme: str) -> None:
    assert listed(stack, f"{scheme} {client_token}") == 401


@pytest.mark.parametrize("claims", [{"jti": 5}, {"jti": None}, {"sub": 12}])
def test_a_number_is_a_name_too(stack: Stack, claims: dict[str, Any]) -> None:
    said = {"sub": "alice", "exp": int(time.time()) + 60, **claims}

    assert listed(stack, f"Bearer {stack.signed(**said)}") == 200


@pytest.fixture
def client_token(clients: Clients) -> str:
    client: Api = clients()
    assert client.token is not None
    return client.token


def listed(stack: Stack, authorization: str) -> int:
    headers = {"Authorization": authorization}
    return requests.get(f"{stack.base_url}/upload/files", headers=headers, timeout=10).status_code
