"""An upload that is sent from offset to offset, at an address that is itself the right to send.

The words are those of tus 1.0: partial uploads are parts of a final one, which joins them in order.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

_SECRET_BYTES: Final = 16
_ID_LENGTH: Final = 36


@dataclass(frozen=True, slots=True)
class Resumable:
    """One row of `resumables`: what the client said, and what its secret has to hash to.

    `said` is the client's own description of the file, as it came. `parts` are the ids of the partial
    uploads of a final one, in order; `concat` is how the client named them.
    """

    upload_id: str
    secret_sha256: str
    said: str | None = None
    concat: str | None = None
    parts: Sequence[str] = ()

    def opens_with(self, secret: str) -> bool:
        return opens(self.secret_sha256, secret)


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

    def __str__(self) -> str:
        return f"{self.upload_id}-{self.secret}"


def opens(secret_sha256: str, secret: str) -> bool:
    """Say whether this is the secret of that hash, in a time that tells nothing."""
    return hmac.compare_digest(secret_sha256, _hashed(secret))


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
