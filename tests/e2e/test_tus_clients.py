"""The clients that people have, as they come: tus-js-client, Uppy, tuspy, aiotus."""

import asyncio
import gc
import hashlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import aiotus
import pytest
from tusclient.client import TusClient
from tusclient.storage.filestorage import FileStorage

from tests.support.api import Api
from tests.support.browser import CHROMIUM, told_by
from tests.support.clients import Clients, lines
from tests.support.tus import Tus

MIB = 1024**2


@pytest.fixture
def sent_file(tmp_path: Path) -> Path:
    """A text of 12 MiB, which no part of is like another."""
    path = tmp_path / "lines.txt"
    path.write_bytes(b"".join(b"%015d\n" % number for number in range(12 * MIB // 16)))
    return path


@pytest.fixture
def said(alice: Api, sent_file: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "endpoint": f"{alice.base_url}/tus/",
        "headers": {"Authorization": f"Bearer {alice.token}"},
        "metadata": {"filename": "lines.txt", "filetype": "text/plain"},
        "path": str(sent_file),
        "storage": str(tmp_path / "urls.json"),
    }


def url_of(told: list[dict[str, Any]]) -> str:
    assert "url" in told[-1], told[-3:]
    return str(told[-1]["url"])


def is_file(api: Api, url: str, path: Path) -> bool:
    job = Tus(api).job(url)
    assert job["state"] == "succeeded", job
    same: bool = job["file"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    return same


def test_tus_js_client_sends_a_file_in_one_go(
    alice: Api, clients: Clients, said: dict[str, Any], sent_file: Path
) -> None:
    told = clients.told("tus.mjs", said)

    assert is_file(alice, url_of(told), sent_file)
    assert [each["job"] for each in told if each.get("method") == "PATCH"] != [None]


def test_a_killed_client_resumes_where_it_was(
    alice: Api, clients: Clients, said: dict[str, Any], sent_file: Path
) -> None:
    cut = said | {"options": {"chunkSize": MIB}}
    with clients.running("tus.mjs", cut) as process:
        for each in lines(process):
            if each.get("sent", 0) > 5 * MIB:
                break  # and is killed

    told = clients.told("tus.mjs", cut)

    assert told[0] == {"resumes": True}
    patches = [each for each in told if each.get("method") == "PATCH"]
    assert 1 <= len(patches) <= 8  # of twelve
    assert is_file(alice, url_of(told), sent_file)


def test_parallel_uploads_become_one_file(
    alice: Api, clients: Clients, said: dict[str, Any], sent_file: Path
) -> None:
    told = clients.told("tus.mjs", said | {"options": {"parallelUploads": 4}})

    assert is_file(alice, url_of(told), sent_file)


def test_the_length_may_be_known_at_the_end(
    alice: Api, clients: Clients, said: dict[str, Any], sent_file: Path
) -> None:
    options = {"uploadLengthDeferred": True, "chunkSize": 5 * MIB}

    told = clients.told("tus.mjs", said | {"options": options})

    assert is_file(alice, url_of(told), sent_file)


def test_the_first_bytes_may_come_with_the_creation(
    alice: Api, clients: Clients, said: dict[str, Any], sent_file: Path
) -> None:
    told = clients.told("tus.mjs", said | {"options": {"uploadDataDuringCreation": True}})

    assert is_file(alice, url_of(told), sent_file)
    assert "PATCH" not in {each.get("method") for each in told}


def test_what_is_aborted_is_terminated(clients: Clients, said: dict[str, Any]) -> None:
    told = clients.told("tus.mjs", said | {"options": {"chunkSize": MIB}, "abortAfter": 3 * MIB})

    assert told[-1] == {"aborted": True}
    assert ("DELETE", 204) in {(each.get("method"), each.get("status")) for each in told}


@pytest.mark.parametrize("with_token", [True, False])
def test_what_is_aborted_when_it_is_whole_is_terminated_without_an_error(
    clients: Clients, said: dict[str, Any], with_token: bool
) -> None:
    headers = said["headers"] if with_token else {}

    told = clients.told("tus.mjs", said | {"abortAtEnd": headers})

    assert {"aborted": True} in told, told[-3:]
    assert ("DELETE", 204) in {(each.get("method"), each.get("status")) for each in told}


def test_files_of_any_name_keep_it(alice: Api, clients: Clients, said: dict[str, Any]) -> None:
    named = said | {"metadata": {"filename": "日本 & é.txt", "filetype": "text/plain", "team": "7"}}

    job = Tus(alice).job(url_of(clients.told("tus.mjs", named)))

    assert job["file"]["filename"] == "日本 & é.txt"
    assert job["file"]["metadata"] == {"team": "7"}


_LEAVES_FILES_OPEN = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture
def tuspy(alice: Api, sent_file: Path, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Return uploaders of the file that remember its URL."""
    headers = {"Authorization": f"Bearer {alice.token}"}
    client: Any = TusClient(f"{alice.base_url}/tus/", headers=headers)
    storage: Any = FileStorage

    def uploader(**said: Any) -> Any:
        remembered = {"store_url": True, "url_storage": storage(str(tmp_path / "urls"))}
        return client.uploader(str(sent_file), chunk_size=5 * MIB, **remembered, **said)

    yield uploader
    gc.collect()  # so that what it leaves open is its own test's


@_LEAVES_FILES_OPEN
def test_tuspy_sends_chunks_with_checksums(
    alice: Api, tuspy: Callable[..., Any], sent_file: Path
) -> None:
    uploader = tuspy(metadata={"filename": "lines.txt"}, upload_checksum=True)

    uploader.upload()

    assert is_file(alice, uploader.url, sent_file)


@_LEAVES_FILES_OPEN
def test_tuspy_resumes_and_needs_no_metadata(
    alice: Api, tuspy: Callable[..., Any], sent_file: Path
) -> None:
    first = tuspy()
    first.upload_chunk()

    second = tuspy()

    assert (second.url, second.offset) == (first.url, 5 * MIB)
    second.upload()
    assert is_file(alice, second.url, sent_file)


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
def test_aiotus_sends_a_file_and_one_in_parts(alice: Api, sent_file: Path) -> None:
    endpoint, headers = f"{alice.base_url}/tus/", {"Authorization": f"Bearer {alice.token}"}
    named = {"filename": b"lines.txt"}

    content = sent_file.read_bytes()

    async def send() -> list[str]:
        one = await aiotus.upload(endpoint, BytesIO(content), named, headers=headers)
        parts = [BytesIO(content[: 5 * MIB]), BytesIO(content[5 * MIB :])]
        many = await aiotus.upload_multiple(endpoint, parts, named, headers=headers)
        return [str(one), str(many)]

    for url in asyncio.run(send()):
        assert is_file(alice, url, sent_file)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt install chromium")
def test_uppy_in_a_browser_sends_files_from_another_origin(
    alice: Api, clients: Clients, tmp_path: Path
) -> None:
    names = {"one.txt": 3 * MIB, "zwei & drei.txt": 10, "é.txt": 6 * MIB + 1}
    said = {
        "endpoint": f"{alice.base_url}/tus/",
        "headers": {"Authorization": f"Bearer {alice.token}"},
        "options": {"chunkSize": 5 * MIB},
        "files": [
            {"name": name, "size": size, "type": "text/plain", "meta": {"team": "7"}}
            for name, size in names.items()
        ],
    }

    told = told_by("uppy.html", clients.folder, tmp_path / "profile", said)

    assert told.get("failed") == [], told
    found = {each["name"]: Tus(alice).job(each["url"])["file"] for each in told["successful"]}
    assert {name: file["size"] for name, file in found.items()} == names
    assert {file["metadata"]["team"] for file in found.values()} == {"7"}
    content = bytes(97 + index % 23 for index in range(3 * MIB))
    assert found["one.txt"]["sha256"] == hashlib.sha256(content).hexdigest()
