"""The example of `services.assets` in the page on predecessors, run as it stands there."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import requests

from tests.support.samples import mp3
from tests.support.stack import ROOT, Stack

_EXAMPLE: Final = re.compile(r"<!-- example: assets -->\n```python\n(.*?)```", re.DOTALL)
# What the operator has set in the environment of the other service.
_SETTINGS: Final = (
    "import os\nfrom tools import embedded\nos.environ |= embedded.load().variables\n"
)


def test_the_example_stores_a_file_that_anybody_may_read(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "welcome.mp3").write_bytes(mp3())
    found = _EXAMPLE.search((ROOT / "docs" / "predecessors.md").read_text())
    assert found is not None
    program = f"{_SETTINGS}{found[1]}print(url)"

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=stack.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )

    assert done.returncode == 0, done.stderr
    answer = requests.get(done.stdout.strip(), timeout=10)
    assert (answer.status_code, answer.content) == (200, mp3())
    assert answer.headers["Content-Type"] == "audio/mpeg"
