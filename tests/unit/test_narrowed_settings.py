"""The settings that narrow the canonical profile: no other's, and what is wrong stops the start."""

from pathlib import Path
from typing import Any

import pytest

from shared.config import BadSettings, read_settings
from shared.errors import TooLarge
from shared.model.policy import MIB, refuse_declaration
from shared.wiring import build


def profiles(folder: Path, monkeypatch: pytest.MonkeyPatch, **said: str) -> Any:
    monkeypatch.chdir(folder)  # no .env here
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    return build(read_settings(data_dir=folder)).screening.profiles


def test_they_narrow_the_canonical_profile_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = profiles(tmp_path, monkeypatch)

    narrowed = profiles(
        tmp_path,
        monkeypatch,
        S3_MAX_FILE_SIZE_MB="50",
        S3_ALLOWED_EXTENSIONS="jpg,png,pdf,docx",
        S3_ALLOWED_MIME_TYPES="image/jpeg,image/png,application/pdf",
    )

    default = narrowed["default"]
    assert default.types == {"image/jpeg", "image/png", "application/pdf"}
    assert default.extensions == {"jpg", "png", "pdf", "docx"}
    assert set(default.max_sizes.values()) == {50 * MIB}
    assert {**narrowed, "default": None} == {**before, "default": None}


def test_the_documents_limit_is_that_of_files_when_it_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = profiles(tmp_path, monkeypatch, S3_MAX_FILE_SIZE_MB="100")["default"]

    for name in ("a.pdf", "a.mp4", "a.zip"):
        refuse_declaration(default, filename=name, declared=None, size=100 * MIB)
        with pytest.raises(TooLarge):
            refuse_declaration(default, filename=name, declared=None, size=100 * MIB + 1)


def test_they_narrow_what_a_policy_file_says_of_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[profiles.default]\nadd = ["image/tiff"]\n[profiles.other]\n')

    made = profiles(
        tmp_path, monkeypatch, PROFILES_FILE=str(policy), S3_ALLOWED_EXTENSIONS="tif,png"
    )

    assert made["default"].types == {"image/tiff", "image/png"}
    assert "application/pdf" in made["other"].types


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("S3_ALLOWED_MIME_TYPES", "image/png,image/nothing", "nothing is known of image/nothing"),
        ("S3_ALLOWED_EXTENSIONS", "png,xyz", "nothing is known of .xyz"),
        ("S3_MAX_FILE_SIZE_MB", "0", "S3_MAX_FILE_SIZE_MB: "),
        ("S3_MAX_FILE_SIZE_MB", "much", "S3_MAX_FILE_SIZE_MB: "),
        ("S3_ENCRYPT_AT_REST", "perhaps", "S3_ENCRYPT_AT_REST: "),
        ("S3_DOWNLOAD_URL_EXPIRY", "604801", "DOWNLOAD_URL_EXPIRY: "),
        ("S3_COPY_PART_SIZE", "1MiB", "S3_COPY_PART_SIZE: "),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    with pytest.raises(BadSettings) as refusal:
        profiles(tmp_path, monkeypatch, **{name: value})

    said = str(refusal.value)
    assert told in said
    assert name.removeprefix("S3_") in said
    assert "\n" not in said
