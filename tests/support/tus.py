"""A bare client of tus 1.0, which sends what it is told and looks at what comes back."""

import base64
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from tests.support.api import Api
from tests.support.waiting import eventually

BODY: Final = "application/offset+octet-stream"


def metadata(**said: str) -> str:
    return ",".join(
        f"{key} {base64.b64encode(text.encode()).decode()}" for key, text in said.items()
    )


class Tus:
    """One client; `upload` headers are those of each request, underscores standing for hyphens."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def ask(self, method: str, url: str, body: Any = None, **headers: str) -> requests.Response:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        named: dict[str, Any] = {"Tus-Resumable": "1.0.0"} | said
        # What is said to be None is not sent.
        response: requests.Response = self.api.request(method, url, data=body, headers=named)
        return response

    def create(self, size: int | None = None, body: bytes | None = None, **headers: str) -> str:
        """Open an upload; return its URL."""
        length = {} if size is None else {"Upload_Length": str(size)}
        typed = {} if body is None else {"Content_Type": BODY}
        answer = self.ask("POST", "/tus/", body, **{**length, **typed, **headers})
        assert answer.status_code == 201, answer.text
        return str(answer.headers["Location"])

    def head(self, url: str, **headers: str) -> Mapping[str, str]:
        answer = self.ask("HEAD", url, **headers)
        assert answer.status_code == 200, answer.status_code
        return answer.headers

    def offset(self, url: str) -> int:
        return int(self.head(url)["Upload-Offset"])

    def patch(self, url: str, offset: int | str, body: Any, **headers: str) -> requests.Response:
        said = {"Content_Type": BODY, "Upload_Offset": str(offset)} | headers
        return self.ask("PATCH", url, body, **said)

    def sent(self, url: str, content: bytes, offset: int = 0) -> Mapping[str, str]:
        answer = self.patch(url, offset, content)
        assert answer.status_code == 204, answer.text
        return answer.headers

    def job(self, url: str) -> dict[str, Any]:
        """Return the job of a whole upload, once it has ended."""
        named = self.head(url)["Upload-Job"]
        found = eventually(lambda: self._ended(named), 30)
        assert isinstance(found, dict)
        return found

    def _ended(self, url: str) -> dict[str, Any] | None:
        job: dict[str, Any] = self.api.get(url).json()
        return job if job["state"] in {"succeeded", "rejected", "failed", "cancelled"} else None


@contextmanager
def hanging(url: str, length: int) -> Iterator[socket.socket]:
    """A PATCH from the start that says how long it is, and has sent nothing yet."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as line:
        head = (
            f"PATCH {parts.path} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Tus-Resumable: 1.0.0",
            "Upload-Offset: 0",
            f"Content-Type: {BODY}",
            f"Content-Length: {length}",
        )
        line.sendall("\r\n".join((*head, "", "")).encode())
        yield line
