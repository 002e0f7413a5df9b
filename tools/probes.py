"""Questions that a part answers only when it really works: each returns a probe for `Part.ready`.

A probe never waits longer than a second or two, and answers `False` for any failure to answer.
"""

from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPException
from itertools import cycle
from typing import Final
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import boto3
import redis
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from celery import Celery
from kombu.exceptions import OperationalError

from tools.part import Probe

PATIENCE_SECONDS: Final = 1.0
PROBE_KEY: Final = "sluice-start-probe"
_DIRECT: Final = build_opener(ProxyHandler({}))


def valkey_answers(url: str) -> Probe:
    """PING, answered also only after the append-only file was loaded."""
    client = redis.Redis.from_url(url, socket_timeout=PATIENCE_SECONDS)

    def probe() -> bool:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False

    return probe


def s3_stores(settings: Mapping[str, str]) -> Probe:
    """PUT, GET and DELETE of one object: volumes report later than the listener answers."""
    client = boto3.client(
        "s3",
        endpoint_url=settings["S3_ENDPOINT_URL"],
        region_name=settings["S3_REGION"],
        aws_access_key_id=settings["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=settings["S3_SECRET_ACCESS_KEY"],
        config=Config(
            signature_version="s3v4",
            connect_timeout=PATIENCE_SECONDS,
            read_timeout=2 * PATIENCE_SECONDS,
            retries={"total_max_attempts": 1},
        ),
    )
    bucket = settings["S3_BUCKET_NAME"]

    def probe() -> bool:
        try:
            client.put_object(Bucket=bucket, Key=PROBE_KEY, Body=b"ready?")
            answer = client.get_object(Bucket=bucket, Key=PROBE_KEY)
            whole = answer["Body"].read() == b"ready?"
            client.delete_object(Bucket=bucket, Key=PROBE_KEY)
        except (BotoCoreError, ClientError):
            return False
        return whole

    return probe


def http_answers(url: str) -> Probe:
    """GET answers 200, asked directly whatever proxy the environment names."""

    def probe() -> bool:
        try:
            with _DIRECT.open(url, timeout=2 * PATIENCE_SECONDS) as answer:
                return bool(answer.status == HTTPStatus.OK)
        except (OSError, HTTPException):
            return False

    return probe


def http_text(url: str) -> str:
    """Return what `url` answers, whatever the status: for a person to read."""
    try:
        with _DIRECT.open(url, timeout=2 * PATIENCE_SECONDS) as answer:
            return str(answer.read().decode(errors="replace"))
    except HTTPError as refusal:
        return refusal.read().decode(errors="replace")
    except (OSError, HTTPException) as failure:
        return str(failure)


def celery_answers(broker: str, node: str) -> Probe:
    """The node answers a ping over the broker, so it consumes.

    A ping that is sent before the node listens is lost. So most are waited for briefly, or it, and who
    is asked after it, would seem ready up to a second late; a busy host answers the patient ones.
    """
    patience = cycle((0.2, 0.2, 0.2, PATIENCE_SECONDS))
    options = {"socket_timeout": 5, "socket_connect_timeout": PATIENCE_SECONDS}
    app = Celery(broker=broker, set_as_current=False, broker_transport_options=options)

    def probe() -> bool:
        try:
            return bool(app.control.ping(destination=[node], timeout=next(patience)))
        except (OperationalError, redis.RedisError, OSError):
            return False

    return probe
