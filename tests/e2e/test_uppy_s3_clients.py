"""Uppy's S3 plugin as it comes: version 6 in a browser, version 5 in Node."""

import hashlib
import re
import threading
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pytest

from tests.e2e.books import Books
from tests.e2e.test_uppy_s3 import file_of
from tests.support.api import Api, answered
from tests.support.browser import CHROMIUM, told_by
from tests.support.clients import Clients
from tests.support.stack import ROOT, Stack
from tests.support.waiting import eventually

MIB: Final = 1024**2
NAMES: Final = {"one.txt": 3 * MIB, "zwei & drei.txt": 12 * MIB + 5, "é.txt": 10}

Show = Callable[..., dict[str, Any]]

in_a_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no chromium: apt install chromium"
)


@pytest.fixture
def grant(alice: Api) -> dict[str, Any]:
    return answered(alice.post("/api/v1/upload-grants", json={}), 201)


@pytest.fixture
def show(clients: Clients, tmp_path: Path) -> Show:
    """Let the browser send files; return what it tells of them."""

    def shown(
        names: dict[str, int], *, meta: Any = MappingProxyType({"team": "7"}), **said: Any
    ) -> dict[str, Any]:
        files = [
            {"name": name, "size": size, "type": "text/plain", "meta": dict(meta)}
            for name, size in names.items()
        ]
        whole = {"files": files, **said}
        return told_by("uppy-s3.html", clients.folder, tmp_path / "profile", whole)

    return shown


