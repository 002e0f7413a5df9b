"""The contract as the service tells it, and the routes as they answer."""

import re
from http import HTTPStatus
from typing import Any, Final

import pytest
import requests
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.support.api import Api, answered, refused
from tests.support.pictures import a_jpeg
from tests.support.samples import text
from tests.support.stack import Stack
from tests.support.waiting import eventually

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
NOBODYS: Final = "01890000-0000-7000-8000-000000000000"
Document = dict[str, Any]


def test_the_document_is_openapi_3_1(document: Document) -> None:
    assert document["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_every_operation_tells_what_it_does_and_answers(document: Document) -> None:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            told = f"{method} {path}"
            assert operation["summary"], told
            assert operation["operationId"], told
            assert any(status.startswith("2") for status in operation["responses"]), told
            named = set(re.findall(r"{(\w+)}", path))
            said = {
                each["name"] for each in operation.get("parameters", []) if each["in"] == "path"
            }
            assert named == said, told


def test_operations_have_names_of_their_own(document: Document) -> None:
    names = [each["operationId"] for way in document["paths"].values() for each in way.values()]

    assert len(set(names)) == len(names)


def test_every_documented_operation_does_what_it_is_for(
    document: Document, alice: Api, admin: Api, anybody: Api, manners_seen: set[tuple[str, str]]
) -> None:
    """Each answer is held against its model on the way, by the client."""
    opened = alice.open_upload(size=len(text()), is_public=True)
    upload = f"/api/v1/uploads/{opened['id']}"
    alice.put_chunk(opened["id"], 0, text())
    answered(alice.get(upload), 200)
    job = alice.ended(alice.complete(opened["id"])["id"])
    alice.get(f"/api/v1/jobs?ids={job['id']}")
    alice.get(f"/api/v1/jobs/{job['id']}/events")
    refused(admin.post(f"/api/v1/jobs/{job['id']}/retry"), 409)
    straight = alice.open_upload(transfer="direct")["id"]
    answered(alice.get(f"/api/v1/uploads/{straight}/targets"), 200)
    alice.delete(f"/api/v1/uploads/{straight}")
    grant = answered(alice.post("/api/v1/upload-grants", json={}), 201)
    alice.delete(f"/api/v1/upload-grants/{grant['id']}")
    file = alice.stored(a_jpeg(64, 64), "beach.jpg")
    for path in ("", "/metadata", "/download", "/presigned-url", "/thumbnails/small"):
        assert alice.get(f"/api/v1/files/{file['id']}{path}").status_code == 200
    answered(alice.get("/api/v1/files?offset=0"), 200)
    own = f"/api/v1/files/{file['id']}"
    answered(alice.patch(own, json={"description": "a beach"}), 200)
    copy = answered(alice.post(f"{own}/copy", json={}), 201)
    answered(alice.post("/api/v1/files/delete", json={"ids": [copy["id"]]}), 200)
    answered(alice.post(f"/api/v1/files/{copy['id']}/restore"), 200)
    anybody.get(job["file"]["url"])
    refused(anybody.get("/objects/none"), 404)
    hook = {"url": "https://93.184.215.14/", "events": ["file.expired"]}
    made = answered(alice.post("/api/v1/webhooks", json=hook), 201)
    alice.get("/api/v1/webhooks")
    alice.get(f"/api/v1/webhooks/{made['id']}")
    alice.delete(f"/api/v1/webhooks/{made['id']}")
    admin.get("/api/v1/admin/sweeps")
    anybody.get("/healthz")
    anybody.get("/readyz")
    anybody.get("/metrics")
    alice.delete(f"/api/v1/files/{file['id']}")

    documented = {
        (method.upper(), path) for path, way in document["paths"].items() for method in way
    }
    assert documented - manners_seen == set()


@pytest.fixture
def manners_seen(alice: Api, admin: Api, anybody: Api, document: Document) -> set[tuple[str, str]]:
    """The documented operations that these three have called."""
    seen: set[tuple[str, str]] = set()
    patterns = [
        (re.compile(re.sub(r"{\w+}", "[^/]+", path)), path)
        for path in sorted(document["paths"], key=lambda path: path.count("{"))
    ]

    def note(response: requests.Response, *_: Any, **__: Any) -> None:
        path = str(response.request.path_url).partition("?")[0]
        meant = next((way for pattern, way in patterns if pattern.fullmatch(path)), "")
        seen.add((str(response.request.method), meant))

    for api in (alice, admin, anybody):
        api.hooks["response"].append(note)
    return seen


def test_another_method_is_refused_with_those_there_are(document: Document, admin: Api) -> None:
    for path, way in document["paths"].items():
        known = {method.upper() for method in way}
        filled = re.sub(r"{(\w+)}", lambda hole: "0" if hole[1] == "number" else NOBODYS, path)
        for method in set(METHODS) - known:
            answer = admin.request(method, filled)
            if answer.status_code == 404:  # another route has this form: /files/upload
                continue
            refused(answer, 405, "method_not_allowed")
            allowed = {each.strip() for each in answer.headers["Allow"].split(",")}
            assert known <= allowed, f"{method} {path}: {allowed}"
            assert allowed <= {*METHODS, "HEAD", "OPTIONS"}


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "BREW", "PATCH"])
def test_a_method_nobody_knows_is_refused(alice: Api, method: str) -> None:
    assert alice.request(method, "/api/v1/files").status_code in {400, 405, 501}


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v1/file",
        "/api/v2/files",
        "/api/v1/files/x/y/z",
        "/metrics/nowhere",
        "/.env",
        "/.git/config",
        "/static/app.js",
        "/openapi.yaml",
        "/flower",
        "/admin",
        "/favicon.ico/x",
        "/" + "x" * 4000,
    ],
)
def test_an_unknown_path_is_a_problem(alice: Api, anybody: Api, path: str) -> None:
    for api in (alice, anybody):
        for method in ("GET", "POST", "DELETE"):
            refused(api.request(method, path), 404, "not_found")


