"""Names: what a client calls a file, made safe; and the keys of its objects.

The client's name is data, never a path: the key carries a sanitised copy behind the upload's id,
so that no two uploads share a key.
"""

import re
import unicodedata
from datetime import datetime
from typing import Final

from shared.errors import Unprocessable

MAX_NAME_BYTES: Final = 255
MAX_FOLDER_BYTES: Final = 512
MAX_COMPONENT_BYTES: Final = 200  # file systems end at 255
_KEY_NAME_BYTES: Final = 120


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


def object_key(upload_id: str, filename: str, folder: str | None, at: datetime) -> str:
    """Return the final key: `{folder or yyyy/mm/dd}/{id}_{safe name}`."""
    prefix = _safe_path(folder) if folder else at.strftime("%Y/%m/%d")
    return f"{prefix}/{upload_id}_{_safe(filename)}"


def thumbnail_key(file_id: str, name: str) -> str:
    return f"thumbnails/{file_id}/{name}.webp"


def _visible(text: str) -> str:
    # Categories C*: control, format (bidi, zero width), surrogate, private use, unassigned.
    seen = "".join(char for char in text if not unicodedata.category(char).startswith("C"))
    return unicodedata.normalize("NFC", seen)


def _safe_path(folder: str) -> str:
    return "/".join(_plain(part) for part in folder.split("/"))


def _safe(filename: str) -> str:
    safe = _plain(filename)
    if len(safe) <= _KEY_NAME_BYTES:
        return safe
    stem, dot, extension = safe.rpartition(".")
    keep = _KEY_NAME_BYTES - len(extension) - 1
    return f"{stem[:keep].rstrip('.')}.{extension}" if dot and keep > 0 else safe[:_KEY_NAME_BYTES]


def _plain(text: str) -> str:
    # One dot for many: `..` in a URL means something to whoever stands between.
    return re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9._-]", "_", text))
