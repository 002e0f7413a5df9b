"""Pages that call the API: which origins a browser is told of, and whose tenant's they are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.front import Front, a_front

OURS: Final = "https://app.acme.example"
THEIRS: Final = "https://globex.example"
EVERYBODYS: Final = "https://www.example"
HOST: Final = "https://files.example"


@pytest.fixture
def front(tmp_path: Path, sqlite_url: str) -> Iterator[Front]:
    said: dict[str, Any] = {
        "base_url": HOST,
        "cors_origins": [EVERYBODYS],
        "tenant_origins": {"acme": [OURS], "globex": [THEIRS]},
    }
    with a_front(tmp_path, sqlite_url, **said) as made:
        yield made


@pytest.mark.parametrize(
    ("tenant", "welcome"),
    [
        ("acme", {OURS, HOST, None}),
        ("globex", {THEIRS, HOST, None}),
        # Of these a browser shows what CORS lets it: nothing of a page elsewhere.
        ("default", {EVERYBODYS, HOST, None, "https://elsewhere.example"}),
    ],
)
def test_a_tenant_is_served_to_its_own_pages(
    front: Front, tenant: str, welcome: set[str | None]
) -> None:
    for origin in (OURS, THEIRS, EVERYBODYS, HOST, "https://elsewhere.example", None):
        headers: dict[str, str] = {} if origin is None else {"Origin": origin}

        answer = front.ask("GET", "/api/v1/files", tenant=tenant, headers=headers)

        assert answer.status_code == (200 if origin in welcome else 403), origin


def test_browsers_are_told_of_all_of_them_and_of_no_other(front: Front) -> None:
    asked = {"Access-Control-Request-Method": "POST"}
    told = [
        front.client.options("/api/v1/uploads", headers={"Origin": origin, **asked}).headers.get(
            "Access-Control-Allow-Origin"
        )
        for origin in (OURS, THEIRS, EVERYBODYS, "https://elsewhere.example")
    ]

    assert told == [OURS, THEIRS, EVERYBODYS, None]


def test_a_host_that_is_none_is_no_reason_to_fail(front: Front) -> None:
    headers = {"Origin": "https://elsewhere.example", "Host": "a:99999"}

    answer = front.ask("GET", "/api/v1/files", tenant="acme", headers=headers)

    assert answer.status_code in {400, 403}


def test_a_page_asks_before_it_sends_whatever_its_grant(front: Front) -> None:
    grant = front.ask("POST", "/api/v1/upload-grants", tenant="acme", json={}).get_json()
    root = grant["companion_url"].removeprefix(HOST)
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x"}

    for path in ("/s3/multipart", "//s3/multipart", "/sign", "/uploads/x/complete"):
        told = [
            front.client.options(f"{root}{path}", headers={"Origin": origin, **asked})
            for origin in (OURS, "https://elsewhere.example")
        ]
        assert [each.status_code for each in told] == [200, 200], path
        allowed = [each.headers.get("Access-Control-Allow-Origin") for each in told]
        assert allowed == [OURS, None], path


def test_a_grant_is_its_tenants(front: Front) -> None:
    grant = front.ask("POST", "/api/v1/upload-grants", tenant="acme", json={}).get_json()
    path = f"{grant['companion_url'].removeprefix(HOST)}/s3/params?filename=a.txt"

    answers = [
        front.client.get(path, headers={"Origin": origin}).status_code for origin in (OURS, THEIRS)
    ]

    assert answers == [409, 403]  # there is no store to send to here
