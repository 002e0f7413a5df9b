"""The main service of a predecessor: told of what becomes of the uploads that it has numbered.

The operator names it in the settings. Its deliveries hang on one row of webhooks, which is nobody's
and says neither where it is nor its secret: those are the settings' alone.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from shared.model.webhook import Webhook

ID: Final = "00000000-0000-7000-8000-000000000001"
PROFILE: Final = "chunked"
_NOBODY: Final = "*"  # no token's tenant or user has that name
_LONGEST: Final = 18  # digits of a number
_NOT_YET: Final = datetime.min.replace(tzinfo=UTC)  # the database sets the times


@dataclass(frozen=True, slots=True)
class MainService:
    """Where it is, and what signs for it: a secret as Standard Webhooks has them, or none."""

    url: str
    secret: str | None


def is_main(webhook_id: str) -> bool:
    return webhook_id == ID


def anchor() -> Webhook:
    """Return the row that all its deliveries hang on."""
    return Webhook(
        id=ID,
        tenant=_NOBODY,
        created_by=_NOBODY,
        owner=_NOBODY,
        url="",
        events=[],
        description="The main service of the settings.",
        enabled=True,
        disabled_reason=None,
        secret="",
        created_at=_NOT_YET,
        updated_at=_NOT_YET,
    )


def event_of(upload_id: str) -> str:
    """Return the id of the event that says that this upload became a file."""
    return f"evt_{upload_id.replace('-', '')}"


def number_of(reference: str | None) -> int | None:
    """Return the main service's number of a file, None where a reference is none."""
    said = reference or ""
    is_number = said.isascii() and said.isdecimal() and len(said) <= _LONGEST
    return int(said) if is_number else None
