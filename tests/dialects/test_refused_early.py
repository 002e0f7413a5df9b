"""What a file's name and declared type rule out is refused before its bytes come, in its profile."""

from typing import Final

import pytest

from tests.dialects.conftest import Clients
from tests.e2e.books import Books
from tests.e2e.wire import Answer, a_wire
from tests.support.samples import picture, text
from tests.support.stack import Stack

STORAGE: Final = "/api/v1/storage/upload"
NUMBERED: Final = "/api/files/upload"
GATEWAY: Final = "/api/v1/upload/direct"
CANONICAL: Final = "/api/v1/files/upload"
FORM: Final = "Content-Type: multipart/form-data; boundary=b"


def asked(base_url: str, path: str, token: str | None, filename: str, content_type: str) -> Answer:
    """Send the beginning of a form whose file has 5 MB, and little of those."""
    part = f'Content-Disposition: form-data; name="file"; filename="{filename}"'
    head = f"--b\r\n{part}\r\nContent-Type: {content_type}\r\n\r\n".encode()
    with a_wire(base_url) as wire:
        wire.head("POST", path, token, FORM, "Content-Length: 5000000")
        wire.send(head + b"x" * 100_000)
        return wire.answer()


@pytest.mark.parametrize(
    ("path", "filename", "content_type", "status"),
    [
        (STORAGE, "a.mov", "video/quicktime", 400),
        (STORAGE, "noname", "text/plain", 400),
        (NUMBERED, "a.txt", "application/octet-stream", 400),
        (NUMBERED, "a", "text/plain", 400),
        (GATEWAY, "a.webp", "image/png", 415),
        (GATEWAY, "a.png", "image/webp", 415),
        (CANONICAL, "a.exe", "image/png", 415),
        (CANONICAL, "a.png", "application/x-msdownload", 415),
    ],
)
def test_a_name_or_type_that_can_t_be_welcome_is_refused_before_its_bytes(
    stack: Stack,
    clients: Clients,
    books: Books,
    path: str,
    filename: str,
    content_type: str,
    status: int,
) -> None:
    client = clients(tenant=7)

    with books.unchanged():
        answer = asked(stack.base_url, path, client.token, filename, content_type)

    said = answer.json()
    code = said.get("code") if path != STORAGE else said["meta"]["error"]
    assert (answer.status, answer.headers["connection"]) == (status, "close")
    assert (code or said["type"]) in {"type_not_allowed", 415}


@pytest.mark.parametrize(
    ("path", "content", "listed", "unlisted"),
    [
        (STORAGE, b"MZ\x90\0" + bytes(70_000), "audio/pcm", "application/zip"),
        (NUMBERED, b"MZ\x90\0" + bytes(70_000), "video/quicktime", "audio/pcm"),
        (GATEWAY, b"MZ\x90\0" + bytes(70_000), "image/png", "image/webp"),
        (GATEWAY, picture("WEBP") + bytes(70_000), "image/png", "image/webp"),
        (GATEWAY, text(), "image/png", "image/webp"),
    ],
)
def test_a_refusal_tells_what_the_profile_that_applies_allows(
    clients: Clients, path: str, content: bytes, listed: str, unlisted: str
) -> None:
    client = clients(tenant=7)
    fields = {"category": "image", "action": "upload", "customerId": "7"}

    answer = client.post(path, files={"file": ("a.png", content)}, data=fields).json()

    allowed = answer.get("meta", answer)["allowed"]
    assert listed in allowed
    assert unlisted not in allowed
