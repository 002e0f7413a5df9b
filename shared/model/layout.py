"""Keys of final objects: a template for each way of naming, filled in when an upload opens.

A template with `{id}` never makes one key twice. One with `{uuid8}` or a time hardly ever
does: a key that is taken gets a suffix. A bare one, with neither, may well: what is taken is refused.

A store with folders can't have a file where another key goes through. So no part of a client's folder
has a dot, and a bare name always has one: nobody can be in the way of names that can be foretold.
"""

import hashlib
import re
import string
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Final

from shared.errors import Unprocessable
from shared.model.naming import clean_folder, plain_path, safe_name

PLACES: Final = frozenset({"year", "month", "day", "hour"})
_DRAWN: Final = frozenset({"id", "uuid8", "timestamp", "date"})
_KNOWN: Final = PLACES | _DRAWN | {"folder", "name", "plain", "extension"}
_KNOWN_BY: Final = frozenset({"owner", "tenant", "reference"})
_LONGEST_PART: Final = 120
_NO_EXTENSION: Final = ".bin"
_DEFAULT_TENANT: Final = "default"


@dataclass(frozen=True, slots=True)
class Named:
    """What a key is made of."""

    upload_id: str
    filename: str
    folder: str | None
    tenant: str
    owner: str
    reference: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Layout:
    """A template of keys; `structure` stands for `{folder}` where the client names none.

    One that `mirrors` keeps the dots, or their lack, of a tree that somebody brings. Raises `ValueError` for a placeholder that nobody fills in.
    """

    template: str
    structure: str = "{year}/{month}/{day}"
    mirrors: bool = False

    def __post_init__(self) -> None:
        unknown = _placeholders(self.template) - _KNOWN - _KNOWN_BY
        unknown |= _placeholders(self.structure) - PLACES
        if unknown:
            raise ValueError(f"there is no placeholder {{{min(unknown)}}}")

    @property
    def is_unique(self) -> bool:
        return "id" in _placeholders(self.template)

    @property
    def is_bare(self) -> bool:
        return _DRAWN.isdisjoint(_placeholders(self.template))

    def key(self, named: Named, *, suffix: str = "") -> str:
        """Return the key; a suffix stands between the name and its extension."""
        name = PurePosixPath(self._told_from_folders(safe_name(named.filename)))
        said = {
            **_times(named.at),
            "id": named.upload_id,
            "uuid8": named.upload_id[-8:],  # the random end of it
            "name": f"{name.stem}{suffix}{name.suffix}",
            "plain": _plainly(self._told_from_folders(named.filename), suffix),
            "extension": f"{suffix}{name.suffix}",
            "owner": _part(named.owner),
            "tenant": _part(named.tenant),
            "reference": _part(named.reference or named.upload_id),
        }
        said["folder"] = self._folder(named.folder) or plain_path(self.structure.format(**said))
        key = self.template.format(**said).lstrip("/")
        # Bare names are each tenant's own; the default tenant's stand where they always stood.
        is_shared = self.is_bare and "tenant" not in _placeholders(self.template)
        outside = is_shared and named.tenant != _DEFAULT_TENANT
        return f"{said['tenant']}/{key}" if outside else key

    def _told_from_folders(self, filename: str) -> str:
        is_told = not self.is_bare or self.mirrors or "." in filename
        return filename if is_told else filename + _NO_EXTENSION

    def _folder(self, folder: str | None) -> str:
        plain = plain_path(folder or "")
        return plain if self.mirrors else plain.replace(".", "_")


def layout_of(*, structure: str, uuid_prefix: bool, preserve_filename: bool) -> Layout:
    """Return the layout that the settings of that name ask for. Raises `ValueError`."""
    structure = _path(structure)
    if uuid_prefix:
        name = "{id}_{name}" if preserve_filename else "{id}{extension}"
    elif structure or not preserve_filename:
        name = "{timestamp}_{name}" if preserve_filename else "{timestamp}{extension}"
    else:
        name = "{name}"
    return Layout(f"{{folder}}/{name}", structure)


def _path(structure: str) -> str:
    """Return the structure as `a/{year}`. Raises `ValueError` for what would be refused of a client."""
    for _, name, form, conversion in string.Formatter().parse(structure):
        if form or conversion:
            raise ValueError(f"{{{name}}} stands for digits, and takes no format")
    try:
        return clean_folder(structure) or ""
    except Unprocessable as refusal:
        raise ValueError(str(refusal)) from None


def _times(at: datetime) -> dict[str, str]:
    return {
        "year": f"{at:%Y}",
        "month": f"{at:%m}",
        "day": f"{at:%d}",
        "hour": f"{at:%H}",
        "date": f"{at:%Y%m%d}",
        "timestamp": f"{at:%Y%m%d_%H%M%S}",
    }


def _plainly(filename: str, suffix: str) -> str:
    """Return the name with an underscore for each character that is not plain, and no other change.

    Unlike `{name}` it may have several dots in a row.
    """
    name = PurePosixPath(re.sub(r"[^A-Za-z0-9._-]", "_", filename))
    return f"{name.stem[:_LONGEST_PART]}{suffix}{name.suffix[:_LONGEST_PART]}"


def _part(text: str) -> str:
    """Return `text` as one part of a key: what has to change to be that gets a mark of its own."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", text)[:_LONGEST_PART]
    return plain if plain == text else f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _placeholders(template: str) -> frozenset[str]:
    found = string.Formatter().parse(template)
    return frozenset(name for _, name, _, _ in found if name is not None)
