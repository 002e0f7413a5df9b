"""The numbered dialect's document: its own examples, as they stand but for host and token."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from tests.dialects.conftest import Clients
from tests.support.api import Api
from tests.support.examples import Desk
from tests.support.samples import pdf, picture
from tests.support.stack import Stack

UPLOAD: Final = """\
curl -X POST http://localhost:8000/api/files/upload \\
  -H "Authorization: Bearer {token}" \\
  -F "file=@document.pdf"
"""
LIST: Final = """\
curl -H "Authorization: Bearer {token}" \\
  "http://localhost:8000/api/files?category=document&limit=10"
"""
JAVASCRIPT: Final = """\
const fileInput = document.getElementById('file-input');
const file = fileInput.files[0];

const formData = new FormData();
formData.append('file', file);

const response = await fetch('/api/files/upload', {
  method: 'POST',
  headers: {
    'Authorization': `Bearer ${token}`
  },
  body: formData
});

const { cdn_url, file_id } = await response.json();
console.log('Uploaded:', cdn_url);
"""


@pytest.fixture
def client(clients: Clients) -> Api:
    return clients(123)


@pytest.fixture
def desk(stack: Stack, tmp_path: Path) -> Desk:
    (tmp_path / "document.pdf").write_bytes(pdf())
    (tmp_path / "screenshot.jpg").write_bytes(picture("JPEG"))
    return Desk(tmp_path, stack.base_url, stack.environment)


def filled_in(example: str, client: Api) -> str:
    return example.replace("{token}", str(client.token))


def test_the_upload_by_curl_is_answered_as_the_document_shows(desk: Desk, client: Api) -> None:
    said: dict[str, Any] = json.loads(desk.shell(filled_in(UPLOAD, client)))

    assert (said["file_id"], said["category"]) == (1, "document")
    assert (said["content_type"], said["original_filename"]) == ("application/pdf", "document.pdf")
    # The last of it only where there is one of that name and second.
    key = r"uploads/123/\d{8}_\d{6}_document(_[0-9a-f]{12})?\.pdf"
    assert re.fullmatch(key, said["file_key"])
    assert said["url"].endswith(said["file_key"])


def test_the_list_by_curl_shows_what_was_uploaded(desk: Desk, client: Api) -> None:
    desk.shell(filled_in(UPLOAD, client))

    said = json.loads(desk.shell(filled_in(LIST, client)))

    assert (said["total"], said["limit"], said["offset"]) == (1, 10, 0)
    assert [file["original_filename"] for file in said["files"]] == ["document.pdf"]


def test_the_script_of_a_page_uploads_the_file_of_its_input(desk: Desk, client: Api) -> None:
    said = desk.javascript(JAVASCRIPT, filename="screenshot.jpg", token=str(client.token))

    assert said == "Uploaded: null\n"  # there is no CDN before this copy
    listed = client.get("/api/files?category=image").json()
    assert [file["original_filename"] for file in listed["files"]] == ["screenshot.jpg"]
