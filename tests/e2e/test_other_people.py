"""What is somebody else's is not there: on every documented route with an id, for everybody else."""

from typing import Any, Final
from uuid import uuid4

import pytest
import requests

from tests.e2e.books import Books
from tests.support.api import Api, answered, refused
from tests.support.fixtures import Callers
from tests.support.pictures import a_jpeg
from tests.support.samples import text

Things = dict[str, str]
NOBODYS: Final = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
def things(alice: Api) -> Things:
    """One of each that alice has: an open upload, a job, a file, a webhook, a grant."""
    opened = alice.open_upload("notes.txt", size=8, chunk_size=4)
    answered(alice.put_chunk(opened["id"], 0, b"abcd"), 200)
    job = alice.chunked(a_jpeg(200, 200), "beach.jpg")
    hook = {"url": "https://93.184.215.14/hook", "events": ["file.deleted"]}
    return {
        "upload_id": opened["id"],
        "job_id": job["id"],
        "file_id": job["file_id"],
        "webhook_id": answered(alice.post("/api/v1/webhooks", json=hook), 201)["id"],
        "grant_id": answered(alice.post("/api/v1/upload-grants", json={}), 201)["id"],
    }


@pytest.mark.parametrize("who", ["bob", "stranger", "foreign_admin"])
def test_somebody_elses_ids_are_unknown(
    request: pytest.FixtureRequest,
    document: dict[str, Any],
    who: str,
    things: Things,
    alice: Api,
    books: Books,
) -> None:
    other: Api = request.getfixturevalue(who)
    before = everything(alice, things)
    routes = with_ids(document)
    assert len(routes) >= 15

    with books.unchanged():
        for method, path in routes:
            told = ask(other, method, path, things)
            unknown = ask(other, method, path, dict.fromkeys(things, NOBODYS))

            only_for_admins = path.endswith("/retry") and who != "foreign_admin"
            problem = refused(told, 403 if only_for_admins else 404)
            assert told.status_code == unknown.status_code, path
            for member in ("type", "title", "detail", "errors"):
                assert problem.get(member) == unknown.json().get(member), path

    assert everything(alice, things) == before


def test_lists_do_not_show_what_is_somebody_elses(
    things: Things, bob: Api, stranger: Api, foreign_admin: Api
) -> None:
    for other in (bob, stranger, foreign_admin):
        for path in ("/api/v1/files", "/api/v1/files?state=deleted", "/api/v1/webhooks"):
            assert answered(other.get(path), 200)["items"] == []
        jobs = answered(other.get(f"/api/v1/jobs?ids={things['job_id']}"), 200)
        assert jobs["items"] == []


def test_an_idempotency_key_is_ones_own(alice: Api, bob: Api, stranger: Api) -> None:
    key = uuid4().hex
    first = answered(alice.submit(text(), Idempotency_Key=key), 201)

    for other in (bob, stranger):
        again = answered(other.submit(text(), Idempotency_Key=key), 201)
        assert again["id"] != first["id"]
        assert again["s3_key"] != first["s3_key"]


def test_the_admin_of_a_tenant_sees_what_its_users_have(
    things: Things, alice: Api, admin: Api
) -> None:
    seen = everything(admin, things)
    for each in seen:
        each.pop("timeline", None)

    assert seen == everything(alice, things)


def test_a_webhook_of_another_tenants_admin_hears_nothing(
    alice: Api, bob: Api, foreign_admin: Api, books: Books
) -> None:
    hook = {"url": "https://93.184.215.14/hook", "events": ["file.ready"]}
    for other in (bob, foreign_admin):
        answered(other.post("/api/v1/webhooks", json=hook), 201)

    before = books.count("deliveries")
    alice.stored(text())

    assert books.count("deliveries") == before


def test_only_an_admin_sees_what_the_service_does_by_itself(alice: Api, admin: Api) -> None:
    refused(alice.get("/api/v1/admin/sweeps"), 403, "forbidden")

    assert answered(admin.get("/api/v1/admin/sweeps"), 200)["items"]


@pytest.mark.parametrize(
    "odd",
    [
        "0",
        "42",
        "none",
        "null",
        "x" * 300,
        "01890000-0000-7000-8000-00000000000",
        "01890000-0000-7000-8000-0000000000000",
        "01890000000070008000000000000000",
        "{01890000-0000-7000-8000-000000000000}",
        "urn:uuid:01890000-0000-7000-8000-000000000000",
        "01890000-0000-7000-8000-00000000000G",
        "%00",
        "%0a",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..%5c..%5cetc",
        "%ff%fe",
        "'%20OR%20'1'='1",
        "%E2%80%AE",
        "~root",
        "*",
        ";",
    ],
)
def test_an_id_of_another_form_is_unknown(
    document: dict[str, Any], admin: Api, books: Books, odd: str
) -> None:
    with books.unchanged():
        for method, path in with_ids(document):
            names = ("upload_id", "job_id", "file_id", "webhook_id", "grant_id")
            answer = ask(admin, method, path, dict.fromkeys(names, odd))
            assert answer.status_code in {404, 405}, f"{method} {path}: {answer.text}"


@pytest.mark.parametrize("change", [str.upper, lambda text: text.replace("-", "")])
def test_an_id_has_one_spelling(alice: Api, change: Any) -> None:
    file = alice.stored(text())

    refused(alice.get(f"/api/v1/files/{change(file['id'])}"), 404, "file_not_found")


def test_a_user_of_a_tenant_is_not_one_whose_name_begins_alike(
    alice: Api, callers: Callers
) -> None:
    file = alice.stored(text())

    for name in ("alic", "alice2", "Alice", "ALICE", "alice ", "%", "alice%", "*"):
        refused(callers(name).get(f"/api/v1/files/{file['id']}"), 404)
        assert answered(callers(name).get("/api/v1/files"), 200)["items"] == []
    for tenant in (alice.tenant[:-1], f"{alice.tenant}0", alice.tenant.upper()):
        refused(callers("alice", tenant=tenant).get(f"/api/v1/files/{file['id']}"), 404)


def with_ids(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the documented routes with an id; the signed links of the local store have none."""
    return [
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if "_id}" in path
    ]


def ask(api: Api, method: str, path: str, things: Things) -> requests.Response:
    filled = path.format(**things, number="1", name="small", filename="beach.jpg")
    said: dict[str, Any] = {}
    if method == "PUT":
        said = {"data": b"efgh"}
    elif method in {"POST", "PATCH"}:
        said = {"json": {}}
    answer: requests.Response = api.request(method, filled, **said)
    return answer


def everything(api: Api, things: Things) -> list[Any]:
    paths = ("uploads/{upload_id}", "jobs/{job_id}", "files/{file_id}", "webhooks/{webhook_id}")
    return [answered(api.get(f"/api/v1/{path.format(**things)}"), 200) for path in paths]
