"""Which document is in a zip archive or a compound file (the container of doc and xls).

Nothing is unpacked but the list of types of an office document, up to a bound.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from shared.model.media import SHEET, SLIDES, WORD, by_extension, canonical

ZIP: Final = "application/zip"
COMPOUND: Final = "application/x-ole-storage"

_COMPOUND_MAGIC: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP_MAGIC: Final = re.compile(rb"(?:PK(?:00|\x07\x08))?(?=PK(?:\x03\x04|\x05\x06))")
_ENTRY: Final = struct.Struct("<4sHHHHHIIIHH")
_STREAMED: Final = 8
_DEFLATED: Final = 8
_DESCRIPTOR: Final = re.compile(rb"PK\x07\x08.{12}(?:.{8})?(?=PK(?:\x03\x04|\x01\x02))", re.DOTALL)
_MAX_TYPES: Final = 256 * 1024

_TYPES: Final = "[Content_Types].xml"
_PACKAGE: Final = re.compile(r"\[Content_Types\]\.xml$|_rels/\.rels$|docProps/|customXml/")
_MAIN_PART: Final = re.compile(
    r"word/(?:document|styles)\.xml$|xl/(?:workbook|styles|sharedStrings)\.xml$|xl/worksheets/"
    r"|ppt/presentation\.xml$"
)
_FOLDERS: Final = {"word": WORD, "xl": SHEET, "ppt": SLIDES}
_MACROS: Final = {
    WORD: "application/vnd.ms-word.document.macroenabled.12",
    SHEET: "application/vnd.ms-excel.sheet.macroenabled.12",
    SLIDES: "application/vnd.ms-powerpoint.presentation.macroenabled.12",
}
_MAIN_TYPE: Final = re.compile(
    rb"/vnd\.(?:ms-|openxmlformats-officedocument\.)(word|excel|spreadsheet|p)[\w.-]*\.main\+xml"
)
_KINDS: Final = {b"word": WORD, b"excel": SHEET, b"spreadsheet": SHEET, b"p": SLIDES}
_PROGRAMS: Final = {
    "META-INF/MANIFEST.MF": "application/java-archive",
    "AndroidManifest.xml": "application/vnd.android.package-archive",
}
_NAMED_INSIDE: Final = ("application/vnd.oasis.opendocument.", "application/epub+zip")

_STREAMS: Final = {
    "WordDocument": "application/msword",
    "Workbook": "application/vnd.ms-excel",
    "Book": "application/vnd.ms-excel",
    "PowerPoint Document": "application/vnd.ms-powerpoint",
    "__properties_version1.0": "application/vnd.ms-outlook",
}
_ENCRYPTED: Final = "EncryptedPackage"
# The class of Windows Installer databases and patches in the root entry.
_INSTALLER: Final = re.compile(rb"[\x84\x86]\x10\x0c\0{5}\xc0\0{6}\x46")
_SOME_COMPOUND: Final = (COMPOUND, "application/cdfv2")
_OF_COMPOUNDS: Final = frozenset(
    {"application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"}
)
_OF_PACKAGES: Final = frozenset({WORD, SHEET, SLIDES})


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    method: int
    content: bytes


def archive(head: bytes, filename: str) -> str | None:
    """Return the type of what a zip archive holds, "application/zip" when that is just files.

    None when it is no zip. The extension decides only for an office package whose parts lie
    beyond the head.
    """
    start = _ZIP_MAGIC.match(head)
    if not start:
        return None
    entries = tuple(_entries(head, start.end()))
    names = [each.name for each in entries]
    for name, kind in _PROGRAMS.items():
        if name in names:
            return kind
    if entries and entries[0].name == "mimetype":
        said = entries[0].content.decode("ascii", "replace")
        return said if re.fullmatch(r"[a-z.+/-]+", said) and said.startswith(_NAMED_INSIDE) else ZIP
    return _package(entries, names, filename) or ZIP


def compound(sniffed: str, head: bytes, filename: str) -> str | None:
    """Return the type of a compound file, None when it is none.

    Its directory tells; where that lies beyond the head, libmagic does if it can, else the
    extension.
    """
    if not head.startswith(_COMPOUND_MAGIC):
        return None
    if _INSTALLER.search(head):
        return "application/x-msi"
    found = {place: kind for name, kind in _STREAMS.items() if (place := _stream(head, name))}
    if found:
        return found[min(found)]  # what is embedded comes later
    if _stream(head, _ENCRYPTED):
        return _by_extension(filename, _OF_PACKAGES) or COMPOUND
    kind = canonical(sniffed) or COMPOUND
    if not kind.startswith(_SOME_COMPOUND):
        return kind
    return _by_extension(filename, _OF_COMPOUNDS) or COMPOUND


def _entries(head: bytes, place: int) -> Iterator[_Entry]:
    """Yield the entries that begin in `head`; the content of the last one may be cut."""
    while head.startswith(b"PK\x03\x04", place) and place + _ENTRY.size <= len(head):
        _, _, flags, method, *_, size, _, name_length, extra_length = _ENTRY.unpack_from(
            head, place
        )
        name_at = place + _ENTRY.size
        content_at = name_at + name_length + extra_length
        end = content_at + size
        if flags & _STREAMED and size == 0:
            descriptor = _DESCRIPTOR.search(head, content_at)
            size, end = (
                (descriptor.start() - content_at, descriptor.end())
                if descriptor
                else (len(head), len(head))
            )
        name = head[name_at : name_at + name_length].decode("utf-8", "replace")
        yield _Entry(name, method, head[content_at : content_at + size])
        place = end


def _package(entries: tuple[_Entry, ...], names: list[str], filename: str) -> str | None:
    is_package = any(_PACKAGE.match(name) for name in names)
    if not is_package and not any(_MAIN_PART.match(name) for name in names):
        return None
    listing = next((_content(each) for each in entries if each.name == _TYPES), b"")
    kind = (
        _main_type(listing)
        or next((_FOLDERS[top] for name in names if (top := name.split("/")[0]) in _FOLDERS), None)
        or _by_extension(filename, _OF_PACKAGES)
    )
    has_macros = b"macroEnabled" in listing or any("vbaProject" in name for name in names)
    return _MACROS[kind] if kind and has_macros else kind


def _main_type(listing: bytes) -> str | None:
    found = _MAIN_TYPE.search(listing)
    return _KINDS[found[1]] if found else None


def _content(entry: _Entry) -> bytes:
    if entry.method != _DEFLATED:
        return entry.content
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(entry.content, _MAX_TYPES)
    except zlib.error:
        return b""


def _stream(head: bytes, name: str) -> int:
    """Return where the directory entry `name` is in `head`, 0 when it is not."""
    encoded = name.encode("utf-16-le") + b"\0\0"
    place = head.find(encoded)
    while place > 0 and place % 128:  # entries are 128 bytes long, sectors multiples of 512
        place = head.find(encoded, place + 1)
    return max(place, 0)


def _by_extension(filename: str, kinds: frozenset[str]) -> str | None:
    return next((each.name for each in by_extension(filename) if each.name in kinds), None)
