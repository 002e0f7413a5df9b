"""A bare client of the contract that Uppy's S3 plugin has with Companion."""

from dataclasses import dataclass
from typing import Any

import requests

from tests.support.api import Api

Body = dict[str, Any]


@dataclass(frozen=True)
class Companion:
    """`root` is the address that the plugin is given; what it says there begins with /s3."""

    api: Api
    root: str = ""

    def ask(self, method: str, path: str, **said: Any) -> requests.Response:
        found: requests.Response = self.api.request(method, f"{self.root}/s3{path}", **said)
        return found

    def told(self, method: str, path: str, **said: Any) -> Any:
        answer = self.ask(method, path, **said)
        assert answer.status_code == 200, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def form(self, filename: str = "notes.txt", kind: str = "text/plain", **meta: str) -> Body:
        query = {"filename": filename, "type": kind}
        query |= {f"metadata[{name}]": text for name, text in meta.items()}
        body: Body = self.told("GET", "/params", params=query)
        return body

    def opened(self, filename: str = "long.txt", **metadata: Any) -> Body:
        said = {"filename": filename, "type": "text/plain", "metadata": metadata}
        body: Body = self.told("POST", "/multipart", json=said)
        return body

    def part(self, upload: Body, number: int) -> str:
        path = f"/multipart/{upload['uploadId']}/{number}"
        return str(self.told("GET", path, params={"key": upload["key"]})["url"])

    def sent(self, upload: Body, number: int, content: bytes) -> Body:
        """Send a part; return what `complete` wants to hear of it."""
        answer = requests.put(self.part(upload, number), data=content, timeout=30)
        assert answer.status_code == 200, answer.text
        return {"PartNumber": number, "ETag": answer.headers["ETag"]}

    def listed(self, upload: Body) -> list[Body]:
        path = f"/multipart/{upload['uploadId']}"
        found: list[Body] = self.told("GET", path, params={"key": upload["key"]})
        return found

    def complete(self, upload: Body, parts: list[Body], **said: Any) -> requests.Response:
        path = f"/multipart/{upload['uploadId']}/complete"
        return self.ask("POST", path, params={"key": upload["key"]}, json={"parts": parts}, **said)

    def abort(self, upload: Body) -> requests.Response:
        path = f"/multipart/{upload['uploadId']}"
        return self.ask("DELETE", path, params={"key": upload["key"]})


def posted(form: Body, content: bytes, **fields: str) -> requests.Response:
    """Post a form to the store, as the plugin does: the fields, then the file."""
    said = {**form["fields"], **fields}
    parts: list[Any] = [(name, (None, text)) for name, text in said.items()]
    return requests.post(form["url"], files=[*parts, ("file", ("x", content))], timeout=30)
