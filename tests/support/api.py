"""A small client of the canonical API: `api.stored(bytes, "photo.jpg")` is a file.

Speaks as a client would, over a connection that stays open. Every answer goes through `checks`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import requests

from tests.support.waiting import eventually

Body = dict[str, Any]
Check = Callable[[requests.Response], None]
FINAL: Final = frozenset({"succeeded", "rejected", "failed", "cancelled"})
_SECONDS: Final = 75.0  # an upload in one request may take sixty


class Api(requests.Session):
    """One caller. A path stands for an address below `base_url`."""

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        *,
        sub: str = "",
        tenant: str = "default",
        checks: Sequence[Check] = (),
    ) -> None:
        super().__init__()
        self.trust_env = False
        self.base_url, self.token, self.sub, self.tenant = base_url, token, sub, tenant
        self._checks = checks
        if token is not None:
            self.headers["Authorization"] = f"Bearer {token}"

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **said: Any) -> Any:
        address = str(url) if str(url).startswith("http") else f"{self.base_url}{url!s}"
        said = {"timeout": _SECONDS, "allow_redirects": False} | said
        response = super().request(method, address, *args, **said)
        for check in self._checks:
            check(response)
        return response

    def open_upload(self, filename: str = "notes.txt", **said: Any) -> Body:
        return answered(self.post("/api/v1/uploads", json={"filename": filename, **said}), 201)

    def put_chunk(
        self, upload_id: str, number: int | str, content: bytes, **headers: str
    ) -> requests.Response:
        """Underscores in header names stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        path = f"/api/v1/uploads/{upload_id}/chunks/{number}"
        return self.put(path, data=content, headers=named)

    def complete(self, upload_id: str, **said: Any) -> Body:
        """Seal the upload; return its job."""
        return answered(self.post(f"/api/v1/uploads/{upload_id}/complete", json=said), 202)

    def ended(self, job_id: str, seconds: float = 30.0) -> Body:
        """Return the job once it is final."""

        def final() -> Body | None:
            job = answered(self.get(f"/api/v1/jobs/{job_id}"), 200)
            return job if job["state"] in FINAL else None

        return eventually(final, seconds, every=0.02, says=f"job {job_id} does not end") or {}

    def chunked(
        self, content: bytes, filename: str = "notes.txt", *, chunk_size: int = 65536, **said: Any
    ) -> Body:
        """Upload in chunks; return the job once it is final."""
        opened = self.open_upload(filename, size=len(content), chunk_size=chunk_size, **said)
        for number, start in enumerate(range(0, len(content), chunk_size)):
            answered(self.put_chunk(opened["id"], number, content[start : start + chunk_size]), 200)
        return self.ended(self.complete(opened["id"])["id"])

    def submit(
        self,
        content: bytes,
        filename: str = "notes.txt",
        content_type: str | None = None,
        *,
        fields: Mapping[str, Any] | None = None,
        fields_last: bool = False,
        **headers: str,
    ) -> requests.Response:
        """Upload in one request; `fields` stand before the file, or with `fields_last` after it."""
        file = (filename, content) if content_type is None else (filename, content, content_type)
        others: list[Any] = [
            (name, (None, written(value))) for name, value in (fields or {}).items()
        ]
        parts = [*others, ("file", file)]
        return self.post(
            "/api/v1/files/upload",
            files=[("file", file), *others] if fields_last else parts,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )

    def stored(self, content: bytes, filename: str = "notes.txt", **fields: Any) -> Body:
        """Upload in one request; return the file."""
        return answered(self.submit(content, filename, fields=fields), 201)

    def file(self, file_id: str) -> Body:
        return answered(self.get(f"/api/v1/files/{file_id}"), 200)

    def download(self, file_id: str, **headers: str) -> requests.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.get(f"/api/v1/files/{file_id}/download", headers=named)


def answered(response: requests.Response, status: int) -> Body:
    """Return the body of an answer that has to have this status."""
    told = f"{response.request.method} {response.request.path_url}"
    assert response.status_code == status, f"{told}: {response.status_code} {response.text[:500]}"
    body: Body = response.json()
    return body


def refused(response: requests.Response, status: int, code: str | None = None) -> Body:
    """Return the problem of a refusal that has to have this status, and this type when said."""
    problem = answered(response, status)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == status
    assert code in {None, problem["type"]}, problem
    return problem


def pointers(problem: Body) -> set[str]:
    return {each["pointer"] for each in problem.get("errors", [])}


def written(value: Any) -> str:
    """Return a form field as text: objects and lists as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)
