"""What a file is, from its head: libmagic's word, made precise and not always believed.

libmagic sees 8 KiB and follows the first pattern that fits. Formats that are accepted have to
begin as their standards say; programs, scripts and markup stay what they are under any name.
"""

import re
from typing import Final

from shared.model import disguise
from shared.model.media import TEXT, UNKNOWN, by_extension, by_name, canonical
from shared.model.office import archive, compound
from shared.model.recording import recording

HEAD_SIZE: Final = 64 * 1024
EMPTY: Final = "application/x-empty"

# A comment or plain words where the fields of a picture belong make it a script as well.
_PICTURES: Final = {
    "image/jpeg": re.compile(rb"\xff\xd8\xff[\xc0-\xfe](?!/\*)"),
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
    "image/gif": re.compile(rb"GIF8[79]a(?!/\*)(?![\x20-\x7e]{7})"),
    "image/bmp": re.compile(rb"BM(?!/\*).{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0{3}", re.DOTALL),
}
_PDF: Final = "application/pdf"
# Programs that write papers through a template leave a mark or some blanks before them.
_PAPER: Final = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]{0,32}%PDF-\d")
# Without the right beginning these are not believed.
_SIGNED: Final = frozenset(_PICTURES) | {
    *(_PDF, "image/webp", "audio/wav", "application/zip"),
    *("audio/aiff", "audio/amr", "audio/3gpp", "audio/x-ms-wma"),
}

# In text, these stay whatever the name; the second set unless the name says text, because
# libmagic guesses them from a word or two.
_SCRIPTS: Final = frozenset(
    {
        "application/javascript",
        "application/postscript",
        "application/x-javascript",
        "image/svg+xml",
        "text/javascript",
        "text/rtf",
        "text/vbscript",
        "text/x-msdos-batch",
        "text/x-php",
        "text/x-powershell",
        "text/x-shellscript",
        "text/xml",
    }
)
_GUESSES: Final = frozenset(
    {
        "text/html",
        "text/x-lua",
        "text/x-perl",
        "text/x-python",
        "text/x-ruby",
        "text/x-script.python",
        "text/x-tcl",
    }
)


def refine(sniffed: str, head: bytes, filename: str) -> str:
    """Return the canonical type of a file that begins with `head`, at most 64 KiB of it.

    `sniffed` is what libmagic said. "application/octet-stream" is bytes that are nothing known;
    "application/x-polyglot" is two things at once. The name decides only where bytes cannot.
    """
    head = head[:HEAD_SIZE]
    if not head:
        return next((each.name for each in by_extension(filename)), EMPTY)
    return (
        disguise.program(head)
        or _signed(sniffed, head, filename)
        or _written(sniffed, head, filename)
        or _believed(sniffed, filename)
    )


def _signed(sniffed: str, head: bytes, filename: str) -> str | None:
    """Return the type of a format that says itself what it is."""
    found = (
        next((name for name, magic in _PICTURES.items() if magic.match(head)), None)
        or (_PDF if _PAPER.match(head) else None)
        or recording(head, filename)
    )
    if found is None:
        return archive(head, filename) or compound(sniffed, head, filename)
    is_image = found.startswith("image/")
    return disguise.POLYGLOT if disguise.hides_another(head, is_image=is_image) else found


def _written(sniffed: str, head: bytes, filename: str) -> str | None:
    """Return the type of a text, or of what only begins as one."""
    is_sampled = _is_told_by_name(filename, UNKNOWN)
    is_text = sniffed.startswith("text/") or disguise.reads_as_text(head)
    if not is_text or (is_sampled and not disguise.is_utf8(head)):
        return None if is_sampled else disguise.markup(head[:1024])
    is_called_text = _is_told_by_name(filename, TEXT)
    found = disguise.markup(head, in_prose=is_called_text)
    if found or sniffed in _SCRIPTS:
        return found or canonical(sniffed)
    if is_called_text:
        return TEXT
    if sniffed in _GUESSES or not (sniffed.startswith("text/") or sniffed == UNKNOWN):
        return canonical(sniffed)
    return TEXT


def _believed(sniffed: str, filename: str) -> str:
    name = canonical(sniffed) or UNKNOWN
    if name in _SIGNED:
        return UNKNOWN
    # Raw samples look like many things by chance; under a name like theirs that counts for little.
    is_chance = by_name(name) is None or name.startswith("text/")
    return UNKNOWN if is_chance and _is_told_by_name(filename, UNKNOWN) else name


def _is_told_by_name(filename: str, looks: str) -> bool:
    return any(looks in each.resembles or each.name == looks for each in by_extension(filename))
