"""The README's tour, typed word for word."""

import re
import shutil
import subprocess
from pathlib import Path

from tests.support.stack import ROOT, Stack

_BLOCKS = re.compile(r"<!-- tour -->\n```sh\n(.*?)```", re.DOTALL)


def test_the_tour_says_what_the_readme_says(stack: Stack, tmp_path: Path) -> None:
    blocks = _BLOCKS.findall((ROOT / "README.md").read_text())
    script = "".join(blocks).replace("http://127.0.0.1:8080", stack.base_url)
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "photo.jpg", tmp_path / "docs")
    (tmp_path / "run").write_text(f'#!/bin/sh\ncd {ROOT} && exec ./run "$@"\n')
    (tmp_path / "run").chmod(0o755)

    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=tmp_path, env=stack.environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    for said in (
        '"missing":[0,1,2,3]',
        '"number":3,"length":15851,"repeated":false',
        '"type":"chunks_missing"',
        '"missing":[2]',
        '"state":"succeeded"',
        '"name":"small"',
        '"width":150,"height":112',
        "330e69eb87338f2f79db99bea702e0233c05b8855fa690fd6f64d5fd330f9767  -",
        "X-Amz-Signature=",
        '"total":1',
        '"filename":"hello.txt","folder":"notes"',
        "The file is application/x-executable, which is not allowed here.",
    ):
        assert said in done.stdout, said
