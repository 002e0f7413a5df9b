"""The client of an S3 store: its time-outs, its signatures, and its errors in our words."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)

from shared.adapters.calls_s3 import tell_of_calls
from shared.asking import ask
from shared.errors import AccessDenied, KeyTaken, NotFound, Unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_MISSING: Final = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchUpload"})
# Not ConditionalRequestConflict: somebody wrote or deleted just now, and S3 wants to be asked again.
_TAKEN: Final = frozenset(
    {"412", "PreconditionFailed", "BucketAlreadyExists", "BucketAlreadyOwnedByYou"}
)
_DENIED: Final = frozenset(
    {
        *("403", "AccessDenied", "AllAccessDisabled", "AccountProblem", "Forbidden"),
        *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"),
    }
)
_WITHOUT_CREDENTIALS: Final = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)
_UNCONDITIONAL: Final = frozenset({"501", "NotImplemented"})


@dataclass(frozen=True, slots=True)
class S3Place:
    """Where the bucket is. `public_endpoint` is what clients reach, if that differs.

    With `encrypts` the store is asked to encrypt what it is given, under its own key or `kms_key_id`.
    """

    bucket: str
    region: str
    endpoint: str | None = None
    public_endpoint: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None
    session: boto3.Session | None = None  # signs in place of the keys
    public_acl: bool = False  # whether objects of public files are to have the ACL that says so
    encrypts: bool = False
    kms_key_id: str | None = None
    connections: int = 32  # that a client keeps; what needs more at once opens further ones

    @property
    def encryption(self) -> dict[str, Any]:
        """What a request says that makes an object."""
        if self.kms_key_id is not None:
            return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key_id}
        return {"ServerSideEncryption": "AES256"} if self.encrypts else {}


class NoConditions(Exception):  # a fact about the store, caught where it is learned
    """The store has no conditional writes."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request to the store may take: time-outs in seconds, attempts in all."""

    connect_seconds: float = 3
    read_seconds: float = 15
    attempts: int = 4


PATIENT: Final = Patience()  # a hung store costs a minute
HURRIED: Final = Patience(connect_seconds=2, read_seconds=5, attempts=2)  # somebody waits


def s3_client(
    place: S3Place,
    endpoint: str | None,
    patience: Patience = PATIENT,
    *,
    anonymous: bool = False,
) -> "S3Client":
    """Return a client with our time-outs; an anonymous one signs nothing."""
    making = place.session.client if place.session else boto3.client
    client = making(
        "s3",
        region_name=place.region,
        endpoint_url=endpoint,
        aws_access_key_id=place.access_key_id,
        aws_secret_access_key=place.secret_access_key,
        aws_session_token=place.session_token,
        config=Config(
            signature_version=UNSIGNED if anonymous else "s3v4",
            connect_timeout=patience.connect_seconds,
            read_timeout=patience.read_seconds,
            # Not "standard": its quota of retries runs dry in lasting bad weather, and then a job of
            # ten requests seldom gets through. What spares a store in trouble is that jobs wait.
            retries={"mode": "legacy", "total_max_attempts": patience.attempts},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            max_pool_connections=place.connections,
            s3={
                "payload_signing_enabled": False,
                "addressing_style": "path" if endpoint else "auto",
            },
        ),
    )
    tell_of_calls(client.meta.events)
    client.meta.events.register("before-send.s3", ask)  # by the SDK, before each attempt
    return client


@contextmanager
def translated(key: str) -> Iterator[None]:
    """Let no botocore exception past the adapters."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in _MISSING:
            raise NotFound("object") from error
        if code in _TAKEN:
            raise KeyTaken("There is an object under this key.", key=key) from error
        if code in _UNCONDITIONAL:
            raise NoConditions from error
        if code in _DENIED:
            raise AccessDenied("Access denied to S3 bucket.") from error
        raise Unavailable("objects", "The object store refused the request.") from error
    except _WITHOUT_CREDENTIALS as error:
        raise AccessDenied("Access denied to S3 bucket.") from error
    except (BotoCoreError, OSError) as error:
        raise Unavailable("objects", "The object store does not answer.") from error


@contextmanager
def unconditionally() -> Iterator[None]:
    """Say of a request without a condition that the store does not know something else of it."""
    try:
        yield
    except NoConditions as error:
        told = "The object store can't do what is asked: maybe it does not encrypt."
        raise Unavailable("objects", told) from error


@contextmanager
def begun() -> Iterator[None]:
    """Say of a multipart upload that somebody aborted: it has to begin again."""
    try:
        yield
    except NotFound as error:
        raise Unavailable("objects", "The multipart upload is gone.") from error
