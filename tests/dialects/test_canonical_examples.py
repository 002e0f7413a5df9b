"""The examples of the document that the canonical API is: as written, with host and token filled in.

Its Python examples await httpx; requests sends the same forms, and says `False` for `false`.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests

from shared.adapters.clock_system import SystemClock
from tests.dialects.conftest import Clients
from tests.support.api import Api
from tests.support.pictures import a_jpeg

PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"


@pytest.fixture
def client(clients: Clients) -> Api:
    return clients("alice")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the examples have their files."""
    (tmp_path / "document.pdf").write_bytes(PDF)
    (tmp_path / "image.jpg").write_bytes(a_jpeg(64, 64))
    (tmp_path / "report.pdf").write_bytes(PDF)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def auth(client: Api) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.token}"}


def uploaded(client: Api, **data: Any) -> dict[str, Any]:
    with Path("document.pdf").open("rb") as file:
        response = requests.post(
            f"{client.base_url}/api/v1/files/upload",
            files={"file": file},
            data=data,
            headers=auth(client),
            timeout=60,
        )
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


@pytest.mark.usefixtures("folder")
def test_a_file_is_uploaded(client: Api) -> None:
    data = {"folder": "documents", "description": "Important document", "is_public": False}

    file_data = uploaded(client, **data)

    assert file_data["s3_key"] == f"documents/{file_data['id']}_document.pdf"
    assert (file_data["description"], file_data["is_public"]) == ("Important document", False)


def test_a_file_is_uploaded_with_curl(client: Api, folder: Path) -> None:
    example = f"""
curl -X POST "{client.base_url}/api/v1/files/upload" \\
  -H "Authorization: Bearer {client.token}" \\
  -F "file=@document.pdf" \\
  -F "folder=documents" \\
  -F "description=Important document"
"""

    done = subprocess.run(
        ["/bin/sh", "-c", example], cwd=folder, capture_output=True, check=True, timeout=60
    )

    file_data = json.loads(done.stdout)
    assert (file_data["folder"], file_data["content_type"]) == ("documents", "application/pdf")


@pytest.mark.usefixtures("folder")
def test_a_link_is_made_and_followed_without_a_token(client: Api) -> None:
    file_id = uploaded(client)["id"]

    response = requests.get(
        f"{client.base_url}/api/v1/files/{file_id}/presigned-url",
        params={"expiry": 3600, "force_download": True},
        headers=auth(client),
        timeout=10,
    )

    download_url = response.json()["url"]
    followed = requests.get(download_url, timeout=10)
    assert followed.content == PDF
    assert followed.headers["Content-Disposition"] == "attachment; filename=document.pdf"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("params", "seconds"), [({}, 3600), ({"force_download": True}, 300), ({"expiry": 60}, 60)]
)
def test_a_link_lives_as_long_as_the_settings_of_the_document_say(
    client: Api, params: dict[str, Any], seconds: int
) -> None:
    file_id = uploaded(client)["id"]

    url = client.get(f"/api/v1/files/{file_id}/presigned-url", params=params).json()["url"]

    assert re.findall(r"X-Amz-Expires=(\d+)", url) == [str(seconds)]


def test_a_file_is_downloaded(client: Api, folder: Path) -> None:
    file_id = uploaded(client)["id"]

    response = requests.get(
        f"{client.base_url}/api/v1/files/{file_id}/download",
        params={"as_attachment": True},
        headers=auth(client),
        timeout=10,
    )
    with Path("downloaded_file.pdf").open("wb") as file:
        file.write(response.content)

    assert (folder / "downloaded_file.pdf").read_bytes() == PDF
    assert response.headers["Content-Disposition"].startswith("attachment;")


@pytest.mark.usefixtures("folder")
def test_what_is_said_of_a_file_is_shown_with_what_the_store_says(client: Api) -> None:
    file_id = uploaded(client, metadata=json.dumps({"n": 1}))["id"]

    response = requests.get(
        f"{client.base_url}/api/v1/files/{file_id}/metadata", headers=auth(client), timeout=10
    )

    metadata = response.json()
    assert (metadata["content_type"], metadata["file_size"]) == ("application/pdf", len(PDF))
    assert metadata["metadata"] == {"n": 1}
    assert re.fullmatch(r"[0-9a-f]{32}", metadata["etag"])
    assert metadata["last_modified"][:4] == str(SystemClock().now().year)


@pytest.mark.usefixtures("folder")
def test_a_picture_is_uploaded_with_custom_metadata(client: Api) -> None:
    said = {"category": "profile", "tags": ["user", "avatar"], "processed": False}

    with Path("image.jpg").open("rb") as file:
        response = requests.post(
            f"{client.base_url}/api/v1/files/upload",
            files={"file": file},
            data={"folder": "images", "metadata": json.dumps(said)},
            headers=auth(client),
            timeout=60,
        )

    assert (response.status_code, response.json()["metadata"]) == (201, said)


@pytest.mark.usefixtures("folder")
def test_a_folder_is_chosen_for_each_upload(client: Api) -> None:
    user_id = 42

    key = uploaded(client, folder=f"users/{user_id}/documents")["s3_key"]

    assert key.startswith("users/42/documents/")


@pytest.mark.usefixtures("folder")
def test_a_file_is_copied_to_the_archives(client: Api) -> None:
    source = uploaded(client)

    response = requests.post(
        f"{client.base_url}/api/v1/files/{source['id']}/copy",
        json={
            "new_folder": "archives",
            "new_metadata": {"archived": True, "date": "2025-01-15"},
        },
        headers=auth(client),
        timeout=10,
    )

    copy = response.json()
    assert response.status_code == 201
    assert copy["s3_key"] == f"archives/{copy['id']}_document.pdf"
    assert copy["metadata"] == {"archived": True, "date": "2025-01-15"}
    assert client.download(copy["id"]).content == PDF


@pytest.mark.usefixtures("folder")
def test_a_file_is_deleted_softly_and_for_good(client: Api) -> None:
    soft, hard = uploaded(client), uploaded(client)

    for url in (
        f"{client.base_url}/api/v1/files/{soft['id']}",
        f"{client.base_url}/api/v1/files/{hard['id']}?hard_delete=true",
    ):
        assert requests.delete(url, headers=auth(client), timeout=10).status_code == 204

    assert client.post(f"/api/v1/files/{soft['id']}/restore").status_code == 200
    assert client.post(f"/api/v1/files/{hard['id']}/restore").status_code == 404


def test_upload_file(client: Api) -> None:
    files = {"file": ("test.pdf", b"fake pdf content", "application/pdf")}

    response = client.post("/api/v1/files/upload", files=files, headers=auth(client))

    assert response.status_code == 201
    data = response.json()
    assert "id" in data
    assert "s3_key" in data
    assert (data["content_type"], data["declared_type"]) == ("text/plain", "application/pdf")
