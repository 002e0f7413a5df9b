"""The settings of the gateway's document: its `.env` as it stands, and what can't be used."""

from pathlib import Path
from typing import Final

import pytest

from shared.config import BadSettings, read_settings

# As the document prints it, comments and all.
DOCUMENTED: Final = """\
# S3 File Storage
S3_ENABLED=true
S3_BUCKET_NAME=your-bucket-name
S3_REGION=us-east-1
S3_ACCESS_KEY_ID=your-access-key
S3_SECRET_ACCESS_KEY=your-secret-key
S3_SESSION_TOKEN=your-session-token  # Optional
S3_ENDPOINT_URL=  # Optional, for local testing with MinIO

# File Upload Settings
MAX_FILE_SIZE=10485760  # 10MB
ALLOWED_FILE_TYPES=image/jpeg,image/png,image/gif,application/pdf
UPLOAD_EXPIRY_MINUTES=60
FILE_CLEANUP_DAYS=30
"""


def test_the_documents_settings_are_read_as_they_stand(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(DOCUMENTED + "UPLOAD_DIR=/var/uploads\n")  # of who migrates

    said = read_settings(_env_file=file)

    assert said.s3_enabled
    assert (said.s3_bucket_name, said.s3_region, said.s3_endpoint_url) == (
        "your-bucket-name",
        "us-east-1",
        None,
    )
    assert said.s3_session_token is not None
    assert said.s3_session_token.get_secret_value() == "your-session-token"
    assert said.max_file_size == 10_485_760
    assert said.allowed_file_types == ["image/jpeg", "image/png", "image/gif", "application/pdf"]
    assert (said.upload_expiry_minutes, said.file_cleanup_days) == (60, 30)


def test_what_the_document_sets_is_the_default_but_for_what_deletes() -> None:
    said = read_settings(_env_file=None)

    assert said.max_file_size == 10_485_760
    assert said.allowed_file_types == ["image/jpeg", "image/png", "image/gif", "application/pdf"]
    assert said.file_cleanup_days is None
    assert not said.gateway_allow_anonymous


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("MAX_FILE_SIZE", "0", "MAX_FILE_SIZE: "),
        ("MAX_FILE_SIZE", "-1", "MAX_FILE_SIZE: "),
        ("MAX_FILE_SIZE", "ten", "MAX_FILE_SIZE: "),
        ("ALLOWED_FILE_TYPES", ",", "ALLOWED_FILE_TYPES: "),
        ("ALLOWED_FILE_TYPES", "image/jpeg,image/unheard-of", "unknown types: image/unheard-of"),
        ("ALLOWED_FILE_TYPES", "image/*", "unknown types: image/*"),
        ("ALLOWED_FILE_TYPES", "jpeg", "unknown types: jpeg"),
        ("FILE_CLEANUP_DAYS", "0", "FILE_CLEANUP_DAYS: "),
        ("FILE_CLEANUP_DAYS", "nan", "FILE_CLEANUP_DAYS: "),
        ("FILE_CLEANUP_DAYS", "inf", "FILE_CLEANUP_DAYS: "),
        ("FILE_CLEANUP_DAYS", "soon", "FILE_CLEANUP_DAYS: "),
        ("GATEWAY_ALLOW_ANONYMOUS", "perhaps", "GATEWAY_ALLOW_ANONYMOUS: "),
        ("S3_ENABLED", "perhaps", "S3_ENABLED: "),
    ],
)
def test_what_cannot_be_used_stops_the_start_with_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, told: str
) -> None:
    monkeypatch.setenv(name, text)

    with pytest.raises(BadSettings) as refusal:
        read_settings(_env_file=None)

    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["FILE_CLEANUP_DAYS", "MAX_FILE_SIZE", "ALLOWED_FILE_TYPES"])
def test_what_is_empty_is_the_default(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    usual = read_settings(_env_file=None)

    monkeypatch.setenv(name, "")

    assert read_settings(_env_file=None) == usual
