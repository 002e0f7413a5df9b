"""Credentials for S3 that are kept in a secret of AWS Secrets Manager.

Read at the start, then every so often, and at once when the store refuses them: a rotation costs the
request that meets it one repeat. While the secret can't be read the keys that are known go on.
"""

import json
import logging
import math
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import CredentialProvider, RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError

from shared.adapters.client_s3 import S3Place

log = logging.getLogger(__name__)

_METHOD: Final = "sluice-secret"
_ATTEMPTS: Final = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2})
_PAUSE_SECONDS: Final = 5.0  # between two looks that a refusal asks for
_WAIT_SECONDS: Final = 2.0  # at most, for a look that another request has asked for
_NEWS_SECONDS: Final = 30.0  # how long a change explains why older signatures are refused
_OUTDATED: Final = frozenset(
    {"403", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}
)
# What keys are called, without `S3_` or `AWS_`, cases and what stands between words.
_ACCESS: Final = ("accesskeyid", "accesskey")
_SECRET: Final = ("secretaccesskey", "secretkey")
_TOKEN: Final = ("sessiontoken", "token")


class SecretUnread(Exception):
    """The secret can't be read, or holds no credentials; the message shows nothing of it."""


def with_secret(place: S3Place, secret: str, every: timedelta) -> S3Place:
    """Return the place whose clients sign with what the secret, a name or an ARN, says.

    The place's own keys read it, or without any the SDK's own chain does. Raises `SecretUnread`.
    """
    arn = secret.split(":")
    reader: Any = boto3.Session(
        place.access_key_id, place.secret_access_key, place.session_token
    ).client(
        "secretsmanager",
        region_name=arn[3] if len(arn) > 3 else place.region,  # noqa: PLR2004  # its place in an ARN
        config=_ATTEMPTS,
    )
    keys: Any = SecretCredentials(reader, secret, every)
    session = botocore.session.Session()
    session.get_component("credential_provider").insert_before("env", _Provider(keys))
    session.register("needs-retry.s3", keys.on_answer)
    return replace(
        place,
        access_key_id=None,
        secret_access_key=None,
        session_token=None,
        session=boto3.Session(botocore_session=session),
    )


class SecretCredentials(RefreshableCredentials):
    """botocore's credentials that refresh themselves; only the secret's change lets them change."""

    # botocore's, which its stubs leave out.
    _refresh_lock: threading.Lock
    _protected_refresh: Callable[..., None]

    def __init__(self, reader: Any, secret: str, every: timedelta) -> None:
        self._reader = reader
        self._secret = secret
        self._every = every
        self._known = self._read()
        self._read_at = -math.inf  # by the start does not count: the first refusal looks at once
        self._changed_at = -math.inf
        access_key, secret_key, token = self._known
        super().__init__(
            access_key,
            secret_key,
            cast("str", token),  # which may be none
            self._next(),
            self._refreshed,
            _METHOD,
            # Refreshed once half of the time is over, by one thread, which no other waits for.
            advisory_timeout=int(every.total_seconds()),
            mandatory_timeout=0,
        )

    def on_answer(self, response: Any, attempts: int, **said: Any) -> float | None:
        """Let botocore repeat at once, signed anew, what was refused for keys that have changed."""
        del said
        if response is None or attempts != 1:
            return None
        code = response[1].get("Error", {}).get("Code")
        return 0 if code in _OUTDATED and self._renewed() else None

    def _renewed(self) -> bool:
        if self._refresh_lock.acquire(timeout=_WAIT_SECONDS):
            try:
                if time.monotonic() - self._read_at >= _PAUSE_SECONDS:
                    self._protected_refresh(is_mandatory=True)
            finally:
                self._refresh_lock.release()
        return time.monotonic() - self._changed_at < _NEWS_SECONDS

    def _refreshed(self) -> dict[str, str | None]:
        try:
            keys = self._read()
        except SecretUnread as error:
            log.warning("s3_secret_not_read", extra={"reason": str(error)})
        else:
            if keys != self._known:
                self._known, self._changed_at = keys, time.monotonic()
                log.info("s3_credentials_changed")
        finally:
            # From its end, however long it took: whoever waited meanwhile does not look again.
            self._read_at = time.monotonic()
        access_key, secret_key, token = self._known
        return {
            "access_key": access_key,
            "secret_key": secret_key,
            "token": token,
            "expiry_time": self._next().isoformat(),
        }

    def _next(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC) + 2 * self._every

    def _read(self) -> tuple[str, str, str | None]:
        try:
            answer = self._reader.get_secret_value(SecretId=self._secret)
        except ClientError as error:
            raise SecretUnread(f"can't be read: {error.response['Error']['Code']}") from error
        except (BotoCoreError, OSError) as error:
            raise SecretUnread(f"can't be read: {type(error).__name__}") from error
        return keys_of(answer.get("SecretString", ""))


class _Provider(CredentialProvider):
    METHOD = _METHOD
    CANONICAL_NAME = "custom-sluice-secret"

    def __init__(self, keys: SecretCredentials) -> None:
        super().__init__()
        self._keys = keys

    def load(self) -> SecretCredentials:
        return self._keys


def keys_of(text: str) -> tuple[str, str, str | None]:
    """Return access key, secret key and session token of a secret's JSON. Raises `SecretUnread`."""
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    if not isinstance(said, Mapping):
        raise SecretUnread("is no JSON object")
    plain = {_plain(name): value for name, value in said.items() if isinstance(value, str)}
    access_key, secret_key, token = (
        next((plain[name] for name in names if plain.get(name)), None)
        for names in (_ACCESS, _SECRET, _TOKEN)
    )
    if access_key is None or secret_key is None:
        raise SecretUnread("has no access_key_id with a secret_access_key")
    return access_key, secret_key, token


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", re.sub(r"^(s3|aws)", "", name.lower()))
