"""Where chunks wait, as the settings say it."""

from typing import Any

import pytest

from shared.adapters.objects_s3 import S3Objects
from shared.adapters.staging_s3 import S3Staging
from shared.config import BadSettings, Settings, read_settings
from shared.wiring_parts import build_objects, build_staging


def test_chunks_wait_on_a_disk_unless_the_bucket_is_said() -> None:
    assert Settings(_env_file=None).staging_backend == "disk"
    assert Settings(_env_file=None, staging_backend="S3").staging_backend == "s3"


def test_staging_in_the_bucket_wants_files_there_too() -> None:
    with pytest.raises(BadSettings, match="STAGING_BACKEND=s3 wants STORAGE_BACKEND=s3"):
        read_settings(_env_file=None, staging_backend="s3", storage_backend="local")


@pytest.mark.parametrize(("threads", "kept"), [(8, 32), (64, 64), (200, 200)])
def test_a_web_keeps_a_connection_to_the_store_for_each_of_its_threads(
    threads: int, kept: int
) -> None:
    said = Settings(_env_file=None, staging_backend="s3", web_threads=threads)

    objects = build_objects(said, hurried=True)
    staging = build_staging(said, objects, lambda found, _: found or "")

    assert isinstance(objects, S3Objects)
    assert isinstance(staging, S3Staging)
    for store in (objects, staging._objects):
        config: Any = store._client.meta.config
        assert config.max_pool_connections == kept
