"""Names that settings went by in the services this one replaces: each is read as ours."""

from collections.abc import Mapping
from typing import Final

ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "S3_BUCKET_NAME": ("IMAGE_S3_BUCKET", "AWS_S3_BUCKET"),
    "S3_REGION": ("S3_REGION_NAME", "AWS_S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"),
    "S3_ACCESS_KEY_ID": ("S3_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
    "S3_SECRET_ACCESS_KEY": ("S3_SECRET_KEY", "AWS_SECRET_ACCESS_KEY"),
    "S3_SESSION_TOKEN": ("AWS_SESSION_TOKEN",),
    "PRESIGNED_URL_EXPIRY": ("S3_PRESIGNED_URL_EXPIRY",),
    "DOWNLOAD_URL_EXPIRY": ("S3_DOWNLOAD_URL_EXPIRY",),
    "JWT_PUBLIC_KEY": ("MAIN_SERVICE_JWT_PUBLIC_KEY",),
    "JWT_ISSUER": ("EXPECTED_JWT_ISSUER",),
    "JWT_AUDIENCE": ("EXPECTED_JWT_AUDIENCE",),
    "STAGING_DIR": ("LOCAL_TEMP_CHUNK_PATH",),
}
# Hosts, shells and the tools of AWS set these by themselves: they count where no other name is said.
_AMBIENT: Final = frozenset(
    {
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    }
)
_PAIR: Final = ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")
_TOKEN: Final = "S3_SESSION_TOKEN"  # noqa: S105  # a name
_MEANT_EMPTY: Final = frozenset({"S3_FOLDER_STRUCTURE"})  # no folder at all


class Disagreement(ValueError):
    """Two names of one setting say different things; the message has the names and no value."""


def agreed(said: Mapping[str, str | None]) -> dict[str, str]:
    """Return `said` with every setting under our name for it, in any case.

    What is empty is unset, but for the one setting of which its document says what that means.

    Raises `Disagreement`.
    """
    upper = {name.upper(): value for name, value in said.items()}
    known = {
        name: value
        for name, value in upper.items()
        if value or (value is not None and name in _MEANT_EMPTY)
    }
    ambient = {name: known.pop(name) for name in _AMBIENT if name in known}
    for ours, others in ALIASES.items():
        given = {name: known.pop(name) for name in (ours, *others) if name in known}
        if len(set(given.values())) > 1:
            raise Disagreement(f"{' and '.join(given)} name one setting, and differ: keep one")
        if given:
            known[ours] = next(iter(given.values()))
    return {**_meant(ambient, known), **known}


def _meant(ambient: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """Return under our names what the host says of what nobody else said.

    A session token belongs to its keys: that of the host is none of ours.
    """
    found = {
        ours: ambient[name]
        for ours, others in ALIASES.items()
        for name in reversed(others)
        if name in ambient
    }
    if all(name in known for name in _PAIR):
        found.pop(_TOKEN, None)
    return found
