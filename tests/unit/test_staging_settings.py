"""Where chunks wait, as the settings say it."""

import pytest

from shared.config import BadSettings, Settings, read_settings


def test_chunks_wait_on_a_disk_unless_the_bucket_is_said() -> None:
    assert Settings(_env_file=None).staging_backend == "disk"
    assert Settings(_env_file=None, staging_backend="S3").staging_backend == "s3"


def test_staging_in_the_bucket_wants_files_there_too() -> None:
    with pytest.raises(BadSettings, match="STAGING_BACKEND=s3 wants STORAGE_BACKEND=s3"):
        read_settings(_env_file=None, staging_backend="s3", storage_backend="local")
