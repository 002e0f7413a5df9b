"""An upload that is sent from offset to offset, at an address that is itself the right to send.

The words are those of tus 1.0: partial uploads are parts of a final one, which joins them in order.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from cryptography.fernet import Fernet

_SECRET_BYTES: Final = 16
_ID_LENGTH: Final = 36


@dataclass(frozen=True, slots=True)
class Capability:
    """The last part of an upload's address: its id, and 128 random bits that nobody keeps.

    The address of a grant to upload has the same form; `upload_id` is then the grant's.
    """

    upload_id: str
    secret: str

    @classmethod
    def new(cls, upload_id: str) -> Self:
        return cls(upload_id, secrets.token_urlsafe(_SECRET_BYTES))

    @classmethod
    def parsed(cls, text: str) -> Self:
        """Return what an address says. What is none opens nothing."""
        upload_id, dash, secret = text[:_ID_LENGTH], text[_ID_LENGTH:][:1], text[_ID_LENGTH + 1 :]
        return cls(upload_id, secret) if dash == "-" else cls("", "")

    @property
    def secret_sha256(self) -> str:
        return _hashed(self.secret)

    def sealed(self, text: str) -> str:
        """Return a text that nobody reads who does not have this address."""
        return self._lock().encrypt(text.encode()).decode()

    def unsealed(self, text: str) -> str:
        return self._lock().decrypt(text.encode()).decode()

    def _lock(self) -> Fernet:
        # Not the hash that opens the address: that lies beside what is sealed.
        key = hashlib.sha256(f"sealed {self.secret}".encode()).digest()
        return Fernet(base64.urlsafe_b64encode(key))

    def __str__(self) -> str:
        return f"{self.upload_id}-{self.secret}"


@dataclass(frozen=True, slots=True)
class Resumable:
    """One row of `resumables`: what the client said, and what its secret has to hash to.

    `said` is the client's own description of the file, as it came. `parts` are the ids of the partial
    uploads of a final one, in order; `concat` is how the client named them, sealed, for that has their
    secrets in it. A partial one says so in `concat`.
    """

    upload_id: str
    secret_sha256: str
    said: str | None = None
    concat: str | None = None
    parts: Sequence[str] = ()

    def named(self, capability: Capability) -> str | None:
        """Return what the client said of parts, to whoever has the upload's own address."""
        if self.concat is None or not self.parts or ";" in self.concat:  # as it was kept before
            return self.concat
        return capability.unsealed(self.concat)

    def opens_with(self, secret: str) -> bool:
        return opens(self.secret_sha256, secret)


def opens(secret_sha256: str, secret: str) -> bool:
    """Say whether this is the secret of that hash, in a time that tells nothing."""
    return hmac.compare_digest(secret_sha256, _hashed(secret))


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
