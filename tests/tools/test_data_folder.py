"""The data folder, its credentials and its ports: one clear line when one is not to be had."""

import socket
import threading
from pathlib import Path

import pytest

from tools import credentials
from tools.data_folder import DataFolder
from tools.ports import Ports, refuse_taken
from tools.refusal import Refused


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "data")
    folder.prepare()
    return folder


def test_a_new_folder_is_closed_to_other_users(folder: DataFolder) -> None:
    assert folder.path.stat().st_mode & 0o777 == 0o700


def test_preparing_twice_changes_nothing(folder: DataFolder) -> None:
    before = {entry: entry.read_bytes() for entry in folder.path.iterdir()}

    folder.prepare()

    assert {entry: entry.read_bytes() for entry in folder.path.iterdir()} == before


def test_a_folder_of_another_version_is_refused(folder: DataFolder) -> None:
    (folder.path / "layout").write_text("sluice data 7\n")

    with pytest.raises(Refused, match="'sluice data 7'"):
        folder.prepare()


def test_a_folder_with_other_files_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    (home / "thesis.tex").touch()

    with pytest.raises(Refused, match=r"thesis\.tex"):
        DataFolder(home).prepare()

    assert home.stat().st_mode & 0o777 == 0o755
    assert [entry.name for entry in home.iterdir()] == ["thesis.tex"]


def test_what_the_processes_made_without_us_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "staging").mkdir()
    (tmp_path / "sluice.db-wal").touch()

    DataFolder(tmp_path).prepare()

    assert (tmp_path / "layout").exists()


def test_a_folder_is_used_by_one_at_a_time(folder: DataFolder) -> None:
    with folder.claimed(), pytest.raises(Refused, match="in use by the copy with process id"):
        folder.claimed().__enter__()

    with folder.claimed():
        pass


def test_two_starters_agree_on_the_credentials(folder: DataFolder) -> None:
    together = threading.Barrier(8)
    found: list[dict[str, str]] = []

    def start() -> None:
        together.wait()
        found.append(dict(credentials.kept(folder.credentials)))

    starters = [threading.Thread(target=start) for _ in range(8)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()

    assert len(found) == 8
    assert all(each == found[0] for each in found)
    assert folder.credentials.stat().st_mode & 0o777 == 0o600
    assert [e.name for e in folder.path.iterdir() if e.name.startswith("credentials")] == [
        "credentials.env"
    ]


def test_damaged_credentials_are_named_and_not_replaced(folder: DataFolder) -> None:
    credentials.kept(folder.credentials)
    folder.credentials.write_text("JWT_SECRET_KEY=x\n")

    with pytest.raises(Refused, match="lacks S3_ACCESS_KEY_ID"):
        credentials.kept(folder.credentials)


def test_a_port_in_use_is_named_with_who_needs_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = Ports(web=port, redis=port + 1, flower=port + 2, s3=port + 10)

        with pytest.raises(Refused, match=f"port {port} is in use, and web"):
            refuse_taken(ports.needed(redis=False, s3=False))


def test_a_port_wanted_twice_is_named_with_both() -> None:
    ports = Ports.chosen({"PORT": "9000", "FLOWER_PORT": "9001"})

    with pytest.raises(Refused, match=r"9001 is wanted by valkey .* and by flower"):
        refuse_taken(ports.needed(redis=True, s3=True))
