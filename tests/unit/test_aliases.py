"""Settings go by the names they had in the services this one replaces, and two may not differ."""

import pytest

from shared.aliases import ALIASES, Disagreement, agreed
from shared.config import BadSettings, Settings, read_settings


@pytest.mark.parametrize(
    ("ours", "other"), [(ours, other) for ours in ALIASES for other in ALIASES[ours]]
)
def test_each_name_is_read_as_ours(ours: str, other: str) -> None:
    assert agreed({other: "said"}) == {ours: "said"}
    assert ours.lower() in Settings.model_fields


def test_names_that_agree_are_one_setting() -> None:
    assert agreed({"S3_REGION": "eu", "AWS_REGION": "eu", "aws_s3_region": "eu"}) == {
        "S3_REGION": "eu"
    }


def test_what_is_empty_is_not_said() -> None:
    assert agreed({"S3_REGION": "", "AWS_REGION": "eu", "S3_REGION_NAME": None}) == {
        "S3_REGION": "eu"
    }


def test_a_folder_structure_that_is_empty_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert agreed({"s3_folder_structure": "", "JWT_ISSUER": ""}) == {"S3_FOLDER_STRUCTURE": ""}
    assert agreed({"S3_FOLDER_STRUCTURE": None}) == {}

    for name, value in (
        ("S3_USE_UUID_PREFIX", "false"),
        ("S3_PRESERVE_FILENAME", "true"),
        ("S3_FOLDER_STRUCTURE", ""),
    ):
        monkeypatch.setenv(name, value)

    assert read_settings().layout.template == "{folder}/{name}"
    assert read_settings().layout.structure == ""


def test_names_that_differ_are_refused_by_name_and_without_their_values() -> None:
    with pytest.raises(Disagreement) as refusal:
        agreed({"S3_SECRET_KEY": "one-secret", "S3_SECRET_ACCESS_KEY": "another-secret"})

    told = str(refusal.value)
    assert "S3_SECRET_ACCESS_KEY and S3_SECRET_KEY" in told
    assert "secret" not in told.replace("SECRET", "")


@pytest.mark.parametrize("name", ["S3_REGION", "S3_REGION_NAME", "AWS_S3_REGION"])
@pytest.mark.parametrize("ambient", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_what_the_host_says_by_itself_gives_way(name: str, ambient: str) -> None:
    assert agreed({ambient: "of-the-host", name: "meant"}) == {"S3_REGION": "meant"}


def test_of_two_regions_of_the_host_the_sdk_s_own_counts() -> None:
    assert agreed({"AWS_DEFAULT_REGION": "far", "AWS_REGION": "near"}) == {"S3_REGION": "near"}


def test_the_host_s_session_token_is_not_added_to_keys_of_ours() -> None:
    host = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}
    ours = {"S3_ACCESS_KEY_ID": "ours", "S3_SECRET_ACCESS_KEY": "ours too"}

    assert agreed(host) == {
        "S3_ACCESS_KEY_ID": "a",
        "S3_SECRET_ACCESS_KEY": "b",
        "S3_SESSION_TOKEN": "c",
    }
    assert agreed({**host, **ours}) == ours
    assert agreed({**host, **ours, "S3_SESSION_TOKEN": "mine"}) == {
        **ours,
        "S3_SESSION_TOKEN": "mine",
    }


def test_the_start_ends_with_one_line_where_two_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_ISSUER", "us")
    monkeypatch.setenv("EXPECTED_JWT_ISSUER", "them")

    with pytest.raises(BadSettings) as refusal:
        read_settings(_env_file=None)

    assert str(refusal.value).count("\n") == 0
    assert "JWT_ISSUER and EXPECTED_JWT_ISSUER" in str(refusal.value)


def test_settings_take_the_old_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_S3_BUCKET", "pictures")
    monkeypatch.setenv("LOCAL_TEMP_CHUNK_PATH", "/tmp/chunks")  # noqa: S108  # only read

    said = read_settings(_env_file=None)

    assert (said.s3_bucket_name, str(said.staging)) == ("pictures", "/tmp/chunks")  # noqa: S108
