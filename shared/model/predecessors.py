"""What the services this one replaces allowed, as profiles: their documents' types and limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from shared.model.media import TYPES, Category
from shared.model.policy import MIB, Profile, tailored

_EXTENSIONS: Final = (
    *("jpg", "jpeg", "png", "gif", "webp"),
    *("mp3", "pcm", "mpeg", "mpga", "wav", "m4a", "opus", "webm"),
    *("mp4", "txt", "pdf"),
)
_NUMBERED: Final = (
    *("image/jpeg", "image/png", "image/webp", "image/gif"),
    *("video/mp4", "video/quicktime", "video/x-msvideo"),
    *("application/pdf", "application/msword", "application/vnd.ms-excel"),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
)
_CHUNKED: Final = tuple(each.name for each in TYPES if each.category is Category.AUDIO)
GATEWAY: Final = "gateway"
STORAGE: Final = "storage"


@dataclass(frozen=True, slots=True)
class GatewayRules:
    """What the gateway's settings say: types in any spelling, and one limit in bytes."""

    types: Sequence[str]
    max_size: int


def profiles(default: Profile, gateway: GatewayRules) -> Mapping[str, Profile]:
    """Return the profiles of all predecessors, by name. Raises `ValueError` for unknown types."""
    return {
        STORAGE: _storage(default),
        "numbered": _at_most(50 * MIB, tailored(default, "numbered", types=_NUMBERED)),
        "chunked": tailored(default, "chunked", types=_CHUNKED),
        GATEWAY: _at_most(gateway.max_size, tailored(default, GATEWAY, types=gateway.types)),
    }


def _storage(default: Profile) -> Profile:
    """Films of cameras are called .mp4 and are QuickTime inside; .mov stays outside."""
    made = tailored(default, STORAGE, extensions=_EXTENSIONS)
    return replace(made, types=made.types | (default.types & {"video/quicktime"}))


def _at_most(size: int, profile: Profile) -> Profile:
    """Return the profile with this limit for all, and lower ones of its own where it has them."""
    sizes = {category: min(size, own) for category, own in profile.max_sizes.items()}
    return replace(profile, max_sizes=sizes)