def sent(size: int) -> str:
    """Return the SHA-256 of what the page sends."""
    content = bytes(range(97, 120)) * (size // 23 + 1)
    return hashlib.sha256(content[:size]).hexdigest()


def digests(api: Api, told: dict[str, Any]) -> dict[str, str]:
    assert told.get("failed") == [], told
    found = [file_of(api, each["key"].rpartition("/")[2]) for each in told["successful"]]
    return {file["filename"]: file["sha256"] for file in found}


@in_a_browser
@pytest.mark.parametrize("multipart", [False, True])
@pytest.mark.parametrize("way", ["companionUrl", "signUrl"])
def test_version_6_sends_files_from_another_origin(
    alice: Api, grant: dict[str, Any], show: Show, way: str, *, multipart: bool
) -> None:
    address = grant["companion_url" if way == "companionUrl" else "sign_url"]

    told = show(NAMES, **{way: address}, options={"shouldUseMultipart": multipart})

    assert digests(alice, told) == {name: sent(size) for name, size in NAMES.items()}
    assert told["parts"] == (3 if multipart else 0)


@in_a_browser
@pytest.mark.parametrize("way", ["companionUrl", "signUrl"])
def test_version_6_goes_on_after_a_pause_with_what_is_there(
    alice: Api, grant: dict[str, Any], show: Show, stack: Stack, way: str
) -> None:
    address = grant["companion_url" if way == "companionUrl" else "sign_url"]
    options = {"shouldUseMultipart": True}

    told = show({"long.txt": 17 * MIB}, **{way: address}, options=options, pauseAfter=2)

    assert digests(alice, told) == {"long.txt": sent(17 * MIB)}
    (each,) = told["successful"]
    listed = re.compile(f"method=GET path=/s3/\\S*/{each['key'].rpartition('/')[2]} .*status=200")
    assert any(listed.search(line) for line in stack.log)
    assert each["location"].startswith(f"{alice.base_url}/api/v1/jobs/")


@in_a_browser
@pytest.mark.parametrize(
    ("way", "call", "count"), [("companionUrl", "/2", 1), ("signUrl", "/sign", 3)]
)
def test_version_6_goes_on_when_the_web_was_killed(
    alice: Api, grant: dict[str, Any], show: Show, stack: Stack, way: str, call: str, count: int
) -> None:
    address = grant["companion_url" if way == "companionUrl" else "sign_url"]
    begun = len(stack.log)

    def kill() -> None:
        signed = re.compile(rf"path=/s3/\S*{call} .*status=200")
        eventually(lambda: len(list(filter(signed.search, stack.log[begun:]))) >= count, 30)
        stack.process("web").kill()

    killer = threading.Thread(target=kill)
    killer.start()
    said = {"options": {"shouldUseMultipart": True}, "pauseAfter": 2, "pauseFor": 600}
    told = show({"long.txt": 17 * MIB}, **{way: address}, **said, retries=40)
    killer.join()

    assert told["failures"]
    assert digests(alice, told) == {"long.txt": sent(17 * MIB)}
    assert len(answered(alice.get("/api/v1/files"), 200)["items"]) == 1


@in_a_browser
def test_version_6_goes_on_when_the_answer_to_the_end_was_lost(
    alice: Api, grant: dict[str, Any], show: Show, books: Books
) -> None:
    said = {"options": {"shouldUseMultipart": True}, "loses": "/complete", "retries": 1}

    told = show({"long.txt": 11 * MIB}, companionUrl=grant["companion_url"], **said)

    assert len(told["failures"]) == 1
    assert digests(alice, told) == {"long.txt": sent(11 * MIB)}
    assert told["parts"] == 3  # none was sent again
    assert books.count("uploads", tenant=alice.tenant) == 1


def examples() -> list[str]:
    """Return the configurations that the documents show: of version 5, and two ways of 6."""
    found = re.findall("```js\n(.*?)```", (ROOT / "docs" / "uppy.md").read_text(), re.DOTALL)
    assert len(found) == 3
    return list(found)


META: Final = {"folder": "reports", "team": "7", "secret": "not to be sent"}


def as_documented(file: dict[str, Any]) -> None:
    assert (file["folder"], file["metadata"]) == ("reports", {"team": "7"})


@in_a_browser
@pytest.mark.parametrize("number", [1, 2])
def test_the_configurations_of_version_6_in_the_documents_work(
    alice: Api, grant: dict[str, Any], show: Show, number: int
) -> None:
    told = show({"a.txt": 10}, example=examples()[number], grant=grant, meta=META)

    assert told["failed"] == []
    as_documented(file_of(alice, told["successful"][0]["key"].rpartition("/")[2]))


@pytest.mark.parametrize("multipart", [False, True])
def test_the_configuration_of_version_5_in_the_documents_works(
    alice: Api, clients: Clients, said: dict[str, Any], *, multipart: bool
) -> None:
    example = examples()[0].replace("http://127.0.0.1:8080", alice.base_url)
    more = {"example": example, "token": alice.token, "multipart": multipart, "meta": META}

    told = clients.told("uppy-5.mjs", said | more)

    as_documented(file_of(alice, told[-1]["body"]["key"].rpartition("/")[2]))


@in_a_browser
@pytest.mark.parametrize("multipart", [False, True])
def test_version_6_without_a_grant_is_refused(
    stack: Stack, show: Show, books: Books, *, multipart: bool
) -> None:
    with books.unchanged():
        told = show(
            {"long.txt": 6 * MIB},
            companionUrl=stack.base_url,
            options={"shouldUseMultipart": multipart},
        )

    (failed,) = told["failed"]
    assert failed["error"].upper() == "COMPANION REQUEST FAILED: UNAUTHORIZED"


@in_a_browser
def test_version_6_is_told_why_the_store_is_not_for_it(
    alice: Api, grant: dict[str, Any], show: Show
) -> None:
    told = show(
        {"long.txt": 11 * MIB},
        signUrl=grant["sign_url"],
        revokes={
            "url": f"{alice.base_url}/api/v1/upload-grants/{grant['id']}",
            "token": alice.token,
        },
        options={"shouldUseMultipart": True},
    )

    assert told["failed"][0]["error"] == "There is no such upload grant."
    assert told["successful"] == []


@in_a_browser
def test_version_6_cancels(alice: Api, grant: dict[str, Any], show: Show, books: Books) -> None:
    told = show(
        {"long.txt": 17 * MIB},
        companionUrl=grant["companion_url"],
        options={"shouldUseMultipart": True},
        cancelAfter=1,
    )

    assert told["cancelled"]
    assert answered(alice.get("/api/v1/files"), 200)["items"] == []
    assert books.count("uploads", tenant=alice.tenant, state="cancelled") == 1


@pytest.fixture
def said(alice: Api, tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"".join(b"%015d\n" % number for number in range(17 * MIB // 16)))
    return {
        "endpoint": alice.base_url,
        "headers": {"Authorization": f"Bearer {alice.token}"},
        "path": str(path),
        "name": "long & é.txt",
        "type": "text/plain",
        "meta": {"team": "7"},
    }


def test_version_5_sends_a_file_in_parts_at_once(
    alice: Api, clients: Clients, said: dict[str, Any]
) -> None:
    told = clients.told("uppy-5.mjs", said | {"multipart": True})

    assert sorted(each["part"] for each in told[:-1]) == [1, 2, 3, 4]
    assert told[0]["etag"].startswith('"')
    job = alice.ended(told[-1]["body"]["job_id"])
    assert job["state"] == "succeeded", job
    file = job["file"]
    assert (file["filename"], file["metadata"]) == ("long & é.txt", {"team": "7"})
    assert file["sha256"] == hashlib.sha256(Path(said["path"]).read_bytes()).hexdigest()


def test_version_5_sends_a_file_by_a_form(
    alice: Api, clients: Clients, said: dict[str, Any]
) -> None:
    told = clients.told("uppy-5.mjs", said | {"multipart": False})

    file = file_of(alice, told[-1]["body"]["key"].rpartition("/")[2])
    assert (file["filename"], file["metadata"]) == ("long & é.txt", {"team": "7"})
    assert file["sha256"] == hashlib.sha256(Path(said["path"]).read_bytes()).hexdigest()


def test_version_5_sends_by_a_grant_without_headers(
    alice: Api, clients: Clients, grant: dict[str, Any], said: dict[str, Any]
) -> None:
    granted = {"endpoint": grant["companion_url"], "headers": {}, "multipart": True}

    told = clients.told("uppy-5.mjs", said | granted)

    assert alice.ended(told[-1]["body"]["job_id"])["state"] == "succeeded"


def test_version_5_goes_on_after_a_pause_with_what_is_there(
    alice: Api, clients: Clients, said: dict[str, Any], stack: Stack
) -> None:
    paused = {"multipart": True, "pauseAfter": 2, "options": {"limit": 1}}

    told = clients.told("uppy-5.mjs", said | paused)

    body = told[-1]["body"]
    job = alice.ended(body["job_id"])
    assert job["file"]["sha256"] == hashlib.sha256(Path(said["path"]).read_bytes()).hexdigest()
    listed = re.compile(f"method=GET path=/s3/multipart/{body['upload_id']} .*status=200")
    assert any(listed.search(line) for line in stack.log)


def test_version_5_cancels(
    alice: Api, clients: Clients, said: dict[str, Any], books: Books
) -> None:
    cancelled = {"multipart": True, "cancelAfter": 1, "options": {"limit": 1}}

    with books.unchanged(uploads=1, direct=1):  # until they are swept
        told = clients.told("uppy-5.mjs", said | cancelled)

    assert "body" not in told[-1]
    assert answered(alice.get("/api/v1/files"), 200)["items"] == []
    assert books.count("uploads", tenant=alice.tenant, state="cancelled") == 1


def test_version_5_is_told_why_it_is_refused(clients: Clients, said: dict[str, Any]) -> None:
    wrong = {"name": "lines.exe", "multipart": True}

    told = clients.told("uppy-5.mjs", said | wrong)

    assert "not allowed" in told[-1]["failed"]
