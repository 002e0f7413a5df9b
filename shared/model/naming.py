"""Names: what a client calls a file, made safe for rows and for keys.

The client's name is data, never a path: a key carries a sanitised copy of it.
"""

import re
import sys
import unicodedata
from typing import Final

from shared.errors import Unprocessable

MAX_NAME_BYTES: Final = 255
MAX_FOLDER_BYTES: Final = 512
MAX_COMPONENT_BYTES: Final = 200  # file systems end at 255
# Below it lies what we keep in a bucket for ourselves: no listing tells it, and no key of a client, for
# no folder in one has a dot.
HIGH_WATER: Final = ".sluice-high-water/"
_KEY_NAME_BYTES: Final = 120
_SURROGATES: Final = 0xD800  # no characters of their own, and none in UTF-8
_AFTER_SURROGATES: Final = 0xE000


def clean_filename(name: str) -> str:
    """Return the last component of `name`, NFC, without control and bidi characters.

    Raises `Unprocessable` when nothing is left or it is longer than 255 bytes of UTF-8.
    """
    leaf = _visible(name).replace("\\", "/").rsplit("/", 1)[-1].strip()
    if leaf.strip(". ") == "":
        raise Unprocessable("The file needs a name.", pointer="/filename")
    if len(leaf.encode()) > MAX_NAME_BYTES:
        raise Unprocessable("The name is longer than 255 bytes.", pointer="/filename")
    return leaf


def clean_folder(folder: str | None) -> str | None:
    """Return `folder` as `a/b/c`, or None when empty. Raises `Unprocessable` for `..` and such."""
    if folder is None:
        return None
    parts = [part for part in _visible(folder).split("/") if part not in {"", "."}]
    if not parts:
        return None
    if any(not part.strip(".") or "\\" in part or part != part.strip() for part in parts):
        raise Unprocessable("A folder is a path like a/b, without `..`.", pointer="/folder")
    path = "/".join(parts)
    if len(path.encode()) > MAX_FOLDER_BYTES:
        raise Unprocessable("The folder is longer than 512 bytes.", pointer="/folder")
    if any(len(part.encode()) > MAX_COMPONENT_BYTES for part in parts):
        raise Unprocessable("A part of the folder is longer than 200 bytes.", pointer="/folder")
    return path


def thumbnail_key(file_id: str, name: str) -> str:
    return f"thumbnails/{file_id}/{name}.webp"


def staged_directly(prefix: str) -> str:
    """Return where below the staging prefix of a bucket clients send to, a key per upload."""
    return f"{prefix}direct/"


def staged_chunks(prefix: str) -> str:
    """Return where below the staging prefix of a bucket chunks lie, if they lie in one."""
    return f"{prefix}chunks/"


def high_water(prefix: str) -> str:
    """Return where the mark lies of those who stage below this prefix: who share a bucket have two."""
    return HIGH_WATER + prefix.strip("/")


def end_of_prefix(prefix: str) -> str | None:
    """Return the least text that comes after all that begin with `prefix`, None when there is none.

    In the order of code points, which is that of the bytes of UTF-8.
    """
    for length in range(len(prefix), 0, -1):
        last = ord(prefix[length - 1]) + 1
        if last <= sys.maxunicode:
            following = _AFTER_SURROGATES if last == _SURROGATES else last
            return prefix[: length - 1] + chr(following)
    return None


def plain_path(folder: str) -> str:
    """Return a path as it stands in a key: ASCII letters, digits and `._-` between the slashes."""
    return "/".join(_plain(part) for part in folder.split("/"))


def safe_name(filename: str) -> str:
    """Return a name as it stands in a key, of at most 120 bytes, with its extension."""
    safe = _plain(filename)
    if len(safe) <= _KEY_NAME_BYTES:
        return safe
    stem, dot, extension = safe.rpartition(".")
    keep = _KEY_NAME_BYTES - len(extension) - 1
    return f"{stem[:keep].rstrip('.')}.{extension}" if dot and keep > 0 else safe[:_KEY_NAME_BYTES]


def _visible(text: str) -> str:
    # Categories C*: control, format (bidi, zero width), surrogate, private use, unassigned.
    seen = "".join(char for char in text if not unicodedata.category(char).startswith("C"))
    return unicodedata.normalize("NFC", seen)


def _plain(text: str) -> str:
    # One dot for many: `..` in a URL means something to whoever stands between.
    return re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9._-]", "_", text))
