"""What hides in a file under another name: programs, scripts, markup, a second format.

All of it looks at the first bytes only and errs towards refusing.
"""

import codecs
import re
from typing import Final

POLYGLOT: Final = "application/x-polyglot"

_PROGRAMS: Final = {
    b"MZ": "application/vnd.microsoft.portable-executable",
    b"\x7fELF": "application/x-executable",
    b"\xfe\xed\xfa\xce": "application/x-mach-binary",
    b"\xfe\xed\xfa\xcf": "application/x-mach-binary",
    b"\xce\xfa\xed\xfe": "application/x-mach-binary",
    b"\xcf\xfa\xed\xfe": "application/x-mach-binary",
    b"\xca\xfe\xba\xbe": "application/java-vm",
    b"dex\n": "application/vnd.android.dex",
    b"\0asm": "application/wasm",
    b"L\0\0\0\x01\x14\x02\0": "application/x-ms-shortcut",
}
_MARKUP: Final = re.compile(rb"<(?:!doctype\s+html|html|head|body|script|svg)\b|<\?php\b")
_MARKUP_LINE: Final = re.compile(rb"(?:\A|[\r\n])[^\S\r\n]*(?:%s)" % _MARKUP.pattern)
_NAMES: Final = {b"<svg": "image/svg+xml", b"<?php": "text/x-php"}
# Those of the above that no honest picture, sound or paper has in its opening.
_INJECTED: Final = re.compile(rb"<(?:!doctype\s+html|html|script)\b|<\?php\b")
# A whole local header, so that four bytes met by chance in a picture do not make an archive.
_ARCHIVE: Final = re.compile(rb"PK\x03\x04[\x00-\x3f]\x00.{2}[\x00\x08\x09\x0c\x0e]\x00", re.DOTALL)

# As far as libmagic looks for markup in text, and browsers in anything.
_TEXT_WINDOW: Final = 4096
_BINARY_WINDOW: Final = 1024
_SNIFFED: Final = 8192

_PRINTABLE: Final = bytes({*b"\a\b\t\n\v\f\r\x1b", *range(0x20, 0x7F), *range(0x80, 0x100)})


# RFC 4867, 5: how a voice begins, unlike any script with the header of a frame behind it.
_VOICE: Final = re.compile(
    rb"#!AMR(?:-WB)?(?:\n|_MC1\.0\n\0{3}.)[%s]" % re.escape(bytes(range(0, 0x80, 4))), re.DOTALL
)


def program(head: bytes) -> str | None:
    """Return the type of a binary program or of a script that names its interpreter."""
    is_voice = _VOICE.match(head) and not reads_as_text(head)
    if head.removeprefix(codecs.BOM_UTF8).startswith(b"#!") and not is_voice:
        return "text/x-shellscript"
    return next((kind for magic, kind in _PROGRAMS.items() if head.startswith(magic)), None)


def markup(head: bytes, *, in_prose: bool = False) -> str | None:
    """Return the type of the markup or script that text begins with, in any Unicode encoding.

    In prose a word about markup is none: only what begins a line counts.
    """
    bare = _bare(head)
    opening = bare.lstrip()
    if opening.startswith(b"<"):
        found = _MARKUP.search(bare)
    else:
        found = (_MARKUP_LINE if in_prose else _MARKUP).search(bare[:_TEXT_WINDOW])
    if found:
        return _NAMES.get(found[0].strip(), "text/html")
    return "text/xml" if opening.startswith(b"<?xml") else None


def hides_another(head: bytes, *, is_image: bool) -> bool:
    """Tell whether the head of a recognised format is something else as well.

    A picture has no business with markup or an archive anywhere in its head; sounds and papers
    carry titles and scripts of their own further on.
    """
    if not is_image:
        return bool(_INJECTED.search(_bare(head[:_BINARY_WINDOW])))
    return bool(_INJECTED.search(_bare(head)) or _ARCHIVE.search(head))


def reads_as_text(head: bytes) -> bool:
    """Tell whether the first 8 KiB are text in UTF-8, UTF-16 or UTF-32 with a mark, or 8 bits."""
    start = head[:_SNIFFED]
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return _decodes(start, encoding)
    return bool(start) and not start.translate(None, _PRINTABLE)


def is_utf8(head: bytes) -> bool:
    """Tell whether the first 8 KiB are text in UTF-8: what raw samples hardly ever are."""
    return reads_as_text(head) and _decodes(head[:_SNIFFED], "utf-8")


# The longer marks first: UTF-32's begins with UTF-16's.
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def _decodes(start: bytes, encoding: str) -> bool:
    try:
        # Incremental, because the head may end in the middle of a character.
        text = codecs.getincrementaldecoder(encoding)().decode(start)
    except UnicodeDecodeError:
        return False
    return "\0" not in text


def _bare(head: bytes) -> bytes:
    # Without the zeros and marks of UTF-16 and UTF-32, ASCII stands there to be searched.
    plain = head.replace(b"\0", b"").lower()
    for mark in (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        plain = plain.removeprefix(mark)
    return plain
