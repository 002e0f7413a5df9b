"""`Content-Disposition` (RFC 6266, RFC 8187), and which types may be shown inline."""

from typing import Final
from urllib.parse import quote

from werkzeug.http import dump_options_header

from shared.model.file import File

# Types that no browser takes for a page: the rest is only ever an attachment.
_INLINE: Final = ("image/jpeg", "image/png", "image/gif", "image/webp", "image/avif", "image/bmp")
_INLINE_FAMILIES: Final = ("audio/", "video/")
_INLINE_TEXT: Final = ("text/plain", "application/pdf")


def disposition(file: File, *, attached: bool | None) -> str:
    """Return the header for a file; inline only where it is safe, and not when `attached`."""
    inline = may_be_inline(file.content_type) and not attached
    names: dict[str, str | None]
    if file.filename.isascii():
        names = {"filename": file.filename}
    else:
        plain = file.filename.encode("ascii", "ignore").decode().strip(". ") or "file"
        names = {"filename": plain, "filename*": f"UTF-8''{quote(file.filename, safe='')}"}
    return dump_options_header("inline" if inline else "attachment", names)


def may_be_inline(content_type: str) -> bool:
    safe = (*_INLINE, *_INLINE_TEXT)
    return content_type in safe or content_type.startswith(_INLINE_FAMILIES)


def served_type(content_type: str) -> str:
    """Return the type to answer with: what a script could hide in is only bytes."""
    known = may_be_inline(content_type) or content_type.startswith("application/")
    return content_type if known else "application/octet-stream"
