"""`./run` before anything is installed: a Python that runs, and one clear line when something lacks."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools import bootstrap

ROOT = Path(__file__).parents[2]
WITHOUT_ENSUREPIP = """
import runpy, sys
sys.modules["ensurepip"] = None
sys.argv = ["tools/bootstrap.py"]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_shim_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    script(tmp_path / "python3.14", "#!/bin/sh\necho no such version >&2; exit 127\n")
    for name in ("python3.13", "python3.12", "python3.11", "python3"):
        tests_itself = f'[ "$1" = -c ] && exec "{sys.executable}" "$@"'
        script(tmp_path / name, f"#!/bin/sh\n{tests_itself}\necho {name} ran $2\n")

    done = run(["token"], path=f"{tmp_path}:/usr/bin:/bin", venv=str(tmp_path / "none"))

    assert (done.stdout, done.stderr) == ("python3.13 ran token\n", "")


def test_without_a_python_it_says_what_to_install(tmp_path: Path) -> None:
    for name in ("dirname", "sh"):
        (tmp_path / name).symlink_to(f"/bin/{name}" if name == "sh" else f"/usr/bin/{name}")
    script(tmp_path / "python3", "#!/bin/sh\nexit 1\n")

    done = run([], path=str(tmp_path), venv=str(tmp_path / "none"))

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Python 3.11 or newer is needed" in done.stderr


def test_a_python_without_venv_is_one_clear_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_ENSUREPIP],
        env={"PATH": "/nowhere", "SLUICE_VENV": str(tmp_path / "venv")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "lacks the module 'ensurepip'" in done.stderr
    assert "apt install python3-venv" in done.stderr


def test_packages_are_installed_again_only_when_the_file_changed(tmp_path: Path) -> None:
    wanted = tmp_path / "requirements.txt"
    wanted.write_text("flask==3\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    assert not bootstrap.is_installed(tmp_path, [wanted])

    bootstrap.stamp(tmp_path, [wanted])
    assert bootstrap.is_installed(tmp_path, [wanted])

    wanted.write_text("flask==4\n")
    assert not bootstrap.is_installed(tmp_path, [wanted])


def test_a_folder_with_other_files_is_not_made_a_virtual_environment(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()

    with pytest.raises(bootstrap.Refused, match="holds other files"):
        bootstrap.make(tmp_path, with_pip=True)

    assert (tmp_path / "thesis.tex").exists()


def run(arguments: list[str], *, path: str, venv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(ROOT / "run"), *arguments],
        env={"PATH": path, "SLUICE_VENV": venv},
        capture_output=True,
        text=True,
        check=False,
    )


def script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
