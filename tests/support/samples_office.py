"""Zip archives, office documents in them, and compound files (the container of doc and xls)."""

import io
import struct
import zipfile
from collections.abc import Mapping
from typing import Final

_FORMATS: Final = "application/vnd.openxmlformats-officedocument"
_SCHEMAS: Final = "http://schemas.openxmlformats.org"
_RELATION: Final = f"{_SCHEMAS}/officeDocument/2006/relationships"
_RELATIONS: Final = "application/vnd.openxmlformats-package.relationships+xml"
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def zipped(entries: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return an archive of `entries` in their order, all dated 2000-01-01."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0))
            archive.writestr(entry, content, compress_type=compression)
    return file.getvalue()


def docx(*, types_last: bool = False, main: str = "wordprocessingml.document") -> bytes:
    """Return a document of one paragraph. LibreOffice writes its list of types last."""
    paragraph = "<w:body><w:p><w:r><w:t>Hello</w:t></w:r></w:p></w:body>"
    space = f"{_SCHEMAS}/wordprocessingml/2006/main"
    parts = {"word/document.xml": f'<w:document xmlns:w="{space}">{paragraph}</w:document>'}
    return _package("word/document.xml", parts, main, types_last=types_last)


def xlsx(*, types_last: bool = False, main: str = "spreadsheetml.sheet") -> bytes:
    """Return a workbook of one cell."""
    space = f'xmlns="{_SCHEMAS}/spreadsheetml/2006/main"'
    sheets = f'<sheets xmlns:r="{_RELATION}"><sheet name="One" sheetId="1" r:id="rId1"/></sheets>'
    cell = '<sheetData><row r="1"><c r="A1"><v>42</v></c></row></sheetData>'
    parts = {
        "xl/workbook.xml": f"<workbook {space}>{sheets}</workbook>",
        "xl/_rels/workbook.xml.rels": _relation("worksheet", "worksheets/sheet1.xml"),
        "xl/worksheets/sheet1.xml": f"<worksheet {space}>{cell}</worksheet>",
    }
    return _package("xl/workbook.xml", parts, main, types_last=types_last)


def compound(stream: str, content: bytes, *, far_directory: bool = False) -> bytes:
    """Return a compound file (MS-CFB, version 3) with one stream of at least 4096 bytes.

    With `far_directory` the directory lies behind the content, beyond the first 64 KiB.
    """
    content = content.ljust(90 * 1024 if far_directory else 4096, b"\0")
    sectors = len(content) // 512
    fat_sectors = -(-(sectors + 3) // 128)
    directory = fat_sectors + (sectors if far_directory else 0)
    first = fat_sectors + (0 if far_directory else 1)
    chain = [0xFFFFFFFF] * (128 * fat_sectors)
    chain[:fat_sectors] = [0xFFFFFFFD] * fat_sectors
    chain[directory] = 0xFFFFFFFE
    chain[first : first + sectors] = [*range(first + 1, first + sectors), 0xFFFFFFFE]
    header = (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        + bytes(16)
        + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
        + struct.pack("<II", 0, fat_sectors)
        + struct.pack("<III", directory, 0, 4096)
        + struct.pack("<IIII", 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
        + struct.pack("<109I", *range(fat_sectors), *[0xFFFFFFFF] * (109 - fat_sectors))
    )
    entries = (
        _entry("Root Entry", kind=5, child=1, start=0xFFFFFFFE, size=0)
        + _entry(stream, kind=2, child=0xFFFFFFFF, start=first, size=len(content))
        + bytes(256)
    )
    body = content + entries if far_directory else entries + content
    return header + struct.pack(f"<{len(chain)}I", *chain) + body


def _package(main_part: str, parts: dict[str, str], main: str, *, types_last: bool) -> bytes:
    types = "".join(
        (
            f'<Default Extension="rels" ContentType="{_RELATIONS}"/>',
            '<Default Extension="xml" ContentType="application/xml"/>',
            f'<Override PartName="/{main_part}" ContentType="{_content_type(main)}"/>',
        )
    )
    listing = {
        "[Content_Types].xml": (
            f'<Types xmlns="{_SCHEMAS}/package/2006/content-types">{types}</Types>'
        )
    }
    relations = {"_rels/.rels": _relation("officeDocument", main_part)}
    order = relations | parts | listing if types_last else listing | relations | parts
    return zipped({name: (_HEAD + content).encode() for name, content in order.items()})


def _content_type(main: str) -> str:
    if main.endswith("macroEnabled"):
        return f"application/vnd.ms-{main}.main+xml"
    return f"{_FORMATS}.{main}.main+xml"


def _relation(kind: str, target: str) -> str:
    relation = f'<Relationship Id="rId1" Type="{_RELATION}/{kind}" Target="{target}"/>'
    space = f"{_SCHEMAS}/package/2006/relationships"
    return f'<Relationships xmlns="{space}">{relation}</Relationships>'


def _entry(name: str, *, kind: int, child: int, start: int, size: int) -> bytes:
    encoded = name.encode("utf-16-le") + b"\0\0"
    return (
        encoded.ljust(64, b"\0")
        + struct.pack("<HBB", len(encoded), kind, 1)
        + struct.pack("<III", 0xFFFFFFFF, 0xFFFFFFFF, child)
        + bytes(36)
        + struct.pack("<IQ", start, size)
    )
