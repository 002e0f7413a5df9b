"""Runs what a document shows, as it stands but for where the service is.

Shell with the real curl, Python with `requests`, and what a page's script does in Node: there
`fileInput` holds the file, as does any element of the document, and a path is of the service.
"""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

DOCUMENTED_HOST: Final = "http://localhost:8000"
_SECONDS: Final = 60
_PAGE: Final = """\
import {{ File }} from "node:buffer";
import {{ readFileSync }} from "node:fs";
globalThis.fileInput = {{
  files: [new File([readFileSync("{filename}")], "{filename}", {{ type: "image/jpeg" }})],
}};
globalThis.document = {{ getElementById: () => globalThis.fileInput }};
globalThis.token = "{token}";
const fetched = globalThis.fetch;
globalThis.fetch = (path, said) => fetched(new URL(path, "{base_url}"), said);
"""


@dataclass(frozen=True)
class Desk:
    """Where examples run: a folder with the files they name, against one service."""

    folder: Path
    base_url: str
    environment: Mapping[str, str]

    def shell(self, example: str, *, token: str | None = None) -> str:
        """Return what it prints; with a token, every curl sends it."""
        named = "" if token is None else f' -H "Authorization: Bearer {token}"'
        script = example.replace("curl ", f"curl --no-progress-meter{named} ")
        return self._run(("bash", "-e", "-c", self._here(script)))

    def python(self, example: str) -> str:
        return self._run((sys.executable, "-c", self._here(example)))

    def javascript(self, example: str, *, filename: str = "example.jpg", token: str = "") -> str:
        node = shutil.which("node")
        if node is None:
            pytest.skip("there is no node: apt install nodejs")
        page = _PAGE.format(filename=filename, base_url=self.base_url, token=token)
        return self._run((node, "--input-type=module", "-e", page + self._here(example)))

    def _here(self, example: str) -> str:
        return example.replace(DOCUMENTED_HOST, self.base_url)

    def _run(self, command: Sequence[str]) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        assert done.returncode == 0, done.stderr or done.stdout
        return done.stdout
