"""A client of `/upload` as its document shows it, for the tests of that dialect."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import requests

from tests.e2e.books import Books
from tests.support.api import Api
from tests.support.waiting import eventually

PATH: Final = "/upload"
NUMBER: Final = 123


def said(response: requests.Response, status: int) -> dict[str, Any]:
    """Return the body of an answer that has to have this status, in the dialect's shape."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    body: dict[str, Any] = response.json()
    assert body["status"] == ("success" if status < 400 else "error")
    if status >= 400:
        assert body["message"]
        assert body["code"]
    return body


def init(client: Api, filename: str = "audio.mp3", number: Any = NUMBER) -> requests.Response:
    asked = {"main_service_file_id": number, "original_file_name": filename}
    answer: requests.Response = client.post(f"{PATH}/init", json=asked)
    return answer


def session(client: Api, filename: str = "audio.mp3", number: Any = NUMBER) -> str:
    opened: str = said(init(client, filename, number), 200)["data"]["upload_session_id"]
    return opened


def chunk(client: Api, opened: str, index: Any, content: bytes) -> requests.Response:
    """Send a chunk as its document says, the fields first."""
    answer: requests.Response = client.post(
        f"{PATH}/chunk",
        data={"upload_session_id": opened, "chunk_index": str(index)},
        files={"chunk": ("blob", content)},
    )
    return answer


def complete(
    client: Api, opened: str, total: Any, number: Any = NUMBER, **more: Any
) -> requests.Response:
    asked = {"upload_session_id": opened, "total_chunks": total, "main_service_file_id": number}
    answer: requests.Response = client.post(f"{PATH}/complete", json={**asked, **more})
    return answer


def sent(client: Api, opened: str, chunks: Sequence[bytes] | Mapping[int, bytes]) -> None:
    numbered = chunks if isinstance(chunks, Mapping) else dict(enumerate(chunks))
    for index, content in numbered.items():
        assert said(chunk(client, opened, index, content), 200) == {
            "status": "success",
            "message": "Chunk uploaded successfully.",
        }


def stored(
    client: Api, content: bytes, filename: str = "audio.mp3", number: Any = NUMBER, pieces: int = 3
) -> tuple[str, dict[str, Any]]:
    """Upload a file in chunks of one size; return its session and what its end was answered."""
    opened = session(client, filename, number)
    length = -(-len(content) // pieces)
    cut = [content[start : start + length] for start in range(0, len(content), length)]
    sent(client, opened, cut)
    return opened, said(complete(client, opened, len(cut), number), 200)


def delete(client: Api, opened: Any) -> requests.Response:
    answer: requests.Response = client.delete(f"{PATH}/file", json={"upload_session_id": opened})
    return answer


def listed(client: Api) -> list[str]:
    body = said(client.get(f"{PATH}/files"), 200)
    assert set(body) == {"status", "files"}
    files: list[str] = body["files"]
    return files


def cleared(books: Books) -> None:
    """Return when nothing is left in staging of what is a file: that follows the answer."""

    def is_cleared() -> bool:
        found = {name.split("/")[1] for name in books.staged()}
        return not any(books.count("uploads", id=each, state="ready") for each in found)

    eventually(is_cleared, 20)
