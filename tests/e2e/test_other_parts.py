"""The same life of an upload on other parts: PostgreSQL for rows, a folder for objects."""

import hashlib
from collections.abc import Iterator

import pytest
import requests

from tests.support.api import Api, answered
from tests.support.pictures import a_jpeg
from tests.support.servers import postgresql_database
from tests.support.stack import Stack, a_stack


@pytest.fixture(scope="module")
def stack(postgres_server: str) -> Iterator[Stack]:
    with (
        postgresql_database(postgres_server) as url,
        a_stack(DATABASE_URL=url, STORAGE_BACKEND="local") as running,
    ):
        yield running


def test_a_photo_becomes_a_file_on_postgresql_and_a_folder(stack: Stack) -> None:
    photo = a_jpeg(800, 600)
    with Api(stack.base_url, stack.token("alice")) as alice:
        job = alice.chunked(photo, "photo.jpg", chunk_size=10_000)
        file = job["file"]
        link = answered(alice.get(f"/api/v1/files/{file['id']}/presigned-url"), 200)["url"]
        part = alice.download(file["id"], Range="bytes=10-19")

        assert job["state"] == "succeeded"
        assert file["sha256"] == hashlib.sha256(photo).hexdigest()
        assert [each["name"] for each in file["thumbnails"]] == ["small", "medium", "large"]
        assert (part.status_code, part.content) == (206, photo[10:20])
        assert requests.get(link, timeout=10).content == photo
        assert requests.get(f"{link}x", timeout=10).status_code == 404
        assert alice.delete(f"/api/v1/files/{file['id']}?hard_delete=true").status_code == 204
        assert requests.get(link, timeout=10).status_code == 404


def test_only_what_is_not_configured_is_embedded(stack: Stack) -> None:
    with pytest.raises(AssertionError):
        stack.process("s3")
    assert not (stack.data_dir / "sluice.db").exists()
    assert requests.get(f"{stack.base_url}/readyz", timeout=10).status_code == 200