def test_an_unknown_query_parameter_is_ignored(alice: Api) -> None:
    file = alice.stored(text())
    odd = "?colour=red&colour=blue&%00=1&[]=2&_=3"

    for path in (
        "/api/v1/files",
        f"/api/v1/files/{file['id']}",
        f"/api/v1/files/{file['id']}/download",
    ):
        assert alice.get(path + odd).status_code == 200
    assert alice.post(f"/api/v1/uploads{odd}", json={"filename": "notes.txt"}).status_code == 201
    assert alice.delete(f"/api/v1/files/{file['id']}{odd}").status_code == 204


@pytest.mark.parametrize("said", ["mine-42", "A1", "0123456789abcdef0123456789abcdef"])
def test_a_plain_request_id_comes_back(alice: Api, said: str) -> None:
    headers = {"X-Request-ID": said}

    good = alice.get("/api/v1/files", headers=headers)
    bad = alice.get(f"/api/v1/files/{NOBODYS}", headers=headers)

    assert good.headers["X-Request-ID"] == bad.json()["request_id"] == said


@pytest.mark.parametrize("said", ["", "a b", "x" * 65, "<script>", "é", "a,b", "{{1}}", "%0d%0a"])
def test_an_odd_request_id_is_replaced(alice: Api, said: str) -> None:
    answer = alice.get("/api/v1/files", headers={"X-Request-ID": said.encode()})

    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])


def test_browsers_may_ask_from_elsewhere(anybody: Api) -> None:
    asked = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization, content-digest, idempotency-key",
    }

    answer = anybody.options(f"/api/v1/uploads/{NOBODYS}/chunks/0", headers=asked)

    assert answer.status_code in {200, 204}
    assert answer.headers["Access-Control-Allow-Origin"] in {"*", "https://app.example"}
    assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
    assert "authorization" in answer.headers["Access-Control-Allow-Headers"].lower()
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_refusal_can_be_read_from_elsewhere_too(anybody: Api) -> None:
    answer = anybody.get("/api/v1/files", headers={"Origin": "https://app.example"})

    refused(answer, 401)
    assert answer.headers["Access-Control-Allow-Origin"] in {"*", "https://app.example"}


def test_the_process_says_that_it_lives(anybody: Api) -> None:
    assert answered(anybody.get("/healthz"), 200) == {"status": "ok"}
    assert anybody.head("/healthz").status_code == 200


def test_readiness_names_each_part(anybody: Api) -> None:
    eventually(lambda: anybody.get("/readyz").status_code == HTTPStatus.OK)
    body = answered(anybody.get("/readyz"), 200)

    assert body["status"] == "ready"
    assert set(body["checks"]) == {"database", "redis", "s3", "staging", "worker"}
    assert all(check == {"ok": True} for check in body["checks"].values())


def test_readiness_says_which_part_is_away(anybody: Api, stack: Stack) -> None:
    with stack.paused("s3"):
        # What a part said before is good for a second.
        eventually(lambda: anybody.get("/readyz").status_code == HTTPStatus.SERVICE_UNAVAILABLE)
        answer = anybody.get("/readyz")

    body = answered(answer, 503)
    assert answer.headers["Retry-After"].isdecimal()
    assert body["status"] == "not ready"
    assert [name for name, check in body["checks"].items() if not check["ok"]] == ["s3"]
    assert body["checks"]["s3"]["detail"]
    assert answer.elapsed.total_seconds() < 5
    assert anybody.get("/healthz").status_code == 200
    eventually(lambda: anybody.get("/readyz").status_code == HTTPStatus.OK)


def test_flower_asks_who_comes(stack: Stack) -> None:
    url = stack.env["FLOWER_URL"]
    user, _, password = stack.credentials["FLOWER_BASIC_AUTH"].partition(":")

    def status(path: str, auth: tuple[str, str] | None) -> int:
        return requests.get(f"{url}{path}", auth=auth, timeout=10).status_code

    for path in ("/", "/workers", "/api/workers", "/api/tasks", "/broker"):
        assert status(path, None) == 401, path
        assert status(path, (user, "guess")) == 401, path
    assert status("/", (user, password)) == 200
    stopping = requests.post(f"{url}/api/worker/shutdown/ingest", timeout=10)
    assert stopping.status_code == 401


def test_the_commands_of_the_service_print_what_scripts_want(stack: Stack) -> None:
    names = {
        "BASE_URL",
        "DATABASE_URL",
        "REDIS_URL",
        "S3_ENDPOINT_URL",
        "S3_BUCKET_NAME",
        "S3_ACCESS_KEY_ID",
        "S3_SECRET_ACCESS_KEY",
        "JWT_SECRET_KEY",
        "JWT_ISSUER",
        "JWT_AUDIENCE",
        "FLOWER_URL",
    }

    assert names <= set(stack.env)
    assert stack.env["BASE_URL"] == stack.base_url
