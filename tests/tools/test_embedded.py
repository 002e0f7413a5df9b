"""What is embedded, and what the other processes are told."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from shared.aliases import agreed
from tools.data_folder import DataFolder
from tools.embedded import Embedded, embed, load
from tools.refusal import Refused

MADE = {
    "S3_ACCESS_KEY_ID": "made-id",
    "S3_SECRET_ACCESS_KEY": "made-secret",
    "JWT_SECRET_KEY": "made-jwt",
    "LINK_SECRET_KEY": "made-link",
    "FLOWER_BASIC_AUTH": "flower:made",
}


def embedding(configured: Mapping[str, str], *, weed: bool = True) -> Embedded:
    return embed(configured, MADE, DataFolder(Path("/srv/sluice")), weed=weed)


def test_nothing_configured_embeds_everything() -> None:
    found = embedding({})

    assert (found.database, found.broker, found.objects) == (True, True, True)
    assert found.variables["DATABASE_URL"] == "sqlite:////srv/sluice/sluice.db"
    assert found.variables["REDIS_URL"] == "redis://127.0.0.1:8081/0"
    assert found.variables["S3_ENDPOINT_URL"] == "http://127.0.0.1:8090"
    assert found.variables["JWT_SECRET_KEY"] == "made-jwt"


def test_every_port_follows_from_one() -> None:
    found = embedding({"PORT": "9000"})

    assert found.variables["REDIS_URL"] == "redis://127.0.0.1:9001/0"
    assert found.variables["FLOWER_URL"] == "http://127.0.0.1:9002"
    assert found.variables["S3_ENDPOINT_URL"] == "http://127.0.0.1:9010"


@pytest.mark.parametrize(
    ("configured", "off"),
    [
        ({"DATABASE_URL": "postgresql://db/sluice"}, "database"),
        ({"REDIS_URL": "redis://cache:6379/0"}, "broker"),
        ({"S3_ENDPOINT_URL": "https://s3.example.org"}, "objects"),
        ({"S3_ACCESS_KEY_ID": "mine", "S3_SECRET_ACCESS_KEY": "mine"}, "objects"),
        ({"S3_ACCESS_KEY": "mine", "S3_SECRET_KEY": "mine"}, "objects"),
        ({"AWS_ACCESS_KEY_ID": "mine", "AWS_S3_BUCKET": "ours"}, "objects"),
        ({"S3_CREDENTIALS_SECRET": "prod/s3"}, "objects"),
        ({"STORAGE_BACKEND": "local"}, "objects"),
    ],
)
def test_what_is_configured_is_not_embedded(configured: Mapping[str, str], off: str) -> None:
    found = embedding(configured)

    parts = {"database": found.database, "broker": found.broker, "objects": found.objects}
    assert [name for name, on in parts.items() if not on] == [off]
    assert agreed(configured).items() <= found.variables.items()


def test_a_backend_is_read_whatever_its_case() -> None:
    found = embedding({"STORAGE_BACKEND": "Local"})

    assert (found.objects, found.variables["STORAGE_BACKEND"]) == (False, "local")


def test_a_setting_under_an_older_name_wins_over_what_is_made_for_this_copy() -> None:
    found = embedding({"LOCAL_TEMP_CHUNK_PATH": "/srv/chunks", "AWS_S3_BUCKET": "ours"})

    assert found.objects
    assert found.variables["STAGING_DIR"] == "/srv/chunks"
    assert found.variables["S3_BUCKET_NAME"] == "ours"


def test_two_names_that_differ_stop_the_start() -> None:
    with pytest.raises(Refused, match="STAGING_DIR and LOCAL_TEMP_CHUNK_PATH"):
        embedding({"STAGING_DIR": "/srv/a", "LOCAL_TEMP_CHUNK_PATH": "/srv/b"})


def test_a_configured_store_gets_no_generated_keys() -> None:
    found = embedding({"S3_ENDPOINT_URL": "https://s3.example.org"})

    assert "S3_ACCESS_KEY_ID" not in found.variables
    assert "S3 at s3.example.org (configured)" in found.in_words()


def test_keys_that_every_aws_tool_reads_do_not_turn_the_store_off() -> None:
    found = embedding({"AWS_ACCESS_KEY_ID": "somebody's", "AWS_SECRET_ACCESS_KEY": "own"})

    assert found.objects
    assert "AWS_ACCESS_KEY_ID" not in found.variables
    assert "AWS_ACCESS_KEY_ID" in found.withheld


def test_without_a_seaweedfs_files_go_to_a_folder_and_the_start_line_says_so() -> None:
    found = embedding({}, weed=False)

    assert found.variables["STORAGE_BACKEND"] == "local"
    assert "a local folder" in found.in_words()


def test_s3_without_a_seaweedfs_wants_an_endpoint() -> None:
    with pytest.raises(Refused, match="S3_ENDPOINT_URL"):
        embedding({"STORAGE_BACKEND": "s3"}, weed=False)


def test_the_start_line_shows_no_password() -> None:
    found = embedding(
        {"DATABASE_URL": "postgresql+psycopg://u:hunter2@db/x", "REDIS_URL": "redis://:hunter2@r/0"}
    )

    assert "hunter2" not in found.in_words()
    assert "postgresql (configured)" in found.in_words()


@pytest.mark.parametrize("name", ["JWT_PUBLIC_KEY", "MAIN_SERVICE_JWT_PUBLIC_KEY", "JWT_JWKS_URL"])
def test_a_configured_verifier_gets_no_secret_beside_it(name: str) -> None:
    assert "JWT_SECRET_KEY" not in embedding({name: "theirs"}).variables


@pytest.mark.parametrize("port", ["0", "45001", "http", "-1", "\N{SUPERSCRIPT TWO}"])
def test_a_port_out_of_range_is_refused_by_name(port: str) -> None:
    with pytest.raises(Refused, match="PORT is"):
        embedding({"PORT": port})


def test_staging_ends_before_the_store_on_the_same_disk_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = shutil._ntuple_diskusage(10**12, 0, 10**12)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr("tools.embedded.shutil.disk_usage", lambda _: disk)
    monkeypatch.setattr("tools.embedded.dotenv_values", lambda _: {})

    assert load().variables["STAGING_FLOOR"] == str(2 * 10**10)

    monkeypatch.setenv("STAGING_FLOOR", "1MiB")
    assert load().variables["STAGING_FLOOR"] == "1MiB"

    monkeypatch.delenv("STAGING_FLOOR")
    monkeypatch.setenv("STORAGE_BACKEND", "local")
    assert "STAGING_FLOOR" not in load().variables
