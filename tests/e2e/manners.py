"""What every single answer of the service has to keep to, whatever the test is about.

It is never a 500, tells nothing of the inside, refuses in problem documents, and looks as the
OpenAPI document says it does.
"""

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

import requests
from openapi_schema_validator import OAS31Validator

_READABLE: Final = ("json", "html", "event-stream")
_INSIDE: Final = re.compile(
    r"Traceback|File \"|site-packages|/venv|/\.venv|/tmp/|/home/|/usr/|/root|\.py\b"
    r"|sqlalchemy|sqlite|psycopg|botocore|urllib3|redis\.exceptions|OperationalError"
    r"|IntegrityError|\bSELECT\s|INSERT INTO|UPDATE \w+ SET|DELETE FROM",
    re.IGNORECASE,
)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_MEMBERS: Final = ("type", "title", "status", "detail", "instance", "request_id")
# What a server may always say, in any route, and no document lists.
_EVERYWHERE: Final = frozenset({405, 503})


class Manners:
    """`secrets` must not be seen in any answer."""

    def __init__(self, document: Mapping[str, Any], secrets: frozenset[str]) -> None:
        self._document = document
        self._secrets = secrets
        self._operations = [
            (_matcher(path), path, method.upper(), operation)
            for path, methods in sorted(document["paths"].items(), key=_fewest_holes)
            for method, operation in methods.items()
        ]

    def check(self, response: requests.Response) -> None:
        method = str(response.request.method)
        path = str(response.request.path_url).partition("?")[0]
        told = f"{method} {path}: {response.status_code}"
        text = _readable(response)
        self.check_text(response.status_code, text, told)
        assert response.headers.get("X-Request-ID"), f"{told} has no X-Request-ID"
        assert response.headers["X-Content-Type-Options"] == "nosniff", told
        if response.status_code >= HTTPStatus.BAD_REQUEST and path != "/readyz":
            self._check_refusal(response, method, told)
        if response.status_code in {HTTPStatus.CREATED, HTTPStatus.ACCEPTED}:
            assert response.headers.get("Location", "").startswith("http://"), told
        if text and "json" in response.headers["Content-Type"]:
            for name, time in _times(response.json()):
                assert _TIME.fullmatch(time), f"{told}: {name} is {time}"
        self._check_document(response, method, path, told)

    def check_text(self, status: int, text: str, told: str) -> None:
        assert status != HTTPStatus.INTERNAL_SERVER_ERROR, f"{told}: {text[:2000]}"
        inside = _INSIDE.search(text)
        assert not inside, (
            f"{told} tells of the inside: …{text[max(0, inside.start() - 80) :][:200]}"
        )
        assert not any(secret in text for secret in self._secrets), f"{told} tells a secret"

    def _check_refusal(self, response: requests.Response, method: str, told: str) -> None:
        headers = response.headers
        assert headers["Content-Type"] == "application/problem+json", told
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            assert headers.get("WWW-Authenticate", "").startswith("Bearer"), told
        if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            assert headers.get("Allow"), told
        if response.status_code in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
            assert headers.get("Retry-After", "").isdecimal(), told
        if method == "HEAD":
            return
        problem = response.json()
        assert set(_MEMBERS) <= set(problem), f"{told}: {problem}"
        assert problem["status"] == response.status_code, told
        assert problem["request_id"] == headers["X-Request-ID"], told
        assert re.fullmatch(r"[a-z0-9_]+", problem["type"]), f"{told}: {problem['type']}"

    def _check_document(
        self, response: requests.Response, method: str, path: str, told: str
    ) -> None:
        operation = self._operation("GET" if method == "HEAD" else method, path)
        if operation is None:
            return
        documented = operation["responses"].get(str(response.status_code))
        if documented is None:
            assert response.status_code in _EVERYWHERE, f"{told} is not documented"
            return
        content = documented.get("content") or {}
        said = response.headers.get("Content-Type", "").partition(";")[0]
        if method == "HEAD" or not response.headers.get("Content-Type"):
            return
        schema = content.get(said, {}).get("schema")
        if "json" in said and schema is not None:
            validator = OAS31Validator({**schema, "components": self._document["components"]})
            wrong = [
                f"{error.json_path}: {error.message}"
                for error in validator.iter_errors(response.json())
            ]
            assert not wrong, f"{told} is not as documented: {wrong}"
        elif "json" in said:
            raise AssertionError(f"{told}: no schema for {said}")

    def _operation(self, method: str, path: str) -> Mapping[str, Any] | None:
        # The first path that fits is the one that is meant, even when it has no such method.
        meant = next((way for fits, way, _, _ in self._operations if fits.fullmatch(path)), None)
        found = (each[3] for each in self._operations if (each[1], each[2]) == (meant, method))
        return next(found, None)


def _readable(response: requests.Response) -> str:
    said = response.headers.get("Content-Type", "")
    if "event-stream" in said and not response._content_consumed:  # type: ignore[attr-defined]
        return ""  # somebody wants to read it as it comes
    refused = response.status_code >= HTTPStatus.BAD_REQUEST
    return response.text if refused or any(kind in said for kind in _READABLE) else ""


def _matcher(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path))


def _fewest_holes(item: tuple[str, Any]) -> int:
    return item[0].count("{")


def _times(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for each in value:
            yield from _times(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name == "metadata":
                continue  # the client's own
            if name.endswith("_at") and isinstance(each, str):
                yield name, each
            else:
                yield from _times(each)
