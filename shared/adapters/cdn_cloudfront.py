"""Addresses of files at CloudFront, signed for private files where there is a key pair.

Signed by a canned policy: RSA and SHA-1, as CloudFront wants it. An address stays the same for one
lifetime, so that caches and ETags keep theirs, and lives for one to two of them.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from botocore.signers import CloudFrontSigner
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from shared.ports import Clock

_KEPT: Final = 4096  # signatures: one takes as long as a file's whole description


class CloudFront:
    def __init__(self, domain: str) -> None:
        self._domain = domain

    def url(self, key: str, *, is_public: bool) -> str:
        del is_public  # what the distribution gives away is its own to say
        return f"https://{self._domain}/{quote(key, safe='/~')}"


class SignedCloudFront(CloudFront):
    """The same with `private_key` in PEM, whose public half CloudFront knows as `key_id`."""

    def __init__(
        self, domain: str, *, key_id: str, private_key: str, lifetime: timedelta, clock: Clock
    ) -> None:
        super().__init__(domain)
        self._seconds = int(lifetime.total_seconds())
        self._clock = clock
        key = rsa_key(private_key)
        sha1 = hashes.SHA1()  # noqa: S303  # the protocol's
        self._signer = CloudFrontSigner(key_id, lambda policy: key.sign(policy, PKCS1v15(), sha1))
        self._signed = lru_cache(_KEPT)(self._sign)

    def url(self, key: str, *, is_public: bool) -> str:
        plain = super().url(key, is_public=is_public)
        if is_public:
            return plain
        begun = int(self._clock.now().timestamp()) // self._seconds
        return self._signed(plain, (begun + 2) * self._seconds)

    def _sign(self, plain: str, ends_at: int) -> str:
        ends = datetime.fromtimestamp(ends_at, UTC)
        return str(self._signer.generate_presigned_url(plain, date_less_than=ends))


def rsa_key(pem: str) -> RSAPrivateKey:
    """Return the key of a PEM text, its line ends perhaps written out. Raises `ValueError`."""
    try:
        key = load_pem_private_key(pem.replace("\\n", "\n").encode(), password=None)
    except (ValueError, TypeError) as error:
        raise ValueError("is no private key in PEM") from error
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("is no RSA key")  # noqa: TRY004  # a setting has the wrong value
    return key
